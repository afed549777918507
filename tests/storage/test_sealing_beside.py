"""A busy writer's blocks are closed by a process beside it: the same blocks, whatever becomes of that process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from threading import Thread

import pytest

import blockdb
from blockdb.format.block import Seal
from blockdb.ledger.chain import signed
from blockdb.ledger.signature import Signer
from blockdb.storage import seals
from blockdb.storage.store import Store
from tests.storage.doors import until

LIMIT = 10


@pytest.fixture(autouse=True)
def _busy_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BUSY_BLOCKS", 2)
    monkeypatch.setattr(seals, "BUSY_S", 3600.0)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=LIMIT, memtable_size_limit=65_536) as database:
        yield database


def process_of(db: blockdb.Database) -> int:
    store = db._store
    assert isinstance(store, Store)
    process = store._seals._process
    assert process is not None
    return process._process.pid


def fill(db: blockdb.Database, first: int, stop: int) -> None:
    for number in range(first, stop):
        db.put(b"key%06d" % number, b"value %d" % number)


def assert_sealed(db: blockdb.Database, records: int) -> None:
    statistics = db.stats()
    assert (statistics.records, statistics.blocks) == (records, records // LIMIT)
    assert statistics.open_block_records == records % LIMIT
    report = db.verify()
    assert report.valid, report.problems
    assert [block.count for block in db.blocks()] == [LIMIT] * (records // LIMIT)
    assert len(db.block_records(statistics.blocks)) == records % LIMIT


def test_blocks_closed_beside_the_writer_are_those_it_would_close(db: blockdb.Database) -> None:
    fill(db, 0, 25)
    process_of(db)
    fill(db, 25, 27)
    assert db.stats().open_block_bytes == sum(len(b"key%06dvalue %d" % (n, n)) for n in range(20, 27))
    fill(db, 27, 1003)
    db.put_many([(b"batch%04d" % number, b"") for number in range(504)])
    db.flush()
    assert_sealed(db, 1507)


def test_a_key_that_was_replaced_a_moment_ago_signs_no_more(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, 0, 25)
    process_of(db)
    sealing = db._store._seals  # type: ignore[attr-defined]
    first, second = sealing.signer, copy(sealing.signer)
    calls: list[tuple[int, bool]] = []

    def sign(seal: Seal, signer: Signer) -> Seal:
        calls.append((seal.header.number, signer is second))
        sealing.signer = second
        return signed(seal, signer)

    monkeypatch.setattr(seals, "signed", sign)
    assert first is not second
    fill(db, 25, 40)
    assert_sealed(db, 40)
    assert calls == [(2, False), (2, True), (3, True)]


def test_a_process_that_dies_leaves_its_work_to_the_writer(db: blockdb.Database) -> None:
    fill(db, 0, 105)
    os.kill(process_of(db), signal.SIGKILL)
    fill(db, 105, 211)
    db.flush()
    assert_sealed(db, 211)


def test_records_that_cannot_be_read_again_stop_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that went on without them would seal other blocks than there are."""

    def fail(*_: object) -> list[bytes]:
        raise blockdb.Corruption("a.chain", 7, "damaged")

    db = blockdb.open(tmp_path / "db", blockchain_batch_size=LIMIT)
    fill(db, 0, 25)
    pid, store = process_of(db), db._store
    assert isinstance(store, Store)
    monkeypatch.setattr(store.chain, "bodies_from", fail)
    os.kill(pid, signal.SIGKILL)
    until(lambda: store.stopped is not None)
    with pytest.raises(blockdb.WritesStopped, match="could not be read again"):
        fill(db, 25, 50)
    with pytest.raises(blockdb.WritesStopped):
        db.close()
    with blockdb.open(tmp_path / "db") as db:
        fill(db, 25, 50)
        assert_sealed(db, 50)


def test_a_process_that_hangs_and_dies_delays_nobody_for_good(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "MOST_UNSEALED_BLOCKS", 1_000_000)
    fill(db, 0, 25)
    process = process_of(db)
    os.kill(process, signal.SIGSTOP)
    fill(db, 25, 505)
    os.kill(process, signal.SIGKILL)
    db.flush()
    assert_sealed(db, 505)


def test_who_looks_waits_also_for_a_process_that_hears_nothing_any_more(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its end and the moment when the writer goes on alone, a full block is nobody's work."""

    def refuse(_: int) -> None:
        raise BrokenPipeError

    fill(db, 0, 25)
    pid, store = process_of(db), db._store
    assert isinstance(store, Store)
    assert db.stats().blocks == 2
    monkeypatch.setattr(store._seals._process, "request", refuse)
    fill(db, 25, 30)
    killer = Thread(target=lambda: (until(lambda: bool(vars(store._room)["_waiters"])), os.kill(pid, signal.SIGKILL)))
    killer.start()
    try:
        assert db.stats().blocks == 3
    finally:
        killer.join()
    assert_sealed(db, 30)


def test_closing_waits_for_the_last_block(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=LIMIT) as db:
        fill(db, 0, 1000)
    assert blockdb.verify(tmp_path / "db").blocks == 100
    with blockdb.open(tmp_path / "db") as db:
        assert_sealed(db, 1000)


def test_the_system_has_no_room_for_a_process(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("blockdb.storage.sealing_process.start_python", refuse)
    fill(db, 0, 205)
    assert_sealed(db, 205)


def test_an_attachment_sees_the_blocks(db: blockdb.Database) -> None:
    with blockdb.open(db.path, read_only=True) as reader:
        fill(db, 0, 555)
        db.flush()
        assert_sealed(reader, 555)
        assert [block.hash for block in reader.blocks()] == [block.hash for block in db.blocks()]
