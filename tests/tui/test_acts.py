"""The view of the audit log: who did what, as it is entered."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb_tui import acts
from blockdb_tui.acts import Acts, NewestActs
from blockdb_tui.screens import acts as screen
from blockdb_tui.screens.acts import ActsView
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import OFTEN_S, exploring, press, screen_text, until
from tests.tui.fake import FakeDatabase, attended


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "READ_EVERY_S", OFTEN_S)


async def look(pilot: Pilot[Any]) -> ActsView:
    await press(pilot, "7")
    view = shown(pilot, ActsView)
    await until(pilot, lambda: view.table.total == 40)
    return view


@covers("view.acts", "acts.follow", "acts.failed")
async def test_what_is_entered_is_followed_and_failures_stand_alone() -> None:
    database = attended()
    async with exploring(database, size=(150, 30)) as pilot:
        view = await look(pilot)
        text = screen_text(pilot)
        for words in ("following", "Forbidden", "DuplicateKey", "sensor", "192.0.2.9:41001", "90aa", "Entry 39"):
            assert words in text, words
        await press(pilot, "j")
        assert "following" not in screen_text(pilot)
        database.entered.append(database.entered[-1]._replace(principal="newcomer", sequence=40))
        await until(pilot, lambda: view.table.total == 41)
        assert view.table.row is not None
        assert view.table.row.sequence == 38
        await press(pilot, "f")
        assert "newcomer" in screen_text(pilot).splitlines()[3]
        await press(pilot, "e", "Y")
        assert view.table.total == 3
        assert "refused or failed" in screen_text(pilot)
        assert pilot.app.clipboard == "blockdb -d /srv/records audit-log --failed"


@pytest.mark.torture
@covers("acts.open", "acts.copy_key")
async def test_an_entry_leads_to_its_record() -> None:
    async with exploring(attended(), size=(150, 30)) as pilot:
        view = await look(pilot)
        await press(pilot, "f", "f", "j", "enter")
        assert view.table.row is not None
        assert (view.table.row.operation, view.table.row.keys) == ("flush", 0)
        assert "names no record" in said(pilot)[-1]
        await press(pilot, "j", "j", "c")
        assert pilot.app.clipboard == "order:00036"
        await press(pilot, "tab", "escape", "enter")
        assert app_of(pilot).inside == "orders"
        shown(pilot, RecordsView)


@pytest.mark.torture
async def test_a_log_that_is_damaged_says_so() -> None:
    database = attended()
    async with exploring(database) as pilot:
        await look(pilot)
        database.failing = blockdb.Corruption("audit/00000000.acts", 80, "\x1b[2J[/x]")
        await until(pilot, lambda: any("cannot be read" in words for words in said(pilot)))


async def test_the_log_is_read_by_one_at_a_time() -> None:
    async with exploring(attended(), size=(150, 30)) as pilot:
        view = await look(pilot)
        view.read_on()
        view.read_on()
        assert sum(worker.group == "acts" and not worker.is_finished for worker in pilot.app.workers) == 1


@pytest.mark.torture
async def test_a_database_without_a_log_has_no_entries() -> None:
    async with exploring() as pilot:
        await press(pilot, "7")
        assert "Nothing was entered yet." in screen_text(pilot)


def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "KEPT_ACTS", 10)
    database: FakeDatabase = attended()
    newest = Acts(database)  # type: ignore[arg-type]
    monkeypatch.setattr(newest, "_kept", acts.deque(maxlen=10))
    assert (newest.read(), newest.read(), newest.came) == (10, 0, 10)
    listing = NewestActs(newest, failed=False)
    assert listing.count() == 10
    row = listing.fetch(2, 1, 10)[0]
    database.entered += [database.entered[-1]._replace(sequence=40 + number) for number in range(3)]
    assert (newest.read(), listing.count()) == (3, 10)
    assert (row.sequence, listing.locate(row, 10)) == (37, 5)
