"""Every key does what it says. A binding that no test here presses fails the last test."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

import blockdb
from blockdb import Problem
from blockdb_tui.bindings import all_bindings
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.help import Help
from blockdb_tui.screens.lab import LabView
from blockdb_tui.screens.metrics import STEPS, MetricsView
from blockdb_tui.screens.problems import Problems
from blockdb_tui.screens.proof import Proof
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.small import TooSmall
from blockdb_tui.screens.themes import ThemePicker
from blockdb_tui.widgets.panel import Panel
from tests.tui import (  # noqa: F401 - their tests press keys, too
    test_acts,
    test_cluster,
    test_collections,
    test_dashboard,
    test_queries,
    test_recording,
    test_schema_and_changes,
    test_tour,
    test_transactions_view,
)
from tests.tui.covering import app_of, covered, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, sample
from tests.tui.fake_lab import COPY, FakeLab

# ── everywhere ──


@covers("view.records", "view.blocks", "view.metrics")
async def test_views_are_switched_by_number() -> None:
    async with exploring() as pilot:
        for key, view in (("2", BlocksView), ("3", MetricsView), ("1", RecordsView)):
            await press(pilot, key)
            shown(pilot, view)


@covers("view.back")
async def test_escape_goes_back_step_by_step() -> None:
    async with exploring() as pilot:
        await press(pilot, "2", "h", "r", "j", "enter")
        view = shown(pilot, RecordsView)
        assert view.table.row is not None
        assert view.value.record is not None
        assert view.value.record.sequence == 49
        await press(pilot, "enter")
        assert view.has_class("-zoomed")
        await press(pilot, "escape")
        assert not view.has_class("-zoomed")
        await press(pilot, "escape")
        blocks = shown(pilot, BlocksView)
        await press(pilot, "escape")
        assert blocks.focused is blocks.belt
        await press(pilot, "escape")
        shown(pilot, BlocksView)


@covers("app.verify", "problems.close")
@pytest.mark.torture
async def test_verification_shows_progress_and_what_it_found() -> None:
    database = FakeDatabase(sample())
    database.problems = (Problem("chain/00000001.chain", 700, 3, 25, b"note:0026", "the checksum does not fit"),)
    database.may_verify.clear()
    async with exploring(database) as pilot:
        await press(pilot, "v")
        view = shown(pilot, BlocksView)
        await until(pilot, lambda: "of 60 records" in screen_text(pilot))
        database.may_verify.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        await settled(pilot)
        assert "chain/00000001.chain, byte 700, block 3, record 25, key 'note:0026'" in screen_text(pilot)
        await press(pilot, "escape")
        assert pilot.app.screen is view
        assert "✗ 1 problem" in screen_text(pilot)
        assert "✗ 3" in screen_text(pilot)
        assert "✓ 2" in screen_text(pilot)
        assert "· 4" in screen_text(pilot), "what stands behind the damage is not proven"


async def test_escape_cancels_a_verification() -> None:
    database = FakeDatabase(sample())
    database.may_verify.clear()
    async with exploring(database) as pilot:
        await press(pilot, "v")
        await until(pilot, lambda: app_of(pilot).verification.progress is not None)
        await press(pilot, "escape")
        await until(pilot, lambda: not app_of(pilot).verification.running)
        await settled(pilot)
        assert "cancelled" in screen_text(pilot)


@covers("app.problems")
@pytest.mark.torture
async def test_the_problems_lead_to_their_block() -> None:
    database = FakeDatabase(sample())
    database.problems = (Problem("chain/00000001.chain", 700, 3, None, None, "what"),)
    async with exploring(database) as pilot:
        await press(pilot, "2", "p")
        assert "No problem is known" in said(pilot)[-1]
        await press(pilot, "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        await press(pilot, "escape", "p", "enter")
        view = shown(pilot, BlocksView)
        assert view.belt.selected == 3
        assert "✗ damage" in screen_text(pilot)


@covers("app.theme", "themes.next", "themes.revert")
@pytest.mark.torture
async def test_themes_are_worn_while_they_are_chosen() -> None:
    async with exploring() as pilot:
        await press(pilot, "t")
        shown(pilot, ThemePicker)
        await press(pilot, "t")
        assert pilot.app.theme == "amber"
        await press(pilot, "escape")
        assert pilot.app.theme == "basalt"
        await press(pilot, "t", "j", "j", "enter")
        assert pilot.app.theme == "contrast"
        shown(pilot, RecordsView)


@covers("app.commands")
@pytest.mark.torture
async def test_commands_are_found_by_name_and_keys_by_their_beginning() -> None:
    async with exploring() as pilot:
        await press(pilot, "ctrl+p", *"go to metrics", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MetricsView))
        await press(pilot, "ctrl+p", *"user:0148")
        await until(pilot, lambda: "Key" in screen_text(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordsView))
        await settled(pilot)
        row = shown(pilot, RecordsView).table.row
        assert row is not None
        assert row.key == b"user:0148"
        await press(pilot, "ctrl+p", "5")
        await until(pilot, lambda: "Block 5" in screen_text(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BlocksView))
        await settled(pilot)
        assert shown(pilot, BlocksView).belt.selected == 5


@pytest.mark.torture
@covers("app.copy_command")
async def test_the_command_behind_the_screen_is_copied() -> None:
    async with exploring() as pilot:
        await press(pilot, "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records scan"
        await press(pilot, "slash", *"user:", "enter", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records scan --prefix user:"
        await press(pilot, "enter", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records get user:0000"
        await press(pilot, "2", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records blocks"
        await press(pilot, "h", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records block 6"
        await press(pilot, "r", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records block 6 --records"
        await press(pilot, "3", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records stats"


@covers("app.help", "help.close", "help.down", "help.up")
@pytest.mark.torture
async def test_help_explains_the_focused_pane() -> None:
    async with exploring(size=(80, 24)) as pilot:
        await press(pilot, "question_mark")
        pane = shown(pilot, Help).query_one("#help")
        assert "as quick on ten" in screen_text(pilot)
        for key, line in (("j", 1), ("down", 2), ("k", 1), ("up", 0)):
            await press(pilot, key)
            assert pane.scroll_y == line, key
        await press(pilot, "escape", "2", "question_mark")
        assert "The chain, the oldest block" in screen_text(pilot)
        await press(pilot, "question_mark")
        shown(pilot, BlocksView)


@covers("app.quit")
async def test_q_quits() -> None:
    async with exploring() as pilot:
        await press(pilot, "q")
        await until(pilot, lambda: not pilot.app.is_running)


@covers("small.quit")
async def test_a_terminal_that_is_too_small_says_so() -> None:
    async with exploring() as pilot:
        await pilot.resize_terminal(59, 24)
        await settled(pilot)
        shown(pilot, TooSmall)
        assert "60×15 needed" in screen_text(pilot)
        await pilot.resize_terminal(60, 15)
        await settled(pilot)
        shown(pilot, RecordsView)
        await pilot.resize_terminal(60, 14)
        await settled(pilot)
        await press(pilot, "q")
        await until(pilot, lambda: not pilot.app.is_running)


# ── records ──


@covers("lines.up", "lines.down", "lines.page_up", "lines.page_down", "lines.first", "lines.last")
async def test_the_cursor_is_moved_by_arrows_and_by_the_keys_of_vi() -> None:
    async with exploring() as pilot:
        table = shown(pilot, RecordsView).table
        steps = [("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 59), ("g", 0), ("end", 59), ("home", 0)]
        page = table.rows_in_view - 1
        steps += [("pagedown", page), ("pageup", 0), ("ctrl+d", page), ("ctrl+u", 0)]
        for key, cursor in steps:
            await press(pilot, key)
            assert table.cursor == cursor, key


@covers("records.filter", "prompt.cancel")
@pytest.mark.torture
async def test_the_filter_lists_while_it_is_typed() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "slash", *"note")
        assert view.table.total == 8
        assert "Records › note" in screen_text(pilot)
        await press(pilot, "escape")
        assert view.table.total == 60
        await press(pilot, "slash", *"user:01", "enter")
        assert view.table.total == 5
        assert view.focused is view.table
        await press(pilot, "j", "escape")
        assert view.table.total == 60
        assert view.table.row is not None
        assert view.table.row.key == b"user:0110"


async def test_keys_that_do_something_elsewhere_can_be_typed_into_the_prompt() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "slash", *"q/1t:?", "enter")
        assert view.prefix == b"q/1t:?"


@covers("records.jump")
async def test_jump_goes_to_a_key_or_to_the_next_one() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        for typed, key in (("note:0026", b"note:0026"), ("user:0075", b"user:0109"), ("zzz", b"user:0999")):
            await press(pilot, "J", *typed, "enter")
            assert view.table.row is not None
            assert view.table.row.key == key or key not in sorted(dict(sample()))


@covers("records.order")
async def test_the_order_changes_and_the_cursor_stays_on_its_record() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "j", "j", "j", "o")
        assert "newest first" in screen_text(pilot)
        assert view.table.row is not None
        assert (view.table.row.key, view.table.row.sequence) == (b"image:0024", 24)
        await press(pilot, "o")
        assert view.table.cursor == 3
        assert "newest first" not in screen_text(pilot)


@covers("records.follow")
async def test_follow_stays_on_the_newest() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "f")
        database.add((b"fresh", b"1"))
        app_of(pilot).take(database.stats())
        await until(pilot, lambda: view.table.row is not None and view.table.row.key == b"fresh")
        assert "following the newest" in screen_text(pilot)
        await press(pilot, "f")
        database.add((b"fresher", b"2"))
        app_of(pilot).take(database.stats())
        await until(pilot, lambda: view.table.total == 62)
        assert view.table.row is not None
        assert view.table.row.key == b"fresh"
        assert view.table.cursor == 1


@covers("records.zoom", "records.open", "table.choose")
async def test_the_value_can_have_the_whole_view() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "z")
        await until(pilot, lambda: view.value.size.width > 110)
        assert not view.table.display
        await press(pilot, "z")
        assert view.table.display
        await press(pilot, "enter")
        assert view.focused is view.value


@covers("records.block")
@pytest.mark.torture
async def test_a_record_leads_to_its_block_and_to_its_leaf() -> None:
    async with exploring() as pilot:
        await press(pilot, "J", *"note:0026", "enter", "b")
        view = shown(pilot, BlocksView)
        assert (view.belt.selected, view.table.cursor, view.merkle.leaf) == (3, 2, 2)
        await press(pilot, "escape", "escape")
        shown(pilot, RecordsView)


@covers("records.copy_key", "records.copy_value")
async def test_keys_and_values_are_copied_and_nothing_more_is_claimed() -> None:
    async with exploring() as pilot:
        await press(pilot, "J", *"note:0005", "enter", "c")
        assert pilot.app.clipboard == "note:0005"
        assert "Asked the terminal" in said(pilot)[-1]
        assert "it does not tell" in said(pilot)[-1]
        await press(pilot, "y")
        assert pilot.app.clipboard.startswith("Note 5\n")


async def test_bytes_are_copied_in_hex_and_too_many_not_at_all() -> None:
    async with exploring(FakeDatabase([(b"a", b"\xff\x00"), (b"b", bytes(70_000))])) as pilot:
        await press(pilot, "y")
        assert pilot.app.clipboard == "ff00"
        assert "in hex" in said(pilot)[-1]
        await press(pilot, "j", "y")
        assert pilot.app.clipboard == "ff00"
        assert "more than terminals take" in said(pilot)[-1]


@covers("value.mode")
async def test_the_value_is_read_as_json_text_and_hex() -> None:
    async with exploring() as pilot:
        view = shown(pilot, RecordsView)
        await press(pilot, "J", *"user:0000", "enter", "tab")
        assert view.value.mode == "json"
        for mode in ("text", "hex", "json", "text"):
            await press(pilot, "m")
            assert view.value.mode == mode
        await press(pilot, "shift+tab", "j")
        assert view.value.mode == "text"


# ── blocks ──


@covers("belt.previous", "belt.next", "belt.page_back", "belt.page_on", "belt.first", "belt.last")
@pytest.mark.torture
async def test_the_belt_is_walked() -> None:
    async with exploring(FakeDatabase(sample(300))) as pilot:
        await press(pilot, "2")
        belt = shown(pilot, BlocksView).belt
        assert belt.selected == 37
        page = belt.tiles_in_view
        steps = [
            ("h", 36),
            ("left", 35),
            ("l", 36),
            ("right", 37),
            ("l", 37),
            ("g", 0),
            ("h", 0),
            ("G", 37),
            ("home", 0),
        ]
        steps += [("end", 37), ("pageup", 37 - page), ("pagedown", 37), ("ctrl+u", 37 - page), ("ctrl+d", 37)]
        steps += [("H", 37 - page), ("L", 37)]
        for key, number in steps:
            await press(pilot, key)
            assert belt.selected == number, key


@covers("blocks.jump")
@pytest.mark.torture
async def test_jump_goes_to_a_block_by_number() -> None:
    async with exploring(FakeDatabase(sample(300))) as pilot:
        view_keys = ("2", "J", *"12", "enter")
        await press(pilot, *view_keys)
        assert shown(pilot, BlocksView).belt.selected == 12
        await press(pilot, "J", *"x", "enter")
        assert "0 to 37" in said(pilot)[-1]


@covers("blocks.records", "blocks.tree", "blocks.copy_hash")
@pytest.mark.torture
async def test_records_and_tree_of_a_block_take_turns() -> None:
    async with exploring() as pilot:
        await press(pilot, "2", "c")
        assert "no hash yet" in said(pilot)[-1]
        await press(pilot, "h", "m")
        view = shown(pilot, BlocksView)
        assert view.focused is view.merkle
        assert not view.table.display
        await press(pilot, "r")
        assert view.focused is view.table
        assert not view.merkle.display
        await press(pilot, "c")
        block = view.belt.block(6)
        assert block is not None
        assert pilot.app.clipboard == block.hash.hex()


@covers("tree.previous", "tree.next", "tree.previous_node", "tree.next_node", "tree.up", "tree.down")
@pytest.mark.torture
async def test_the_tree_is_walked_and_the_records_go_along() -> None:
    async with exploring() as pilot:
        await press(pilot, "2", "h", "m")
        view = shown(pilot, BlocksView)
        tree = view.merkle
        steps = [("l", 1, 0), ("right", 2, 0), ("h", 1, 0), ("left", 0, 0), ("k", 0, 1), ("up", 0, 2), ("L", 4, 2)]
        steps += [("H", 0, 2), ("j", 0, 1), ("down", 0, 0), ("home", 0, 3), ("end", 0, 0), ("L", 1, 0)]
        for key, leaf, level in steps:
            await press(pilot, key)
            assert (tree.leaf, tree.level) == (leaf, level), key
            assert view.table.cursor == leaf


# ── metrics ──


@covers("metrics.freeze", "metrics.longer", "metrics.shorter")
async def test_the_graphs_are_frozen_and_stretched() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        await press(pilot, "3")
        view = shown(pilot, MetricsView)
        panel = view.query_one("#writes", Panel)
        await press(pilot, "plus", "plus")
        assert panel.step == STEPS[2]
        await press(pilot, "minus")
        assert panel.step == STEPS[1]
        await press(pilot, "space")
        assert "frozen" in screen_text(pilot)
        before = screen_text(pilot)
        database.changes = {"memtable_bytes": 1}
        app_of(pilot).take(database.stats())
        await settled(pilot)
        assert screen_text(pilot) == before
        await press(pilot, "space")
        assert screen_text(pilot) != before


@covers("metrics.next", "metrics.previous")
@pytest.mark.torture
async def test_panels_are_gone_through() -> None:
    async with exploring() as pilot:
        await press(pilot, "3")
        view = shown(pilot, MetricsView)
        for key, panel in (("l", "reads"), ("j", "latency"), ("h", "reads"), ("k", "writes"), ("right", "reads")):
            await press(pilot, key)
            assert view.focused is not None
            assert view.focused.id == panel


# ── a proof ──


@pytest.mark.torture
@covers("records.prove", "proof.next", "proof.back", "proof.all", "proof.close", "proof.help")
async def test_a_proof_is_walked_step_by_step() -> None:
    async with exploring() as pilot:
        await press(pilot, "J", *"user:0148", "enter", "P")
        proof = shown(pilot, Proof)
        assert proof.walk is not None
        assert len(proof.walk.verdicts) == 1
        assert "✓ holds: the record that the database serves" in screen_text(pilot)
        await press(pilot, "right", "l", "j")
        assert (len(proof.walk.verdicts), proof.stages.current) == (4, 3)
        assert "01" in screen_text(pilot)
        await press(pilot, "left", "k", "h")
        assert (len(proof.walk.verdicts), proof.stages.current) == (4, 0)
        await press(pilot, "a")
        assert "✓ proven: each hash was recomputed here" in screen_text(pilot)
        assert screen_text(pilot).count("not yet") == 0
        await press(pilot, "question_mark")
        assert "RFC 9162" in screen_text(pilot)
        await press(pilot, "escape")
        assert "Records › Proof" in screen_text(pilot)
        await pilot.click("#proof-box #crumbs", offset=(2, 0))
        await settled(pilot)
        shown(pilot, RecordsView)
        await press(pilot, "g", "escape", "3")
        await pilot.app.run_action("view_prove")
        await settled(pilot)
        assert "Choose a record first" in said(pilot)[-1]


@covers("blocks.prove", "proof.copy_receipt", "proof.copy_key", "proof.copy_command")
@pytest.mark.torture
async def test_a_receipt_is_taken_outside_with_all_that_checks_it() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        await press(pilot, "2", "h", "r", "j", "P", "y")
        receipt = pilot.app.clipboard
        await press(pilot, "c")
        assert pilot.app.clipboard == database.verifier_key()
        [proven] = blockdb.verify_receipt(receipt, pilot.app.clipboard).records
        assert proven.index == 49
        await press(pilot, "Y")
        key = proven.key.decode()
        assert pilot.app.clipboard == (
            f"blockdb -d /srv/records prove -o receipt.txt {key} && "
            f"blockdb check receipt.txt --key {database.verifier_key()}"
        )


async def test_a_proof_that_does_not_hold_says_where() -> None:
    database = FakeDatabase(sample())
    database.forged = True
    async with exploring(database) as pilot:
        await press(pilot, "P", "a")
        text = screen_text(pilot)
        assert "✗ not proven: root fails" in text
        assert "✗ fails" in text


async def test_a_record_without_a_proof_says_why() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        database.prove = no_proof  # type: ignore[method-assign]
        await press(pilot, "P", "a", "y", "c", "Y", "j")
        assert "✗ There is no proof. ReadOnly: the key cannot be read" in screen_text(pilot)


def no_proof(key: bytes) -> NoReturn:
    raise blockdb.ReadOnly("the key cannot be read")


# ── lab ──


@covers("view.lab", "lab.tamper", "lab.all")
async def test_a_copy_is_tampered_with_in_one_way_or_in_all() -> None:
    async with exploring() as pilot:
        await press(pilot, "4", "j", "enter")
        text = screen_text(pilot)
        assert "Edit a value" in text
        assert "chain/00000000.chain, byte 4,711, block 3, record 28, key" in text
        assert "'user:0148'" in text
        assert "✓ caught  Verification" in text
        assert text.count(" of 5") == 1
        await press(pilot, "a")
        assert screen_text(pilot).count(" of 5") == 11


@covers("lab.keep")
@pytest.mark.torture
async def test_a_copy_is_kept_where_it_is_told() -> None:
    async with exploring(size=(160, 45)) as pilot:
        await press(pilot, "4", "K")
        assert "Nothing was tampered with yet" in said(pilot)[-1]
        await press(pilot, "a", "K", *"-kept", "enter")
        assert "blockdb-flip-byte-kept" in said(pilot)[-1]
        text = screen_text(pilot)
        assert "blockdb-flip-byte-kept verify" in text
        assert "COPY" not in text, "it is kept, so its commands are exact"
        await press(pilot, "j")
        assert "run      blockdb -d COPY verify" in screen_text(pilot), "another one was tampered with since"
        await press(pilot, "tab", "Y")
        assert "tamper-lab edit-value" in said(pilot)[-1]
        await press(pilot, "escape", "enter", "tab", "Y")
        assert pilot.app.clipboard == "blockdb -d /tmp/blockdb-lab-1/copy stats"
        await press(pilot, "escape", "K", "ctrl+u", *str(COPY), "enter")
        assert "is there already" in said(pilot)[-1]


@covers("lab.renew")
@pytest.mark.torture
async def test_a_new_copy_is_taken_and_one_that_works_is_left_alone() -> None:
    async with exploring() as pilot:
        closed = FakeLab.closed
        await press(pilot, "4", "a", "n")
        assert FakeLab.closed == closed + 1
        assert " of 5" not in screen_text(pilot)
        FakeLab.may_run.clear()
        try:
            view = shown(pilot, LabView)
            view.action_all()
            await until(pilot, lambda: "At work: Verification …" in screen_text(pilot))
            view.action_all()
            view.action_renew()
            await until(pilot, lambda: said(pilot) == ["The lab is at work. Esc stops it."] * 2)
        finally:
            FakeLab.may_run.set()
        await settled(pilot)
        assert screen_text(pilot).count(" of 5") == 11


@pytest.mark.torture
async def test_what_cannot_be_tampered_with_is_said_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLab, "refusing", "flip-byte")
    async with exploring() as pilot:
        app_of(pilot).tamper()
        await until(pilot, lambda: isinstance(pilot.app.screen, LabView))
        await settled(pilot)
        text = screen_text(pilot)
        assert "refused" in text
        assert "InvalidData: The middle of the history has no record" in text
        assert text.count(" of 5") == 10


# ── all of them ──


def test_every_binding_is_pressed_by_a_test() -> None:
    for found in Path(__file__).parent.glob("test_*.py"):
        with suppress(ModuleNotFoundError):  # what not everybody has installed
            importlib.import_module(f"tests.tui.{found.stem}")
    assert set(all_bindings()) == covered


def test_no_key_collides_with_tmux_or_flow_control() -> None:
    keys = {key for bound in all_bindings().values() for key in bound.keys}
    assert not keys & {"ctrl+b", "ctrl+j", "ctrl+o", "ctrl+s", "ctrl+q", "ctrl+z"}


def test_every_binding_says_what_it_does() -> None:
    assert all(bound.words.strip(".") for bound in all_bindings().values())
