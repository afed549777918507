"""Proofs of databases of many shapes and sizes, held against receipts written by the documents alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.database.proofs import keys
from blockdb.layout import DatabaseFiles
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import VerifierKey
from blockdb.storage.door import Door
from tests.ledger import reference, stranger
from tests.storage.doors import TroubledDoor, open_through
from tests.storage.test_packed import make_small

Shape = Callable[[Path, int], Iterator[blockdb.Database]]


def item(number: int) -> tuple[bytes, bytes]:
    """Keys not in the order of their numbers, values of some sizes."""
    return b"key %03d/%d" % (number * 7 % 101, number), b"value %d " % number * (number % 9)


def fill(db: blockdb.Database, first: int, stop: int) -> None:
    for number in range(first, stop):
        db.put(*item(number))


@contextmanager
def in_shape(shape: str, path: Path, records: int, **settings: Any) -> Iterator[blockdb.Database]:
    """A database with so many records, in tables or not, packed or not, behind one handle or another."""
    given: dict[str, Any] = {"blockchain_batch_size": 64, **settings}
    if shape in ("redactable", "redacted"):
        given["redactable"] = True
    if shape == "encrypted":
        given |= {"encryption_enabled": True, "master_key": bytes(range(32))}
    if shape == "packed":
        given["compression_enabled"] = True
    with blockdb.open(path, **given) as db:
        fill(db, 0, records // 2)
        if shape in ("flushed", "compacted", "packed"):
            db.flush()
        fill(db, records // 2, records)
        if shape in ("compacted", "packed"):
            db.compact()
        if shape == "redacted":
            db.redact_many([item(number)[0] for number in {3, 100} & set(range(records))], reason="asked for", by="me")
        if shape == "attached":
            with blockdb.open(path, read_only=True) as reader:
                if records:
                    db.prove_range()  # a reader proves ranges at the state that a writer recorded
                yield reader
        elif shape != "reopened":
            yield db
    if shape == "reopened":
        with blockdb.open(path) as db:
            yield db


def bodies_of(db: blockdb.Database) -> list[bytes]:
    """The records' bytes: computed from what is served; salts are in the chain alone."""
    if db._reader.metadata.redactable:
        return [data[1:] for data in db._reader.history().bodies(0, db.stats().records)]
    return [stranger.body(record.key, record.value, record.time_ms) for record in db.records()]


def key_of(db: blockdb.Database, name: str) -> stranger.Key:
    """The database's key: signatures by Ed25519 follow from it, so whole receipts can be compared."""
    signer = db._core.catalog.signer or keys.load_signer(Door(), DatabaseFiles(db.path))
    return stranger.Key(name, signer.seed)


def journal_of(db: blockdb.Database) -> list[bytes]:
    """The bytes of the journal's records."""
    journal = db._core.notary.journal()
    assert journal is not None
    journal.reader.refresh()
    records = journal.reader.history().records(0, None)
    return [stranger.body(record.key, record.value, record.time_ms) for record in records]


def check_everything(db: blockdb.Database) -> None:
    """Every kind of receipt is the one that the documents give, and proves what is stored."""
    bodies, vkey = bodies_of(db), db.verifier_key()
    key = key_of(db, VerifierKey.parse(vkey).name)
    leaves = list(map(stranger.leaf, bodies))
    size = len(bodies)
    for index in sorted({0, 1, 63, 64, 127, 255, 256, size // 2, size - 1} & set(range(size))):
        receipt = db.prove(stranger.key_of(bodies[index]))
        covered = receipt.size
        assert index < covered <= size
        note = key.checkpoint(covered, reference.root(leaves[:covered]))
        assert receipt.text == stranger.record_receipt(bodies[:covered], index, note)
        [proven] = blockdb.verify_receipt(receipt.text, vkey).records
        assert (proven.index, proven.key, db.get(proven.key)) == (index, stranger.key_of(bodies[index]), proven.value)
    assert db.checkpoint("default") == key.checkpoint(size, reference.root(leaves))
    for first, count in ((0, size), (0, 1), (size // 3, size // 2), (255, 2), (size - 1, 1)):
        if 0 <= first < first + count <= size:
            run = db.prove_run(first, count)
            covered = blockdb.verify_receipt(run.text, vkey).size
            note = key.checkpoint(covered, reference.root(leaves[:covered]))
            assert run.text == stranger.run_receipt(bodies[:covered], first, count, note)
            assert [one.index for one in blockdb.verify_receipt(run.text, vkey).records] == list(
                range(first, first + count)
            )
    check_ranges(db, bodies, key)
    for old in sorted({0, 1, 64, 255, 256, size // 2, size} & set(range(size + 1))):
        assert db.root_at(old, "default") == reference.root(leaves[:old])
        expected = stranger.consistency(old, leaves) if old > 0 else []
        assert list(db.consistency_proof(old, size, "default")) == expected


def check_ranges(db: blockdb.Database, bodies: list[bytes], key: stranger.Key) -> None:
    there = sorted(map(stranger.key_of, bodies))
    some = there[len(there) // 2] if there else b"some"
    for start, end in (
        (None, None),
        (None, some),
        (some, None),
        (some, some),
        (b"key 05", b"key 06"),
        (b"a", b"b"),
        (b"z", None),
        (some, some + b"\0"),
    ):
        receipt = db.prove_range(start=start, end=end)
        journal = journal_of(db)
        expected = stranger.range_parts(
            bodies,
            start,
            end,
            journal,
            receipt.proof.index,
            receipt.proof.collection,
            lambda size, root: key.checkpoint(size, root, "/journal"),
        )
        assert receipt.text == expected.text
        verified = blockdb.verify_receipt(receipt.text, key.vkey)
        assert [(one.key, one.value) for one in verified.records] == list(db.scan(start=start, end=end))
        assert (verified.origin, verified.size, verified.start, verified.end) == (key.name, len(bodies), start, end)
    absent = db.prove_absent(b"key 050/x")
    assert blockdb.verify_receipt(absent.text, key.vkey).records == ()
    if there:
        with pytest.raises(blockdb.InvalidData):
            db.prove_absent(there[0])


TORTURE_RECORDS = (1, 255, 256, 258, 513, 1000)
SHAPES = ("memory", "flushed", "compacted", "packed", "reopened", "attached", "encrypted", "redactable", "redacted")


@pytest.mark.parametrize(
    ("shape", "records"),
    [
        *(("memory", records) for records in (0, 1, 64)),
        *((shape, 257) for shape in ("packed", "attached", "redacted")),
        *(pytest.param(shape, records, marks=pytest.mark.torture) for shape in SHAPES for records in TORTURE_RECORDS),
    ],
)
def test_every_proof_is_that_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, records: int
) -> None:
    if shape == "packed":
        make_small(monkeypatch)
    with in_shape(shape, tmp_path / "db", records) as db:
        if shape == "packed":
            assert list(db._reader.files.chain.glob("*.zst"))
        check_everything(db)
        assert db.verify().valid


def test_a_database_without_records_proves_that_there_are_none(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        assert blockdb.verify_receipt(db.prove_range().text, db.verifier_key()).size == 0
        with pytest.raises(blockdb.KeyNotFound):
            db.prove(b"key")
        with pytest.raises(blockdb.InvalidData):
            db.prove_run(0, 1)
        for start, end in ((b"b", b"a"), (None, b""), (b"", b"")):
            with pytest.raises(blockdb.InvalidData):
                db.prove_range(start=start, end=end)


def test_a_range_says_of_when_it_is(tmp_path: Path) -> None:
    """A reader proves what was there at the last state: the receipt tells how long ago, and of how many records."""
    with blockdb.open(tmp_path / "db") as db, blockdb.open(tmp_path / "db", read_only=True) as reader:
        with pytest.raises(blockdb.ReadOnly):
            reader.prove_absent(b"key")
        db.put(b"a key", b"")
        db.prove_range()
        db.put(b"key", b"")
        db.checkpoint()
        verified = blockdb.verify_receipt(reader.prove_range(start=b"key").text, db.verifier_key())
        assert (verified.records, verified.size) == ((), 1)
        assert verified.as_of_ms is not None
        [_, proven] = blockdb.verify_receipt(db.prove_range().text, db.verifier_key()).records
        assert verified.as_of_ms <= proven.time_ms


def test_a_reader_sees_the_checkpoint_that_the_writer_signs(tmp_path: Path) -> None:
    """The reader has no key of its own to sign with: that is kept apart."""
    path, apart = tmp_path / "db", str(tmp_path / "apart.toml")
    with blockdb.open(path, key_file=apart) as db, blockdb.open(path, read_only=True) as reader:
        for number in range(3):
            db.put(*item(number))
            with pytest.raises(blockdb.ReadOnly):
                reader.prove(item(number)[0])
            db.checkpoint("default")
            assert reader.prove(item(number)[0]).size == number + 1
        assert reader.checkpoint("default") == db.checkpoint("default")


class ForcesDoor(TroubledDoor):
    """Notes which files were written to and not forced since."""

    def __init__(self) -> None:
        super().__init__()
        self.unforced: set[str] = set()
        self.opened: dict[int, str] = {}

    def open_append(self, path: Path) -> int:
        descriptor = super().open_append(path)
        self.opened[descriptor] = str(path)
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        if b'"event"' in bytes(data):
            assert not any(name.endswith(".chain") for name in self.unforced), "not on the disk yet"
        self.unforced.add(self.opened.get(descriptor, ""))
        return super().write(descriptor, data)

    def force(self, descriptor: Any) -> None:
        super().force(descriptor)
        self.unforced.discard(self.opened.get(descriptor, ""))


@pytest.mark.parametrize("ask", ["checkpoint", "prove_range"])
def test_what_the_journal_says_is_on_the_disk_before(tmp_path: Path, ask: str) -> None:
    """Else a power cut would take records away whose number and root were signed."""
    with open_through(ForcesDoor(), tmp_path / "db", wal_sync_interval=1_000_000) as db:
        for number in range(5):
            db.put(*item(number))
            getattr(db, ask)()


def test_the_state_names_what_is_signed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        fill(db, 0, 5)
        note = db.checkpoint()
        opened = open_checkpoint(note, [VerifierKey.parse(db.verifier_key())]).checkpoint
        assert opened.size == len(journal_of(db)) == 1
        assert opened.root == stranger.leaf(journal_of(db)[0])
        assert db.checkpoint() == note, "nothing was written, so nothing is recorded"
        assert len(journal_of(db)) == 1


def test_after_a_change_of_keys_all_is_signed_with_the_key_that_is_given_to_others(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        fill(db, 0, 10)
        old, receipt, whole = db.verifier_key(), db.prove(item(3)[0]).text, db.checkpoint()
        new = db.rotate_key()
        assert new == db.verifier_key() != old
        for text in (db.prove(item(3)[0]).text, db.prove_run(2, 3).text, db.prove_absent(b"x").text):
            blockdb.verify_receipt(text, new)
            with pytest.raises(blockdb.InvalidProof):
                blockdb.verify_receipt(text, old)
        assert blockdb.verify_receipt(receipt, old)
        open_checkpoint(whole, [VerifierKey.parse(old)])
        for collection in ("default", None):
            open_checkpoint(db.checkpoint(collection), [VerifierKey.parse(new)])
    with blockdb.open(tmp_path / "db") as db:
        assert blockdb.verify_receipt(db.prove(item(3)[0]).text, new).size == 10
    assert blockdb.verify(tmp_path / "db").valid


def test_receipts_outlive_the_value_that_they_prove(tmp_path: Path) -> None:
    """The leaf is that of the digest; a receipt made afterwards proves that there was a record, and no value."""
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        fill(db, 0, 10)
        key, value = item(3)
        before, vkey = db.prove(key).text, db.verifier_key()
        db.redact(key, reason="asked for", by="me")
        assert blockdb.verify_receipt(before, vkey).records[0].value == value
        [proven] = blockdb.verify_receipt(db.prove(key).text, vkey).records
        assert proven.value is blockdb.REDACTED
        assert (proven.index, proven.key) == (3, key)
        for other in (db.prove_run(2, 3), db.prove_range(start=key)):
            assert blockdb.REDACTED in [one.value for one in blockdb.verify_receipt(other.text, vkey).records]
