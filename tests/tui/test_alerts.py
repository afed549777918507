"""Alerts: said once when they begin, and lines above the panels of metrics as long as they last."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb.alerts import Alert
from blockdb.commands.alerts import Lookout
from blockdb_tui.app import Explorer
from tests.server.watching import Limits
from tests.tui.drive import exploring, make_explorer, press, screen_text, settled
from tests.tui.fake import NOW_MS, FakeDatabase, sample
from tests.tui.test_snapshots import TEXTS, compare

DISK = Alert(
    "disk_space", "", "critical", "4.2 % of the disk is free, less than 5 %: make room, or writes will stop.", NOW_MS
)
SLOW = Alert("put_latency", "", "warning", "One put in a hundred takes longer than 31.0 ms; 20 ms are allowed.", NOW_MS)
HOSTILE = Alert("background_failure", "users", "critical", "No \x1b[2J room [red]left[/red].", NOW_MS)


class Seen:
    """A lookout that sees what it is told."""

    interval_s = 0.0

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = alerts
        self.error: Exception | None = None

    def look(self, database: object) -> tuple[Alert, ...]:
        if self.error is not None:
            raise self.error
        return self.alerts


def lines(pilot: Pilot[Any]) -> list[str]:
    """Those of the bar."""
    return [line.rstrip() for line in screen_text(pilot).splitlines() if line.startswith((" ✗", " …"))]


async def look_again(pilot: Pilot[Any]) -> None:
    """The next poll has come."""
    app = cast(Explorer, pilot.app)
    assert app.database is not None
    for _ in range(2):  # the first asks, the second shows
        app.take(app.database.stats())
        await settled(pilot)


async def test_alerts_come_and_go(request: pytest.FixtureRequest) -> None:
    seen = Seen()
    async with exploring(FakeDatabase(sample()), (100, 30), lookout=lambda: seen) as pilot:
        await press(pilot, "3")
        assert lines(pilot) == []
        seen.alerts = (DISK,)
        await look_again(pilot)
        [line] = lines(pilot)
        assert line.startswith(" ✗ disk_space  4.2 % of the disk is free, less than 5 %")
        assert len(pilot.app._notifications) == 1
        seen.alerts = (replace(DISK, message="3.9 % of the disk is free."), SLOW, HOSTILE)
        await look_again(pilot)
        assert len(pilot.app._notifications) == 3, "each is said once"
        assert "[red]left[/red]" in lines(pilot)[2]
        assert "\x1b" not in screen_text(pilot)
        seen.alerts = (*seen.alerts, replace(SLOW, subject="users"))
        await look_again(pilot)
        assert [line.split()[1] for line in lines(pilot)] == ["disk_space", "put_latency", "and"]
        compare("\n".join(lines(pilot)), TEXTS.parent / "alerts.txt", request)
        seen.error = blockdb.DatabaseClosed("it is closed")
        await look_again(pilot)
        assert len(lines(pilot)) == 3, "what cannot be looked at stays as it was"
        seen.alerts, seen.error = (), None
        await look_again(pilot)
        assert lines(pilot) == []


def test_the_rules_are_looked_at_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with blockdb.open(tmp_path / "db") as database:
        lookout = Lookout(Limits(), 10)
        assert lookout.look(database) == ()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 990, 10))
        [alert] = lookout.look(database)
        assert (alert.name, alert.severity) == ("disk_space", "critical")


def test_a_server_is_asked() -> None:
    class Remote:
        def alerts(self) -> list[Alert]:
            return [SLOW]

    assert Lookout(Limits(), 10).look(cast(blockdb.Database, Remote())) == (SLOW,)


@pytest.mark.torture
def test_the_picture(snap_compare: Callable[..., bool]) -> None:
    async def steps(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await press(pilot, "3")

    app = make_explorer(FakeDatabase(sample()), lookout=lambda: Seen(DISK, SLOW))
    assert snap_compare(app, terminal_size=(100, 30), run_before=steps)
