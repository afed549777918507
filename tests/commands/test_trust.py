"""What is called proven was recomputed here, whoever says what; and get and scan that print nothing else when asked."""

from __future__ import annotations

import os
import pty
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.commands.trust import FAILED, NOT_SEALED, PROVEN, READ, Prover, Trust
from blockdb.ledger.receipt import Receipt
from blockdb.tampering.forger import Forger
from blockdb.tampering.tamperings import TAMPERINGS, Site
from tests.commands.conftest import Run


@pytest.fixture
def stored(here: Path) -> Path:
    """A database of seven records, of which six are sealed, and of another collection."""
    with blockdb.open(here / "blockdb_data", blockchain_batch_size=2) as database:
        database.put_many([(b"key:%d" % number, b"value %d" % number) for number in range(7)])
        database.create_collection("others").put_many([(b"key:0", b"value 0"), (b"key:1", b"value 1")])
    return database.path


class Forging:
    """A collection that gives other receipts than its own."""

    def __init__(self, collection: Any, prove: Any) -> None:
        self._collection, self.prove = collection, prove

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)


def trust_where(database: Any, prove: Any, key: bytes = b"key:0") -> Trust:
    return Prover(database).trust(Forging(database, prove), database.record(key))  # type: ignore[arg-type]


def test_a_sealed_record_is_proven_and_no_forgery_is(stored: Path) -> None:
    with blockdb.open(stored, read_only=True, create=False) as database:
        mine, others = database.prove, database.collection("others").prove
        assert str(trust_where(database, mine)) == "✓ proven @ 6 records"
        assert Prover(database).trust(database, database.records(6, 1).__next__()) is NOT_SEALED

        def without_a_hash(key: bytes) -> Receipt:
            return replace(mine(key), hashes=mine(key).hashes[:-1])

        def another_note(key: bytes) -> Receipt:
            return replace(mine(key), note=mine(key).note.replace("\n6\n", "\n7\n"))

        for forged in (without_a_hash, another_note, lambda _: mine(b"key:1"), others):
            found = trust_where(database, forged)
            assert found.degree is FAILED, found
            assert found.words

        def refused(_: bytes) -> Receipt:
            raise blockdb.Forbidden("The token may not.")

        assert trust_where(database, refused).degree is READ


def test_a_key_that_was_changed_meanwhile_is_asked_for_again(stored: Path) -> None:
    with blockdb.open(stored) as database:
        prover, record = Prover(database), database.record(b"key:0")
        assert record is not None
        assert prover.trust(database, record).degree is PROVEN
        database.rotate_key()
        assert prover.trust(database, record).degree is PROVEN


def test_only_what_is_proven_is_printed_where_that_is_asked_for(run: Run, stored: Path) -> None:
    assert run("get", "key:0", "--prove").out == b"value 0\n"
    assert run("scan", "--prove", "-n", "2", "--format", "csv").text.count("\n") == 3
    [edit] = [each for each in TAMPERINGS if each.name == "edit-value"]
    edit.apply(Site(Forger(stored), 7, 3, lambda: blockdb.open(stored), chosen=0))
    assert run("get", "key:0").code == 0
    proven = run("get", "key:0", "--prove")
    assert (proven.code, proven.out) == (1, b"")
    assert "Error: InvalidProof: The record of 'key:0' is not proven: Corruption: " in proven.err
    assert run("scan", "--prove").code == 1
    assert "leave --keys-only or --prove out" in run("scan", "--prove", "--keys-only").err


def test_a_person_is_told_and_a_program_is_not(run: Run, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (("get", "key:0"), ("scan",), ("find", "")):
        assert run(*words, "--format", "table").err == ""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        assert "· read: not proven" in run("get", "key:0").err
        assert "✓ proven @ 6 records: 4 hashes recomputed here" in run("get", "key:0", "--prove").err
        assert "✓ proven @ 6 records: each of these 6 was" in run("scan", "--end", "key:6", "--prove").err
        assert run("scan", "--prefix", "nothing").err == ""
        assert run("get", "key:0", "--format", "json").err == ""
    os.close(ours)
