"""A server that goes away while it is explored: that is told, what is shown is marked, and all goes on by itself."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import blockdb
from tests.tiers import tiers
from tests.tui.drive import OFTEN_S, exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, sample

URL = "http://127.0.0.1:8080"
GONE = blockdb.Unavailable("nobody listens there")
SIZES = tiers([(80, 24)], [(180, 50)])


def served(database: FakeDatabase) -> Given:
    return Given(database, name=URL, is_server=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    monkeypatch.setattr("blockdb_tui.connected.TOLD_EVERY_S", OFTEN_S)


@pytest.mark.parametrize("size", SIZES)
async def test_a_server_that_goes_away_is_told_and_found_again(size: tuple[int, int]) -> None:
    database = FakeDatabase(sample())
    async with exploring(served(database), size, poll_s=OFTEN_S) as pilot:
        app: Any = pilot.app
        assert "● connected" in screen_text(pilot) or size[0] < 100
        database.failing = GONE
        await until(pilot, lambda: "No answer for " in screen_text(pilot))
        assert app.view.has_class("-stale")
        assert "image:0003" in screen_text(pilot)  # what was there stays
        await press(pilot, "down", "2", "1")  # and no key waits for it
        database.add((b"image:0004", b"1"))
        database.failing = None
        await until(pilot, lambda: "No answer" not in screen_text(pilot))
        await until(pilot, lambda: "image:0004" in screen_text(pilot))
        assert not app.view.has_class("-stale")


async def test_what_could_not_be_read_meanwhile_is_read_when_the_server_is_back() -> None:
    database = FakeDatabase(sample())
    async with exploring(served(database), poll_s=OFTEN_S) as pilot:
        app: Any = pilot.app
        database.failing = GONE
        database.unreadable = dict.fromkeys(database._sorted, GONE)
        await until(pilot, lambda: app.contact.lost)
        await press(pilot, "end")
        last = database.key_at(database.size - 1).decode()
        assert app.view.value.record is None or app.view.value.record.key.decode() != last
        database.unreadable = {}
        database.failing = None
        await until(pilot, lambda: app.view.value.record is not None and app.view.value.record.key.decode() == last)
        assert "Unavailable" not in screen_text(pilot)


@pytest.mark.torture
async def test_an_answer_that_takes_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.SILENCE_S", OFTEN_S)
    database = FakeDatabase(sample())
    may_answer = threading.Event()
    may_answer.set()
    stats = database.stats

    def slow() -> Any:
        may_answer.wait(20)
        return stats()

    database.stats = slow  # type: ignore[method-assign]
    async with exploring(served(database), poll_s=OFTEN_S) as pilot:
        may_answer.clear()
        await until(pilot, lambda: "No answer for" in screen_text(pilot))
        await press(pilot, "1", "down")
        may_answer.set()
        await until(pilot, lambda: "No answer for" not in screen_text(pilot))


@pytest.mark.torture
async def test_a_server_with_another_database_is_opened_anew() -> None:
    origin = served(FakeDatabase(sample()))
    async with exploring(origin, poll_s=OFTEN_S) as pilot:
        before: Any = origin.database
        before.failing = GONE
        await until(pilot, lambda: "No answer for" in screen_text(pilot))
        origin.database = FakeDatabase([(b"other", b"1")])
        before._items.clear()
        before._sort()
        before.failing = None
        await until(pilot, lambda: "other" in screen_text(pilot))
        await settled(pilot)
        assert "No answer" not in screen_text(pilot)


@pytest.mark.torture
async def test_a_server_that_was_never_there_is_waited_for() -> None:
    origin = served(FakeDatabase(sample()))
    origin.error = GONE
    async with exploring(origin, (80, 24), poll_s=OFTEN_S) as pilot:
        assert "See whether the server runs" in screen_text(pilot)
        origin.error = None
        await until(pilot, lambda: "image:0003" in screen_text(pilot))


@pytest.mark.torture
async def test_a_token_that_is_not_known_ends_the_explorer() -> None:
    origin = served(FakeDatabase(sample()))
    origin.error = blockdb.Unauthenticated("Nobody knows this token.")
    async with exploring(origin, poll_s=OFTEN_S) as pilot:
        app: Any = pilot.app
        await until(pilot, lambda: app.refused is not None)


@pytest.mark.torture
async def test_changes_go_on_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.changes.AGAIN_S", 0.01)
    database = FakeDatabase(sample())
    async with exploring(served(database), poll_s=OFTEN_S) as pilot:
        app: Any = pilot.app
        await press(pilot, "6")
        await until(pilot, lambda: app.view.stream.came == database.size)
        database.failing = GONE
        await until(pilot, lambda: "No answer for" in screen_text(pilot))
        database.add((b"while:away", b"1"))
        database.failing = None
        await until(pilot, lambda: "while:away" in screen_text(pilot))
        assert app.view.stream.came == database.size
        assert not app.view.stream.passed_over


async def test_the_lab_says_that_it_needs_the_directory_and_commands_name_the_server() -> None:
    async with exploring(served(FakeDatabase(sample()))) as pilot:
        app: Any = pilot.app
        assert app.view.shown_as_command() == f"blockdb --url {URL} scan"
        await press(pilot, "4")
        assert "Explore the directory, on the machine where the data is" in screen_text(pilot)
        await press(pilot, "a")
        assert not app.laboratory.outcomes
