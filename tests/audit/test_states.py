"""The journal's states against the chains: what is rewritten, cut or rolled back alone does not fit any more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import blockdb
from blockdb.database.proofs import keys
from blockdb.database.proofs.journal import JOURNAL_COLLECTION
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.ledger.state import CollectionState, encode_state
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_registry

SETTINGS = {"blockchain_batch_size": 10}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with states of 25, 60 and 65 records, the second of which commits to the keys."""
    path = tmp_path / "db"
    with blockdb.open(path, **SETTINGS) as db:
        db.put_many([(b"a%03d" % number, b"1") for number in range(25)])
        db.checkpoint()
        db.flush()
        db.put_many([(b"b%03d" % number, b"2") for number in range(35)])
        db.prove_absent(b"nothing")
        db.put_many([(b"c%03d" % number, b"3") for number in range(5)])
        db.checkpoint()
        db.put_many([(b"d%03d" % number, b"4") for number in range(5)])
    return path


def files_of(path: Path, name: str) -> CollectionFiles:
    """The files of a collection."""
    files = DatabaseFiles(path)
    return files.collection(load_registry(Door(), files.registry)[name])


def test_states_that_are_so_are_passed(path: Path) -> None:
    assert blockdb.verify(path).valid


def test_a_collection_that_was_rolled_back_alone_is_found(path: Path, tmp_path: Path) -> None:
    """The collection as it was at 60 records, in perfect order, under a journal that knows better."""
    with blockdb.open(tmp_path / "other", **SETTINGS) as db:
        db.put(b"x", b"")
    copy = tmp_path / "copy"
    default = files_of(path, "default").root.name
    with blockdb.open(path) as db:
        db.put_many([(b"e%03d" % number, b"5") for number in range(9)])
        db.close()
        shutil.copytree(path / "collections" / default, copy)
    with blockdb.open(path) as db:
        db.put(b"more", b"6")
        db.checkpoint()
    shutil.rmtree(path / "collections" / default)
    copy.rename(path / "collections" / default)
    (path / "collections" / default / "checkpoint").unlink(missing_ok=True)
    [problem] = blockdb.verify(path).problems
    assert problem.path == files_of(path, JOURNAL_COLLECTION).chain.relative_to(path).as_posix()
    assert problem.sequence == 3
    assert "rewritten or cut" in problem.what


@pytest.mark.parametrize("wrong", ["root", "keys", "records"])
def test_a_state_that_is_not_so_is_found(path: Path, wrong: str) -> None:
    with blockdb.open(path) as db:
        journal = db._core.notary.journal()
        assert journal is not None
        number, states = next(iter(journal.states()))
        [(uuid, true)] = states.items()
        root = bytes(32) if wrong == "root" else true.root
        records = 1000 if wrong == "records" else true.records
        keys_root = bytes(32) if wrong == "keys" else None
        event = journal.append(encode_state({uuid: CollectionState("default", records, root, keys_root)}))
        assert event == number + 1
    [problem] = blockdb.verify(path).problems
    assert problem.sequence == event
    assert ("the keys of the first" in problem.what) == (wrong == "keys")


def test_a_record_of_the_journal_that_is_no_event_is_named(path: Path) -> None:
    with blockdb.open(path) as db:
        journal = db._core.notary.journal()
        assert journal is not None
        journal.append({"event": "state", "collections": {"x": {"records": -1}}})
    [problem] = blockdb.verify(path).problems
    assert "state is malformed" in problem.what


def test_a_key_that_none_before_it_handed_over_to_is_told(path: Path) -> None:
    with blockdb.open(path) as db:
        db.rotate_key()
        db.rotate_key()
        db.put(b"signed", b"1")
    assert blockdb.verify(path).notes == ()
    door, files = Door(), DatabaseFiles(path)
    slipped_in = keys.new_signer().public_key
    known = keys.load_public_keys(door, files)
    keys.save_public_keys(door, files, [known[0], slipped_in, *known[1:]])
    report = blockdb.verify(path)
    [note] = report.notes
    assert slipped_in.hex() in note
    assert report.valid  # the key has signed nothing yet
