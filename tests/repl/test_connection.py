"""Where the shell is: going on with another database, and a server that is lost and found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blockdb.commands.failures import CANNOT_OPEN, DONE, FAILED, CannotOpen
from blockdb.commands.output import Output
from blockdb.commands.servers import Server
from blockdb.config import DatabaseConfig
from blockdb.errors import ConfigError, DatabaseNotFound, TransactionClosed, TransactionTimeout, Unavailable
from blockdb_repl import connection as module
from blockdb_repl.connection import Connection
from blockdb_repl.session import Session
from blockdb_repl.toolbar import Toolbar
from tests.commands.conftest import Run

SERVER = Server(urls=("http://127.0.0.1:8080",), collection="orders")
GONE = Unavailable("nobody listens there")


class Remote:
    """As much of a database as a shell asks for, with a server that can go away."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.closed = False

    def collection(self, name: str) -> Remote:
        assert name == "orders"
        return self

    def stats(self) -> Any:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(records=3, blocks=1, read_only=False, data_dir="/srv/data")

    def close(self) -> None:
        self.closed = True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def connection(remote: Remote, clock: Clock) -> Iterator[Connection]:
    found = Connection(SERVER, lambda _: remote, steady=clock)  # type: ignore[arg-type,return-value]
    yield found
    found.close()


def shown(toolbar: Toolbar) -> str:
    facts: Any = SimpleNamespace(collection=None, transaction=None, proven="", latency_s=None)
    return "".join(text for _, text, *_ in toolbar.fragments(facts, 200))


def test_a_server_is_lost_and_found(connection: Connection, remote: Remote, clock: Clock) -> None:
    told: list[object] = []
    connection.when_lost, connection.when_found = told.append, told.append
    toolbar = Toolbar(connection, lambda: connection())
    toolbar._look()
    assert "127.0.0.1:8080" in shown(toolbar)
    assert "records 3" in shown(toolbar)
    remote.error = GONE
    toolbar._look()
    toolbar._look()
    clock.now_s += 12
    assert "connection lost, trying again … (12 s)" in shown(toolbar)
    remote.error = None
    toolbar._look()
    assert told == [GONE, 12.0]
    assert "lost" not in shown(toolbar)


def test_the_node_that_answers_is_told_and_a_server_without_a_cluster_is_asked_once(
    connection: Connection, remote: Remote
) -> None:
    asked: list[str] = []

    class Cluster:
        engine = "raft"

        def state(self) -> Any:
            asked.append(self.engine)
            return SimpleNamespace(node_id="node2", state="Leader", engine=self.engine, leader="node2")

    remote.cluster = Cluster()  # type: ignore[attr-defined]
    toolbar = Toolbar(connection, lambda: connection())
    toolbar._look()
    assert "  node node2 leader" in shown(toolbar)
    Cluster.engine = "lone"
    for _ in range(3):
        toolbar._look()
    assert "node2" not in shown(toolbar)
    assert asked == ["raft", "lone"]


def test_an_answer_that_takes_long_is_told(connection: Connection, remote: Remote, clock: Clock) -> None:
    shown_meanwhile: list[str] = []

    class Slow(Remote):
        def stats(self) -> Any:
            clock.now_s += 5
            shown_meanwhile.append(shown(toolbar))
            return super().stats()

    toolbar = Toolbar(connection, Slow, clock)  # type: ignore[arg-type]
    toolbar._look()
    assert shown_meanwhile == [" 127.0.0.1:8080  no answer for 5 s …"]
    assert "records 3" in shown(toolbar)


def test_a_line_waits_for_a_server_that_is_lost_but_not_for_ever(
    connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(module, "GLANCE_S", 0.0)
    monkeypatch.setattr(module, "PATIENCE_S", -1.0)
    session = Session(connection, Output(words_are_data=True), format=None, in_script=False)
    connection.missed(GONE)
    clock.now_s += 75
    assert session.execute("stats") == CANNOT_OPEN
    assert (
        b"http://127.0.0.1:8080 has not answered for 1 min 15 s; nothing was asked of it"
        in capsysbinary.readouterr().err
    )
    assert session.execute("help get") == DONE  # needs no server
    connection.found()
    connection.await_server()


def test_a_line_that_fails_for_want_of_a_server_loses_it(connection: Connection, remote: Remote) -> None:
    session = Session(connection, Output(words_are_data=True), format=None, in_script=False)
    remote.error = GONE
    assert session.execute("stats") == CANNOT_OPEN
    assert connection.lost_s is not None


def test_an_error_of_a_directory_loses_nothing(tmp_path: Path) -> None:
    connection = Connection(DatabaseConfig(data_dir=str(tmp_path)), lambda _: None)  # type: ignore[arg-type,return-value]
    connection.missed(GONE)
    assert connection.lost_s is None


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [(None, False), (GONE, False), (TransactionClosed("no"), True), (TransactionTimeout("no"), True)],
)
def test_a_transaction_that_the_server_forgot_is_told(
    connection: Connection, error: Exception | None, is_lost: bool
) -> None:
    def exists(key: bytes) -> bool:
        if error is not None:
            raise error
        return False

    session = Session(connection, Output(words_are_data=True), format=None, in_script=False)
    assert session.transaction_lost() is None
    session.transaction = SimpleNamespace(id=7, is_active=True, exists=exists)  # type: ignore[assignment]
    told = session.transaction_lost()
    assert told == ("Transaction 7 was lost with the connection: nothing of it is stored." if is_lost else None)
    assert (session.transaction is None) == is_lost


def test_a_transaction_that_cannot_be_aborted_at_the_end_is_told(connection: Connection) -> None:
    def abort() -> None:
        raise GONE

    session = Session(connection, Output(words_are_data=True), format=None, in_script=False)
    session.transaction = SimpleNamespace(id=7, abort=abort)  # type: ignore[assignment]
    left = session.leave()
    assert left is not None
    assert "could not be aborted: nobody listens there" in left


def test_a_profile_has_its_collection(connection: Connection, remote: Remote) -> None:
    session = Session(connection, Output(words_are_data=True), format=None, in_script=False)
    assert session.collection == "orders"
    assert session.target() is remote


def test_another_database_that_cannot_be_opened_changes_nothing(remote: Remote) -> None:
    def open_it(location: object) -> Any:
        if location is not SERVER:
            raise CannotOpen("no") from DatabaseNotFound("no")
        return remote

    connection = Connection(SERVER, open_it)
    assert connection() is remote
    with pytest.raises(DatabaseNotFound):
        connection.connect("http://127.0.0.1:1")
    with pytest.raises(ConfigError):
        connection.connect("ftp://h")
    assert (connection.location, connection(), remote.closed) == (SERVER, remote, False)
    connection.close()


def test_the_shell_goes_on_with_another_database(run: Run, here: Path) -> None:
    lines = b"put a 1\n\\connect ./other\nget a\nput a 2\n\\connect blockdb_data\nget a\n"
    ran = run("repl", stdin=lines)
    assert (ran.code, ran.out) == (DONE, b"1\n")
    assert ran.err.count("This is ./other now") == 1
    assert run("-d", "other", "get", "a").out == b"2\n"


def test_connect_wants_the_transaction_ended(run: Run) -> None:
    ran = run("repl", stdin=b"begin\nput a 1\nconnect ./other\n")
    assert "is open; commit or abort it first" in ran.err
    assert ran.code != DONE


def test_connect_to_what_is_not_there_is_a_line_that_failed(run: Run) -> None:
    run("put", "a", "1")
    ran = run("repl", "--read-only", "--on-error", "continue", stdin=b"connect ./nothing\nget a\n")
    assert (ran.code, ran.out) == (FAILED, b"1\n")
    assert "line 1: Error: DatabaseNotFound" in ran.err
