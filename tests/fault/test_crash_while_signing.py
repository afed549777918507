"""A crash at each operation of a life that signs: what was handed out holds for what is there afterwards.

Chunks of the tree have four leaves here, so that the node file has many nodes of few records.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import blockdb
from blockdb.database.proofs import keys
from blockdb.layout import DatabaseFiles
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.storage.door import Door
from tests.fault.crash.disk import Disk, digest_of
from tests.fault.crash.judge import NAME, Broken, assert_nothing_missed, boot_id_of, lay_out, tree_of
from tests.fault.crash.lives import NEVER_MS
from tests.fault.crash.recorder import Promise, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.fault.test_power_cut import work as work
from tests.ledger import reference
from tests.storage.doors import StillDoor, open_through
from tests.tally import CRASH_STATES, tally

SETTINGS: dict[str, Any] = {"blockchain_batch_size": 3, "wal_sync_interval": NEVER_MS}
LEVEL = 2
BEFORE = 5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ledger.merkle", "storage.tree"):
        monkeypatch.setattr(f"blockdb.{module}.CHUNK_LEVEL", LEVEL)
    for module in ("ledger.merkle", "ledger.chain", "storage.tree", "audit.derived"):
        monkeypatch.setattr(f"blockdb.{module}.CHUNK", 1 << LEVEL)


def put(db: blockdb.Database, first: int, stop: int) -> None:
    for number in range(first, stop):
        db.put(b"key%02d" % number, b"value %d" % number)


Handed = list[tuple[str | None, str]]
"""Checkpoints: of the collection, or, with None, of the whole database."""


def live(root: Path) -> tuple[RecordingDoor, Handed]:
    """The record of a life, and what was handed out in it."""
    root.mkdir()
    handed: Handed = []
    with open_through(StillDoor(), root / NAME, **SETTINGS) as db:
        put(db, 0, BEFORE)
        db.checkpoint()
    door = RecordingDoor(root, Disk(tree_of(root)), boot_id_of(1))

    def hand_out(db: blockdb.Database, collection: str | None) -> None:
        handed.append((collection, db.checkpoint(collection)))
        door.promises(Promise((), len(handed), len(handed)))

    with door.beside(), open_through(door, root / NAME, **SETTINGS) as db:
        put(db, BEFORE, 10)
        hand_out(db, "default")
        put(db, 10, 14)
        db.flush()
        put(db, 14, 19)
        hand_out(db, None)
        db.prove_range()
        db.rotate_key()
        put(db, 19, 22)
        db.flush()
        put(db, 22, 24)
        db.prove(b"key22")
        hand_out(db, None)
        hand_out(db, "default")
    assert_nothing_missed(door)
    return door, handed


def open_and_check(work: Path, crash: Crash, handed: Handed, boot: int) -> None:
    root = work / "state"
    lay_out(crash.disk.image(), root)
    door = RecordingDoor(root, crash.disk, boot_id_of(boot))
    try:
        with door.beside(), open_through(door, root / NAME, **SETTINGS) as db:
            check(db, handed[: crash.owed])
    except Exception as error:
        raise Broken(f"{crash.story}: {error!r}") from error
    finally:
        shutil.rmtree(root)


def check(db: blockdb.Database, handed: Handed) -> None:
    files = DatabaseFiles(db.path)
    known = keys.note_keys(Door(), files, "blockdb/" + db.stats().collection_id.removeprefix("col_"))
    for collection, note in handed:
        signed = open_checkpoint(note, known).checkpoint
        assert db.root_at(signed.size, collection) == signed.root, "what was signed is not what is there"
    records = list(db.records())
    assert [record.key for record in records] == [b"key%02d" % number for number in range(len(records))]
    vkey = db.verifier_key()
    bodies = db._reader.history().bodies(0, len(records))
    leaves = [reference.leaf(data[1:]) for data in bodies]
    for size in range(len(leaves) + 1):
        assert db.root_at(size, "default") == reference.root(leaves[:size])
    for record in records[:: max(len(records) // 3, 1)]:
        [proven] = blockdb.verify_receipt(db.prove(record.key).text, vkey).records
        assert (proven.index, proven.value) == (record.sequence, record.value)
    db.flush()
    assert blockdb.verify_receipt(db.prove_range().text, vkey).size == len(records)
    open_checkpoint(db.checkpoint(), known)
    assert not db.verify().problems


def try_life(work: Path, effort: Effort, share: float) -> int:
    life, handed = live(work / "life")
    rng, seen = Random(7), set[bytes]()
    for crash in crashes(life.start, life.journal, effort, rng):
        key = digest_of(crash.disk.image()) + bytes([crash.owed, crash.rebooted])
        if key not in seen and rng.random() < share:
            seen.add(key)
            open_and_check(work, crash, handed, 1 + crash.rebooted)
    tally(CRASH_STATES, len(seen))
    return len(seen)


def test_a_crash_while_it_signs(work: Path) -> None:
    assert try_life(work, Effort(cuts=1, outcomes=1), share=0.03) >= 1


@pytest.mark.torture
def test_a_crash_at_each_operation_while_it_signs(work: Path) -> None:
    assert try_life(work, Effort(cuts=3, outcomes=12), share=1) > 1_000
