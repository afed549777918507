"""What each value wears: proven here, read, or failed; and the lab on a record of one's choice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import blockdb
from blockdb import Problem
from blockdb.tampering.forger import Forger
from blockdb.tampering.tamperings import TAMPERINGS, Site
from blockdb_tui.screens.lab import LabView
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, make_explorer, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, sample
from tests.tui.fake_lab import FakeLab


def glyphs(view: RecordsView) -> str:
    """What the rows in view wear."""
    rows = map(view.table.row_at, range(view.table.top, view.table.top + view.table.rows_in_view))
    return "".join(view._trust.cell(row) for row in rows if row is not None)


async def test_what_the_cursor_rests_on_is_proven_and_a_verification_proves_the_rest() -> None:
    database = FakeDatabase(sample(20))
    async with exploring(database) as pilot:
        view = shown(pilot, RecordsView)
        assert "✓ proven @ 20 records" in screen_text(pilot)
        assert "6 hashes recomputed here" in screen_text(pilot)
        assert glyphs(view) == "✓" + "·" * 19
        await press(pilot, "j")
        assert glyphs(view) == "✓✓" + "·" * 18
        await press(pilot, "v", "1")
        await until(pilot, lambda: not app_of(pilot).verification.running)
        await settled(pilot)
        assert glyphs(view).count("✓") == 16, "the last four are in the open block"
        last = next(at for at in range(20) if (row := view.table.row_at(at)) and database.sequence_of(row.key) == 19)
        proofs = database.calls["prove"]
        await press(pilot, *"j" * (last - 1))
        assert "· read" in screen_text(pilot)
        assert "its block is open" in screen_text(pilot)
        assert database.calls["prove"] - proofs <= last - 2, "nothing is signed for what is not sealed"
        await press(pilot, "2", "h", "r", "j")
        assert len(re.findall(r"✓ +(?:8|9|1[0-5]) ", screen_text(pilot))) == 8


async def test_a_proof_that_does_not_hold_is_told_with_what_was_found() -> None:
    database = FakeDatabase(sample(20))
    database.forged = True
    async with exploring(database, size=(80, 24)) as pilot:
        assert "✗ failed" in screen_text(pilot)
        assert "InvalidProof" in screen_text(pilot)
        assert "proven" not in screen_text(pilot)
        assert glyphs(shown(pilot, RecordsView)).startswith("✗·")
        await press(pilot, "question_mark")
        assert "✓ proven: every hash" in " ".join(screen_text(pilot).replace("│", " ").split())


@pytest.mark.torture
async def test_what_a_verification_found_outweighs_an_older_proof() -> None:
    database = FakeDatabase(sample(20))
    database.problems = (Problem("chain/00000000.chain", 700, 0, 0, None, "the checksum does not fit"),)
    async with exploring(database) as pilot:
        await press(pilot, "v")
        await until(pilot, lambda: app_of(pilot).verification.report is not None)
        await settled(pilot)
        await press(pilot, "escape", "1")
        assert "✗ failed" in screen_text(pilot)
        assert "the checksum does not fit" in screen_text(pilot)


async def test_a_server_that_verifies_proves_nothing_and_one_that_cannot_prove_says_why() -> None:
    database = FakeDatabase(sample(20))
    database.prove = no_proof  # type: ignore[method-assign]
    async with exploring(Given(database, is_server=True)) as pilot:
        assert "· read" in screen_text(pilot)
        assert "no proof: ReadOnly: the key" in screen_text(pilot)
        await press(pilot, "v", "1")
        await until(pilot, lambda: not app_of(pilot).verification.running)
        await settled(pilot)
        assert "✓ verified by the server" in screen_text(pilot)
        assert "✓ proven" not in screen_text(pilot)
        assert "✓" not in glyphs(shown(pilot, RecordsView))


def no_proof(key: bytes) -> blockdb.Receipt:
    raise blockdb.ReadOnly("the key cannot be read")


@pytest.mark.parametrize("name", ["edit-value", pytest.param("flip-byte", marks=pytest.mark.torture)])
async def test_a_record_that_is_tampered_with_under_the_explorer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from blockdb_tui.origin import Attached

    monkeypatch.setattr("blockdb_tui.trusting.AGAIN_S", 0.05)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=10) as database:
        database.put_many([(b"key:%03d" % number, b'{"n": %d}' % number) for number in range(45)])
    app = make_explorer(Attached(tmp_path / "db"), poll_s=0.02)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await until(pilot, lambda: "✓ proven @ 40 records" in screen_text(pilot))
        [tampering] = [each for each in TAMPERINGS if each.name == name]
        tampering.apply(Site(Forger(tmp_path / "db"), 45, 4, lambda: database, chosen=0))
        await until(pilot, lambda: "✗ failed" in screen_text(pilot))
        assert "Corruption: " in screen_text(pilot)
        assert glyphs(shown(pilot, RecordsView)).startswith("✗")
    app.origin.close()


@covers("records.tamper", "blocks.tamper", "lab.middle")
async def test_the_lab_tampers_with_the_record_under_the_cursor_and_stops_when_it_is_told() -> None:
    async with exploring() as pilot:
        await press(pilot, "J", *"user:0148", "enter", "K")
        view = shown(pilot, LabView)
        assert "Tamper lab · 'user:0148'" in screen_text(pilot)
        await press(pilot, "enter", "Y")
        assert screen_text(pilot).count("'user:0148'") == 2
        assert pilot.app.clipboard == "blockdb -d /srv/records tamper-lab flip-byte --key=user:0148"
        await press(pilot, "m")
        assert "a record in the middle" in screen_text(pilot)
        assert " of 5" not in screen_text(pilot), "what came of another record is forgotten"
        FakeLab.may_run.clear()
        try:
            view.action_all()
            await until(pilot, lambda: "Esc stops it" in screen_text(pilot))
            view.action_middle()
            view.action_back()
            await until(pilot, lambda: "At work: stopping" in screen_text(pilot))
        finally:
            FakeLab.may_run.set()
        await settled(pilot)
        assert "Stopped." in said(pilot)[-1]
        assert screen_text(pilot).count(" of 5") == 0
        await press(pilot, "escape", "2", "h", "r", "K")
        assert shown(pilot, LabView) is view
        assert view.explorer.laboratory.chosen is not None


@covers("view.follow_write", "follow.close", "follow.next", "follow.chosen", "follow.prove", "follow.help")
async def test_a_write_is_followed_to_its_proof() -> None:
    database = FakeDatabase(sample(22))
    async with exploring(database, size=(80, 24)) as pilot:
        await press(pilot, "F")
        await until(pilot, lambda: "waiting for the next write" in screen_text(pilot))
        database.add((b"fresh\x1b[2J", b"1"))
        await until(pilot, lambda: "Following 'fresh␛[2J'" in screen_text(pilot))
        assert "waiting for the next stage" in screen_text(pilot)
        database.add((b"fresh:2", b"2"))
        await until(pilot, lambda: "against the checkpoint of 24 records" in screen_text(pilot))
        assert re.search(r"stored ─[\d.]+ ms─ sealed ─[\d.]+ ms─ proven", screen_text(pilot))
        await press(pilot, "question_mark")
        assert "One write on its way" in screen_text(pilot)
        await press(pilot, "escape", "P")
        assert "Proof of 'fresh" in screen_text(pilot)
        await press(pilot, "escape", "c")
        await until(pilot, lambda: "✓ proven     now" in screen_text(pilot))
        assert "stored ─ sealed ─ proven" in screen_text(pilot)
        await press(pilot, "F")
        await until(pilot, lambda: "waiting for the next write" in screen_text(pilot))
        await press(pilot, "escape")
        assert "Following" not in screen_text(pilot)
