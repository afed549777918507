"""Every forged database is found by what the table says, and by nothing that stands further inside."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from blockdb.format import record
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import BadNote, VerifierKey
from blockdb.ledger.proof import BadProof, check_consistency
from tests.database.forged_databases import FORGED, DefaultForger, ForgedDatabase, Originals
from tests.ledger.forgeries import Found
from tests.storage.doors import copy_of


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(tmp_path_factory.mktemp("originals"))


def ask_for_proofs(db: blockdb.Database) -> None:
    """Checkpoints and receipts of all kinds. Raises Corruption where the database refuses."""
    records = list(db.records())
    for collection in ("default", None):
        db.checkpoint(collection)
    for stored in (records[0], records[3], records[-1], records[len(records) // 2]):
        proven = blockdb.verify_receipt(db.prove(stored.key).text, db.verifier_key()).records
        assert [(one.key, one.value) for one in proven] == [(stored.key, stored.value)]
    blockdb.verify_receipt(db.prove_run(0, len(records)).text, db.verifier_key())
    blockdb.verify_receipt(db.prove_range().text, db.verifier_key())
    for old in (1, len(records) // 2, len(records)):
        roots = [db.root_at(size, "default") for size in (old, len(records))]
        check_consistency(old, len(records), *roots, db.consistency_proof(old, len(records), "default"))


def contradicts(db: blockdb.Database, vkey: str, kept: str, collection: str | None) -> bool:
    """Whether a database is not the one that signed a checkpoint which somebody kept."""
    keys = [VerifierKey.parse(vkey)]
    try:
        old = open_checkpoint(kept, keys).checkpoint
        now = open_checkpoint(db.checkpoint(collection), keys).checkpoint
        proof = db.consistency_proof(old.size, now.size, collection)
        check_consistency(old.size, now.size, old.root, now.root, proof)
    except (BadNote, BadProof, blockdb.InvalidData):
        return True
    return False


def proofs_of(path: Path, originals: Originals) -> Found:
    """What becomes of proofs: refused, right, or right but not of what somebody holds a checkpoint of."""
    try:
        with blockdb.open(path) as db:
            ask_for_proofs(db)
            if db.stats().records < 100:
                kept = list(zip(originals.notes, ("default", None), strict=True))
                if any(contradicts(db, originals.vkey, note, collection) for note, collection in kept):
                    return Found.OUTSIDE
    except blockdb.Corruption:
        return Found.PROVER
    return Found.HEALED


QUICK = FORGED[3:34:5]


@pytest.mark.parametrize(
    "forged",
    [forged if forged in QUICK else pytest.param(forged, marks=pytest.mark.torture) for forged in FORGED],
    ids=lambda forged: forged.name,
)
def test_a_forged_database_is_found(tmp_path: Path, originals: Originals, forged: ForgedDatabase) -> None:
    forged.forge(originals, tmp_path / "db")
    inside = (Found.VERIFY, Found.PROVER, Found.REPAIRED)
    assert blockdb.verify(tmp_path / "db").valid == (forged.found not in inside)
    if forged.found is not Found.VERIFY:
        right = Found.HEALED if forged.found is Found.REPAIRED else forged.found
        assert proofs_of(tmp_path / "db", originals) is right


def test_what_they_are_made_of_is_good(originals: Originals, tmp_path: Path) -> None:
    for name in ("now", "chunked"):
        path = originals.chunked(name) if name == "chunked" else originals.now
        assert blockdb.verify(path).valid
        assert proofs_of(path, originals) is Found.HEALED


def test_a_collection_that_was_rolled_back_signs_nothing(tmp_path: Path, originals: Originals) -> None:
    [forged] = [one for one in FORGED if one.name == "the tail cut off, the last checkpoint forgotten in its place"]
    forged.forge(originals, tmp_path / "db")
    with blockdb.open(tmp_path / "db") as db:
        for ask in (lambda: db.checkpoint("default"), lambda: db.prove(b"key00003"), lambda: db.prove_run(0, 2)):
            with pytest.raises(blockdb.Corruption, match="7 records, but a checkpoint of 11"):
                ask()


def test_a_record_that_is_changed_under_an_open_handle_is_in_no_proof(tmp_path: Path, originals: Originals) -> None:
    path = copy_of(originals.chunked("chunked"), tmp_path / "db")
    with blockdb.open(path) as db:
        good = db.prove_range(start=b"key00003", end=b"key00005").text
        forger = DefaultForger(path)
        forger.change_record(3, lambda frame: record.encode(frame.time_ms, frame.key, b"VALUE"))
        assert db.record(b"key00003").value == b"VALUE", "its check matches, and no hash is looked at"  # type: ignore[union-attr]
        for ask in (
            lambda: db.prove_range(start=b"key00003", end=b"key00005"),
            lambda: db.prove(b"key00003"),
            lambda: db.prove_run(2, 3),
        ):
            with pytest.raises(blockdb.Corruption, match="signed"):
                ask()
        assert db.prove_range(start=b"key00004", end=b"key00005").text != good
        blockdb.verify_receipt(good, db.verifier_key())
