"""The lab for real: every tampering, what finds it, where, and that nothing is left behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import blockdb
from blockdb import scratch
from blockdb.format.segment import HEADER_BYTES
from blockdb.tampering import copying
from blockdb.tampering.forger import Forger
from blockdb.tampering.lab import Lab, Outcome
from blockdb.tampering.tamperings import TAMPERINGS
from tests.storage.doors import pairs, until

BLOCK = 4
KNOWING = ["verify", "key", "checkpoint"]
"""Each knows more than the one before, so it finds what that one finds."""

FIRST_TO_KNOW = {
    "flip-byte": "verify",
    "edit-value": "verify",
    "swap-records": "verify",
    "insert-record": "verify",
    "delete-record": "verify",
    "cut-tail": "verify",
    "rechain-wrong-key": "verify",
    "rechain-listed-key": "key",
    "rechain-stolen-key": "checkpoint",
    "roll-back": "checkpoint",
    "fork": "checkpoint",
}
SERVED = {"edit-value", "rechain-wrong-key", "rechain-listed-key", "rechain-stolen-key", "roll-back", "fork"}
"""What opening and reading must not find, or the lab would show another forgery than it says."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where labs are made."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(path))
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(path))
    return path


def fill(path: Path, *, batch: bool = False, redactable: bool = False, records: int = 30) -> Path:
    with blockdb.open(path, blockchain_batch_size=BLOCK, redactable=redactable) as db:
        if batch:
            db.put_many(pairs(range(records)))
            db.flush()
        else:
            for key, value in pairs(range(records)):
                db.put(key, value)
        if redactable:
            db.checkpoint()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return fill(tmp_path / "db")


@pytest.fixture
def lab(source: Path) -> Iterator[Lab]:
    with Lab(source) as lab:
        yield lab


def names(outcome: Outcome) -> set[str]:
    return {finding.check.name for finding in outcome.caught_by}


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("how", ["alone", "batch", "redactable"])
def test_every_tampering_is_found_by_what_should_find_it(tmp_path: Path, how: str) -> None:
    """Records that were written alone, or in one batch with its seals after it, or so that values can be erased.

    The last of them has a journal, which tells of the history too, and is removed by whoever makes that anew.
    """
    source = fill(tmp_path / "db", batch=how == "batch", redactable=how == "redactable")
    before = contents(source)
    with Lab(source) as lab:
        for tampering in TAMPERINGS:
            outcome = lab.run(tampering)
            found = names(outcome)
            wanted = KNOWING[KNOWING.index(FIRST_TO_KNOW[tampering.name]) :]
            assert found & set(KNOWING) == set(wanted), (tampering.name, found)
            assert tampering.name not in SERVED or not found & {"open", "read"}, (tampering.name, found)
            assert outcome.changes, tampering.name
    assert contents(source) == before, "the original was only read"


def test_what_was_erased_is_passed_over(tmp_path: Path) -> None:
    path = fill(tmp_path / "db", redactable=True)
    with blockdb.open(path) as db:
        db.redact(b"key00012", reason="the law")
    with Lab(path) as lab:
        outcome = lab.run(TAMPERINGS[0])
        assert outcome.changes[0].sequence == 13
        assert names(outcome) >= set(KNOWING)
        assert "verify" in names(lab.run(TAMPERINGS[-1])), "the journal that told of the erasure is gone"


def test_verification_names_the_place_of_an_edit(lab: Lab) -> None:
    [edit] = [tampering for tampering in TAMPERINGS if tampering.name == "edit-value"]
    outcome = lab.run(edit)
    [change] = outcome.changes
    assert (change.block, change.sequence, change.key) == (3, 12, b"key00012")
    [place] = next(finding.answer.places for finding in outcome.findings if finding.check.name == "verify")
    assert (place.path, place.block) == (change.path, 3)


def test_a_kept_checkpoint_tells_between_which_two_the_history_was_rewritten(lab: Lab) -> None:
    [rechain] = [tampering for tampering in TAMPERINGS if tampering.name == "rechain-stolen-key"]
    outcome = lab.run(rechain)
    [caught] = outcome.caught_by
    [place] = caught.answer.places
    assert (place.block, place.sequence) == (3, 12)
    assert "after that of 12 records, which fits, the checkpoint of 16 records" in place.what


@pytest.mark.parametrize("name", ["flip-byte", "roll-back"])
def test_a_copy_that_was_kept_is_checked_by_its_commands(lab: Lab, tmp_path: Path, name: str) -> None:
    [tampering] = [tampering for tampering in TAMPERINGS if tampering.name == name]
    outcome = lab.keep(lab.run(tampering), tmp_path / "kept")
    lab.close()
    verify = next(finding for finding in outcome.findings if finding.check.name == "verify")
    assert verify.command == f"blockdb -d {tmp_path / 'kept'} verify"
    assert blockdb.verify(outcome.path).valid is not verify.answer.caught
    with pytest.raises(blockdb.InvalidData, match="is there already"):
        lab.keep(outcome, tmp_path / "kept")


def test_the_copies_are_gone_with_the_lab(source: Path, temporary: Path) -> None:
    with Lab(source) as lab:
        lab.run(TAMPERINGS[0])
        assert list(temporary.iterdir())
    lab.close()
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next_lab(source: Path, temporary: Path) -> None:
    program = (
        "import os, sys, tempfile; from pathlib import Path; from blockdb.tampering.lab import Lab\n"
        "tempfile.tempdir = sys.argv[2]; lab = Lab(Path(sys.argv[1])); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, source, temporary], check=False).returncode == 9
    [left] = temporary.iterdir()
    with Lab(source), Lab(source):
        assert not left.exists()
        assert len(list(temporary.iterdir())) == 2, "those that somebody works in stay"


def test_a_database_is_copied_while_it_is_written(tmp_path: Path) -> None:
    with blockdb.open(fill(tmp_path / "db", records=100)) as db, Lab(db.path) as lab:
        assert names(lab.run(TAMPERINGS[-1])) == {"checkpoint"}
        db.put(b"one more", b"x")


def test_packed_chain_files_are_unpacked_in_the_copy(tmp_path: Path) -> None:
    with blockdb.open(fill(tmp_path / "db"), compression_enabled=True) as db:
        db.compact()
        until(lambda: list(db.path.rglob("*.zst")) or db.compact())
    with Lab(tmp_path / "db") as lab:
        assert "verify" in names(lab.run(TAMPERINGS[1]))


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_database_without_a_past_is_refused(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(blockdb.InvalidData, match="sealed blocks the database has 1, and tampering needs 2"):
        Lab(fill(tmp_path / "db", records=BLOCK + 1))
    assert not list(temporary.iterdir())


def test_a_database_that_is_too_large_is_refused(source: Path) -> None:
    with pytest.raises(blockdb.InvalidData, match="takes 1 MiB; tampering works on copies of at most"):
        Lab(source, most_bytes=1000)


def test_a_database_that_is_damaged_already_is_refused(source: Path) -> None:
    forger, at = Forger(source), HEADER_BYTES + 40
    forger.patch(0, at, bytes([forger.files.segment(0).read_bytes()[at] ^ 1]))
    with pytest.raises(blockdb.Corruption):
        Lab(source)


def test_where_there_is_no_database_there_is_no_lab(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(blockdb.DatabaseNotFound):
        Lab(tmp_path / "nothing")
    assert not list(temporary.iterdir())


def test_a_history_without_values_cannot_be_edited(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK) as db:
        db.put_many([(b"k%d" % number, b"") for number in range(20)])
    with Lab(db.path) as lab:
        with pytest.raises(blockdb.InvalidData, match="no record with a value"):
            lab.run(TAMPERINGS[0])
        assert names(lab.run(TAMPERINGS[-1])) == {"checkpoint"}


def test_a_key_that_is_kept_apart_has_to_be_named(tmp_path: Path) -> None:
    key_file = tmp_path / "elsewhere" / "key.toml"
    key_file.parent.mkdir()
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK, key_file=str(key_file)) as db:
        for key, value in pairs(range(10)):
            db.put(key, value)
    with pytest.raises(blockdb.InvalidData, match="kept apart"):
        Lab(db.path)
    with Lab(db.path, key_file=key_file) as lab:
        assert names(lab.run(TAMPERINGS[-1])) == {"checkpoint"}


def test_no_room_is_told_with_what_to_do(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs(source)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: type("Usage", (), {"free": full.f_bsize * 0})())
    with pytest.raises(blockdb.StorageError, match="Set TMPDIR"):
        Lab(source)
