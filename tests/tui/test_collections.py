"""The view of all collections, and what it is to be inside one of them."""

from __future__ import annotations

import pytest

import blockdb
from blockdb import Problem
from blockdb.commands import table
from blockdb.commands.command import Where
from blockdb.commands.parsing import parse_arguments
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.collections import CollectionsView
from blockdb_tui.screens.metrics import MetricsView
from blockdb_tui.screens.problems import Problems
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import OFTEN_S, exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, sample, shop


@covers("view.collections", "collections.enter")
@pytest.mark.torture
async def test_a_collection_is_entered_and_all_views_are_its_own() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "2", "1", "0")
        text = screen_text(pilot)
        assert "1 of 3" in text
        assert [name for name in ("default", "orders", "people") if name in text] == ["default", "orders", "people"]
        await press(pilot, "j", "enter")
        view = shown(pilot, RecordsView)
        assert view.table.total == 24
        assert "orders" in "".join(screen_text(pilot).splitlines()[:2])
        await press(pilot, "2")
        assert shown(pilot, BlocksView).belt.sealed == 3
        await press(pilot, "3", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records stats --collection orders"
        await press(pilot, "escape")
        assert shown(pilot, CollectionsView).table.row == "orders"
        await press(pilot, "j", "enter")
        assert view.table.total == 1
        await press(pilot, "0", "g", "enter")
        assert view.table.total == 60
        assert "›" not in screen_text(pilot).splitlines()[0]


@pytest.mark.torture
@covers("view.back")
async def test_escape_leads_out_of_a_collection() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "G", "enter", "escape")
        shown(pilot, CollectionsView)
        await press(pilot, "3")
        shown(pilot, MetricsView)
        await press(pilot, "escape")
        shown(pilot, CollectionsView)
        await press(pilot, "escape")
        shown(pilot, CollectionsView)


@pytest.mark.torture
async def test_what_was_chosen_in_one_collection_is_forgotten_in_the_next() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "slash", *"note:", "enter", "enter")
        view = shown(pilot, RecordsView)
        assert view.has_class("-zoomed")
        await press(pilot, "0", "j", "enter")
        assert (view.prefix, view.table.total, view.has_class("-zoomed")) == (b"", 24, False)


@pytest.mark.torture
async def test_what_is_known_of_a_collection_stands_beside_the_list() -> None:
    async with exploring(shop(), size=(140, 30)) as pilot:
        await press(pilot, "0", "j")
        text = screen_text(pilot)
        assert "What was bought" in text
        assert "grace" in text
        await press(pilot, "j")
        assert "expire after" in screen_text(pilot)


@pytest.mark.torture
async def test_collections_are_found_by_name() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "ctrl+p", *"peo")
        await until(pilot, lambda: "Collection people" in screen_text(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: app_of(pilot).inside == "people")


@pytest.mark.torture
@covers("collections.filter", "collections.copy_id")
async def test_names_are_filtered_by_any_part_of_them() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "slash", *"EOP")
        assert shown(pilot, CollectionsView).table.total == 1
        await press(pilot, "enter", "c")
        assert pilot.app.clipboard == shop().collection("people").id
        await press(pilot, "escape")
        assert shown(pilot, CollectionsView).table.row == "people"
        assert shown(pilot, CollectionsView).table.total == 3
        await press(pilot, "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records collection list"


async def test_a_thousand_collections_are_listed_and_few_of_them_opened() -> None:
    database = FakeDatabase(sample())
    for number in range(1000):
        database.with_collection(f"tenant-{number:04}", sample(3))
    async with exploring(database, size=(80, 24)) as pilot:
        await press(pilot, "0")
        table = shown(pilot, CollectionsView).table
        assert table.total == 1001
        for key in ("G", "g", "pagedown", "end"):
            await press(pilot, key)
        assert table.row == "tenant-0999"
        assert "···" not in screen_text(pilot)
        described = [collection for collection in database.others.values() if collection.calls["describe"]]
        assert len(described) <= 4 * table.rows_in_view


@pytest.mark.torture
async def test_what_is_in_a_collection_is_seen_to_grow() -> None:
    database = shop()
    async with exploring(database) as pilot:
        await press(pilot, "0")
        database.others["people"].add((b"grace", b"{}"), (b"alan", b"{}"))
        database.with_collection("zebras")
        app_of(pilot).take(database.stats())
        await settled(pilot)
        text = screen_text(pilot)
        assert "zebras" in text
        assert "1 of 4" in text
        [line] = [line for line in text.splitlines() if "people" in line]
        assert " 3 " in line


@covers("collections.create", "collections.drop", "app.arm", "confirm.cancel")
async def test_collections_are_made_and_dropped_once_the_explorer_is_armed() -> None:
    database = shop(read_only=False)
    async with exploring(database) as pilot:
        await press(pilot, "0", "n")
        assert not shown(pilot, CollectionsView).prompt.asking
        await press(pilot, "D")
        assert "Dropping a collection: not while the explorer only reads. ! arms it." in said(pilot)[-1]
        assert "ARMED" not in screen_text(pilot)
        await press(pilot, "exclamation_mark")
        assert "ARMED" in screen_text(pilot).splitlines()[0]
        await press(pilot, "n", *"cats", "enter")
        view = shown(pilot, CollectionsView)
        assert view.table.row == "cats"
        assert "cats was made" in said(pilot)[-1]
        await press(pilot, "n", *"cats", "enter")
        assert "DuplicateCollection" in said(pilot)[-1]
        await press(pilot, "j", "j", "D")
        text = screen_text(pilot)
        assert "Collection orders is dropped with its 24 documents" in text
        assert "Type orders to go on." in text
        await press(pilot, *"order", "enter", "escape")
        assert "Nothing was done." in said(pilot)[-1]
        assert "orders" in database.others
        await press(pilot, "D", "x")
        assert "That is not its name." in screen_text(pilot)
        await press(pilot, "backspace", *"orders", "enter")
        assert "orders" not in database.others
        assert "orders" not in screen_text(pilot).replace("orders was", "")
        assert view.table.total == 3
        await press(pilot, "exclamation_mark")
        assert "ARMED" not in screen_text(pilot)


async def test_arming_says_why_a_database_cannot_be_written_and_ends_when_it_goes_away() -> None:
    origin = Given(shop())
    origin.locked = blockdb.DatabaseLocked("process 42 has it")
    async with exploring(origin) as pilot:
        await press(pilot, "exclamation_mark")
        assert "Another process has the database open to write" in said(pilot)[-1]
        assert "process 42 has it" in said(pilot)[-1]
        explorer = app_of(pilot)
        assert not explorer.armed
        origin.locked = None
        await press(pilot, "exclamation_mark")
        assert explorer.armed
        explorer._lost(blockdb.DatabaseClosed("It was replaced."))
        assert not explorer.armed
        await press(pilot, "exclamation_mark")
        assert "There is no database yet" in said(pilot)[-1]


def test_a_command_says_whether_it_writes_and_what_it_is_about() -> None:
    def of(line: str) -> tuple[bool, bool, str]:
        command, words = table.take(line.split(), Where.COMMAND_LINE)
        arguments = parse_arguments(command, words)
        return command.writes(arguments), command.dangerous, command.about(arguments)

    assert of("get user:1") == (False, False, "user:1")
    assert of("verify") == (False, False, "verify")
    assert of("verify --repair")[0]
    assert of("collection schema users --set x.json")[0]
    assert of("collection drop users") == (True, True, "users")
    assert of("redact a b --reason why") == (True, True, "a b")
    assert of("cluster remove node4") == (True, True, "node4")
    assert of("keys rotate") == (True, True, "keys rotate")


@pytest.mark.torture
async def test_a_collection_that_is_dropped_meanwhile_is_left() -> None:
    database = shop()
    async with exploring(database, poll_s=OFTEN_S) as pilot:
        await press(pilot, "0", "j", "enter")
        database.drop_collection("orders")
        await until(pilot, lambda: isinstance(pilot.app.screen, CollectionsView))
        await settled(pilot)
        assert "orders cannot be read any more" in said(pilot)[-1]
        assert app_of(pilot).inside is None


@pytest.mark.torture
async def test_a_collection_that_cannot_be_read_is_named_and_the_others_are_shown() -> None:
    database = shop()
    database.others["orders"].failing = blockdb.Corruption("collections/col_1/manifest.toml", None, "\x1b[31m[/x]")
    async with exploring(database) as pilot:
        await press(pilot, "0", "j")
        assert "Corruption: " in screen_text(pilot)
        await press(pilot, "enter")
        shown(pilot, CollectionsView)
        assert "orders cannot be entered" in said(pilot)[-1]


@pytest.mark.torture
async def test_the_block_of_a_problem_is_shown_in_its_own_collection() -> None:
    database = shop()
    orders = database.others["orders"]
    database.problems = (Problem(f"collections/{orders.id}/chain/00000000.chain", 7, 1, None, None, "what"),)
    async with exploring(database) as pilot:
        await press(pilot, "2", "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        await press(pilot, "escape", "g")
        belt = "".join(screen_text(pilot).splitlines()[1:8])
        assert "✗" not in belt
        assert "✓" not in belt, "nothing is known of the default collection"
        await press(pilot, "p", "enter")
        assert app_of(pilot).inside == "orders"
        view = shown(pilot, BlocksView)
        assert view.belt.selected == 1
        assert "✗ damage" in screen_text(pilot)


@pytest.mark.torture
async def test_verification_is_of_the_collection_that_was_entered() -> None:
    database = shop()
    async with exploring(database) as pilot:
        await press(pilot, "0", "j", "enter", "v")
        await until(pilot, lambda: app_of(pilot).verification.report is not None)
        await settled(pilot)
        assert "✓ verified orders: 3 blocks, 24 records" in screen_text(pilot)
        assert "✓ 2" in screen_text(pilot)
        await press(pilot, "0", "g", "enter", "2", "h")
        assert "✓ verified orders" in screen_text(pilot)
        assert "✓ 2" not in screen_text(pilot), "that was another collection's block"


@pytest.mark.torture
async def test_a_database_that_comes_back_is_shown_where_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    database = shop()
    async with exploring(database, poll_s=OFTEN_S) as pilot:
        await press(pilot, "0", "j", "enter")
        orders, app = database.others["orders"], app_of(pilot)
        database.failing = orders.failing = OSError(5, "Input/output error")
        await until(pilot, lambda: app.database is None)
        database.failing = orders.failing = None
        await until(pilot, lambda: app.inside == "orders")
        await settled(pilot)
        assert "order:0000" in screen_text(pilot)
