"""The dashboard: every panel tells what it should, opens its full view, and is not drawn for nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from blockdb import Forbidden, Problem, Report
from blockdb.alerts import Alert
from blockdb_tui.app import Explorer
from blockdb_tui.chronicle import Chronicle, between
from blockdb_tui.drawing import area
from blockdb_tui.health import Check, checks, verdict
from blockdb_tui.history import History
from blockdb_tui.largest import MOST_LOOKED_AT, Largest
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.cluster import ClusterView
from blockdb_tui.screens.collections import CollectionsView
from blockdb_tui.screens.dashboard import DashboardView
from blockdb_tui.screens.metrics import MetricsView
from tests.tui.covering import app_of, covers, shown
from tests.tui.drive import exploring, press, screen_text, settled
from tests.tui.fake import NOW_MS, FakeDatabase, Given, attended, sample
from tests.tui.fake_cluster import live

ALERT = Alert("disk_free", "orders", "critical", "3 % of the disk is free", NOW_MS - 60_000)


@covers("view.dashboard", "dashboard.open", "dashboard.next", "dashboard.previous")
@pytest.mark.torture
async def test_each_panel_tells_its_part_and_opens_its_view() -> None:
    async with exploring(attended(), size=(170, 48)) as pilot:
        await press(pilot, "d")
        view = shown(pilot, DashboardView)
        text = screen_text(pilot)
        for words in (
            "○ attached",
            "· not verified",
            "· nobody looks",
            "▲ 0 writes/s",
            "7 sealed",
            "■ chain",
            "✓ nothing wrong is known",
        ):
            assert words in text
        assert re.search(r"orders +24 +3.3 KB", text)
        assert "✗ Forbidden" in text, "the audit log is among what happened"
        assert "▣ sealed" in text
        panels = (("dash-health", MetricsView), ("dash-chain", BlocksView), ("dash-largest", CollectionsView))
        for id_, kind in panels:
            view.query_one(f"#{id_}").focus()
            await press(pilot, "enter")
            shown(pilot, kind)
            await press(pilot, "escape")
            assert pilot.app.screen is view
        view.health.focus()
        await press(pilot, "l", "l")
        assert view.focused is view.bytes
        await press(pilot, "h")
        assert view.focused is view.flow
        await pilot.click("#dash-latency")
        await settled(pilot)
        shown(pilot, MetricsView)


async def test_what_comes_is_drawn_and_what_is_the_same_is_not() -> None:
    async with exploring(FakeDatabase(sample()), size=(120, 40)) as pilot:
        app, database = app_of(pilot), app_of(pilot).database
        assert isinstance(database, FakeDatabase)
        await press(pilot, "d")
        view = shown(pilot, DashboardView)
        for _ in range(800):  # until the hills are as wide as they get
            app.history.add(app.steady_s(), database.stats())
        await _take(pilot, app, database)
        view.look()
        await settled(pilot)
        drawn: list[str] = []
        for panel in (view.flow, view.bytes, view.latency, view.holdings, view.largest, view.chain):
            refreshed = panel.refresh
            panel.refresh = lambda *_, name=panel.id, do=refreshed, **__: (drawn.append(str(name)), do())[1]  # type: ignore[assignment, misc]
        for _ in range(8):
            await _take(pilot, app, database)
        assert not drawn, "nothing has changed"
        database.changes = {"writes_stopped": "the disk is full", "stalls": 2}
        database.add(*((b"new:%d" % number, b"{}") for number in range(8)))
        app.alarms.alerts = (ALERT,)
        for _ in range(5):
            await _take(pilot, app, database)
        text = screen_text(pilot)
        assert "dash-flow" in drawn
        for words in ("✗ stopped", "the disk is full", "✗ 1 alert on", "✗ disk_free orders", "block 7 ·", "! stalled"):
            assert words in text
        assert "✗ look at alerts, writes" in text


async def _take(pilot: Pilot[Any], app: Explorer, database: FakeDatabase) -> None:
    app.take(database.stats())
    await settled(pilot)


@pytest.mark.torture
async def test_the_cluster_has_a_panel_where_there_is_one() -> None:
    async with exploring(Given(FakeDatabase(sample()), is_server=True), size=(80, 24), scene=live()) as pilot:
        await press(pilot, "d")
        text = screen_text(pilot)
        assert "◆ node2 leads" in text or "◆ leader" in text
        assert "= agrees" in text
        shown(pilot, DashboardView).query_one("#dash-cluster").focus()
        await press(pilot, "Y", "enter")
        shown(pilot, ClusterView)


@pytest.mark.parametrize("size", [(60, 15), (250, 70)])
@pytest.mark.torture
async def test_it_fits_any_screen(size: tuple[int, int]) -> None:
    async with exploring(FakeDatabase(), size=size) as pilot:
        await press(pilot, "d", *["tab"] * 10)
        assert "Health" in screen_text(pilot)


# ── what it is made of ──


async def test_the_checks_say_what_is_wrong() -> None:
    async with exploring(FakeDatabase(sample())) as pilot:
        app = app_of(pilot)
        app.verification.report = Report(False, 7, 60, (Problem("a", 1, 2, 3, None, "x"),), 1.0, cancelled=False)
        by_name = {check.name: check for check in checks(app)}
        assert (by_name["integrity"].glyph, by_name["integrity"].word) == ("✗", "damaged")
        assert verdict(list(by_name.values())).word == "look at integrity"
        app.verification.report = app.database.verify() if app.database is not None else None
        assert {check.name: check.word for check in checks(app)}["integrity"] == "proven"


async def test_no_alert_is_not_said_where_nobody_may_know() -> None:
    class Refused:
        interval_s = 1.0

        def look(self, database: object) -> tuple[Alert, ...]:
            raise Forbidden("'ann' is a reader, who may not audit.")

    async with exploring(FakeDatabase(sample()), lookout=Refused) as pilot:
        app = app_of(pilot)
        await settled(pilot)
        found = {check.name: check for check in checks(app)}["alerts"]
        assert (found.word, found.detail) == ("not told", "the token may not audit")


def test_the_verdict_puts_what_is_wrong_before_what_is_doubtful() -> None:
    found = [Check("a", "!", "x", "warning"), Check("b", "✗", "y", "error"), Check("c", "✓", "z", "success")]
    assert verdict(found).word == "look at b, a"
    assert verdict(found[2:]).role == "success"


def test_what_happened_between_two_snapshots() -> None:
    database = FakeDatabase(sample(16))
    before = database.stats()
    database.add(*sample(40)[16:])
    tables = (
        *before.tables,
        replace(before.tables[0], name="000009.sst", tier=0),
        replace(before.tables[0], name="10"),
    )
    database.changes = {"tables": tables, "duplicates": 5, "background_failure": "no room\x1b[2J"}
    found = [(event.word, event.text) for event in between(before, database.stats(), 7)]
    assert found[0] == ("sealed", "blocks 2 … 4 · 24 records")
    assert [word for word, _ in found[1:]] == ["flushed", "merged", "refused", "failing"]
    assert found[-1] == ("failing", "no room␛[2J")
    assert not list(between(before, before, 7))


def test_events_have_the_time_of_day_and_are_told_once() -> None:
    database, history, chronicle = FakeDatabase(sample(8)), History(), Chronicle()
    history.add(10.0, database.stats())
    chronicle.catch_up(history, 10.0, NOW_MS)
    database.add(*sample(16)[8:])
    history.add(11.0, database.stats())
    for _ in range(2):
        chronicle.catch_up(history, 12.0, NOW_MS)
    assert [(event.time_ms, event.text) for event in chronicle.events] == [(NOW_MS - 1000, "block 1 · 8 records")]
    chronicle.hear((ALERT,), NOW_MS)
    chronicle.hear((ALERT,), NOW_MS)
    chronicle.hear((), NOW_MS + 5)
    assert [event.word for event in chronicle.newest((), 9)] == ["calm", "sealed", "alert"]


def test_the_largest_collections_are_looked_at_in_turn_and_not_all() -> None:
    database = FakeDatabase(sample())
    for number in range(MOST_LOOKED_AT + 9):
        database.with_collection(f"c{number:03}", [(b"k%d" % at, b"v") for at in range(number)])
    largest = Largest(database)  # type: ignore[arg-type]
    for _ in range(MOST_LOOKED_AT):
        largest.look()
    assert largest.total == MOST_LOOKED_AT + 10
    assert len(largest.sizes) == MOST_LOOKED_AT
    assert largest.sizes[0][:2] == (f"c{MOST_LOOKED_AT - 1:03}", MOST_LOOKED_AT - 1)
    database.drop_collection("c000")
    for _ in range(3):
        largest.look()
    assert "c000" not in {name for name, _, _ in largest.sizes}


def test_an_area_that_hangs_is_the_other_upside_down() -> None:
    values = [0, 1, 2, 5, 8, 8, 3, 1]
    dots = {"⣀": "⠉", "⣿": "⣿", "⣤": "⠛", "⣶": "⠿", " ": " "}
    standing, hanging = area([4] * 8, 4, 2, 8), area([4] * 8, 4, 2, 8, hanging=True)
    assert [[dots[cell] for cell in row] for row in reversed(standing)] == [list(row) for row in hanging]
    assert len(area(values, 4, 3, 8, hanging=True)) == 3
