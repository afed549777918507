"""The line at the bottom, and what is said above the prompt, without a terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import blockdb
from blockdb.alerts import Alert
from blockdb.config import DatabaseConfig
from blockdb_repl.connection import Connection
from blockdb_repl.notices import Notices
from blockdb_repl.toolbar import Toolbar


def session(**facts: Any) -> Any:
    usual = {"collection": None, "transaction": None, "transaction_age_s": None, "proven": "", "latency_s": None}
    return SimpleNamespace(**usual | {"notices": "on"} | facts)


@pytest.fixture
def toolbar(tmp_path: Path) -> Any:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"a", b"1")
        made = Toolbar(Connection(DatabaseConfig(data_dir="db"), lambda _: db), lambda: db)
        made.look()
        assert made._statistics is not None
        made._statistics = replace(made._statistics, blocks=1234, data_dir="./a/db")
        yield made


def shown(toolbar: Toolbar, columns: int, mode: str = "", **facts: Any) -> str:
    return " ".join("".join(text for _, text, *_ in toolbar.fragments(session(**facts), columns, mode)).split())


def test_the_least_important_goes_where_there_is_no_room(toolbar: Toolbar) -> None:
    transaction = SimpleNamespace(id=7, is_active=True)
    facts = {"collection": "users", "latency_s": 0.0123, "transaction": transaction, "transaction_age_s": 12.0}
    toolbar._node = "node1 leader"
    whole = "./a/db node node1 leader in users records 1 height 1,234 blocks tx 7 open 12 s proven — last 12.3 ms"
    assert shown(toolbar, 200, **facts) == whole
    assert shown(toolbar, 80, **facts) == "./a/db node node1 leader height 1,234 blocks tx 7 open 12 s proven —"
    assert shown(toolbar, 40, **facts) == "./a/db tx 7 open 12 s"
    assert shown(toolbar, 5, **facts) == "./a/db"
    for columns in range(10, 120):
        text = "".join(text for _, text, *_ in toolbar.fragments(session(**facts), columns))
        assert len(text) <= columns


def test_modes_and_what_was_proven(toolbar: Toolbar) -> None:
    assert shown(toolbar, 80, "vi insert") == "./a/db vi insert records 1 height 1,234 blocks proven —"
    assert shown(toolbar, 80, proven="9 blocks").endswith("proven 9 blocks")
    toolbar._proven = "5 records"
    assert shown(toolbar, 80).endswith("proven 5 records")


class World:
    """What notices look at, and what they have said."""

    def __init__(self, **facts: Any) -> None:
        self.said: list[str] = []
        self.time_s = 0.0
        self.alerts: list[Alert] = []
        self.database = SimpleNamespace(alerts=lambda: self.alerts)
        self.session = session(**facts)
        self.notices = Notices(self.session, lambda words, _: self.said.append(words), lambda: self.time_s)

    def look(self, leader: str | None = None, blocks: int = 0) -> list[str]:
        self.said.clear()
        self.time_s += 1_000
        now: Any = SimpleNamespace(collection_id="col_1", blocks=blocks)
        self.notices.look(self.database, now, leader)  # type: ignore[arg-type]
        return list(self.said)


def alert(name: str, severity: str = "warning") -> Alert:
    return Alert(name, "users", severity, "do something")


def test_new_alerts_are_said_once() -> None:
    world = World()
    world.alerts = [alert("old"), alert("urgent", "critical")]
    assert world.look() == ["Alert: critical: urgent (users): do something"]
    world.alerts = [*world.alerts, alert("new")]
    assert world.look() == ["Alert: warning: new (users): do something"]
    assert world.look() == []
    world.alerts = []
    assert world.look() == []
    world.alerts = [alert("new")]
    assert len(world.look()) == 1


def test_leaders_transactions_and_blocks() -> None:
    world = World()
    assert world.look("node1") == []
    assert world.look("") == ["The cluster has no leader at the moment; it was node1."]
    assert world.look("node2") == ["The leader is node2 now."]
    assert world.look("node2", blocks=3) == []
    world.session.notices = "all"
    assert world.look("node2", blocks=4) == ["Block 3 is sealed."]
    assert world.look("node2", blocks=7) == ["Blocks 4 to 6 are sealed."]
    world.session.transaction = SimpleNamespace(id=3, is_active=True)
    assert world.look("node2", blocks=7) == []
    world.session.transaction.is_active = False
    assert world.look("node2", blocks=7) == ["Transaction 3 has ended by itself; abort lets go of it."]
    assert world.look("node2", blocks=7) == []
    world.session.notices = "off"
    assert world.look("node3", blocks=9) == []
