"""Packing chain files changes nothing but what they take on the disk: every answer stays, for every handle."""

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from os import getpid
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import zstandard

import blockdb
from blockdb import AsOf
from blockdb.format import packed as packed_format
from blockdb.format.place import split_place
from blockdb.storage import packed as packing
from tests.database.independent import check_ledger
from tests.storage.doors import (
    PATIENCE_S,
    StillDoor,
    TroubledDoor,
    collection_of,
    copy_of,
    open_through,
    pairs,
    until,
    written,
)

SEGMENT_BYTES = 2_000
CHUNK_BYTES = 300
BLOCK = 7
SETTINGS: dict[str, Any] = {"blockchain_batch_size": BLOCK, "compaction_threshold": 3}
PACKING: dict[str, Any] = {"compression_enabled": True, **SETTINGS}

Fill = Callable[[blockdb.Database], None]


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Chain files of a few kilobytes, each of many chunks."""
    patch.setattr("blockdb.storage.log.PACKED_SEGMENT_BYTES", SEGMENT_BYTES)
    patch.setattr("blockdb.format.packed.CHUNK_BYTES", CHUNK_BYTES)


@pytest.fixture(autouse=True)
def small_files_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def chain_files(path: Path) -> list[str]:
    """The names of the chain files, without their numbers."""
    return [file.name[8:] for file in sorted(collection_of(path).chain.iterdir())]


def packed_files(path: Path) -> list[Path]:
    return sorted(collection_of(path).chain.glob("*.zst"))


def answers(db: blockdb.Database) -> dict[str, object]:
    """What a database says to every question about what was stored."""
    records = list(db.records())
    blocks = list(db.blocks())
    middle = len(records) // 2
    keys = [record.key for record in records]
    lowest, highest = sorted(keys)[len(keys) // 4], sorted(keys)[len(keys) // 2]
    moments = [AsOf(sequence=middle), AsOf(block=len(blocks) // 2) if blocks else AsOf(sequence=0)]
    moments.append(AsOf(time_ms=records[middle].time_ms))
    return {
        "records": records,
        "some records": [list(db.records(first, 3)) for first in range(0, len(records), 11)],
        "blocks": blocks,
        "block records": [db.block_records(number) for number in range(len(blocks) + 1)],
        "leaves": [db.block_leaves(number) for number in range(len(blocks) + 1)],
        "values": [db.get(key) for key in keys],
        "record": [db.record(key) for key in keys[::13]],
        "there": [(db.exists(key), db.exists(key + b"?")) for key in keys],
        "not there": [(db.get(key + b"?"), db.record(key + b"?")) for key in keys[::9]],
        "scan": list(db.scan()),
        "backwards": list(db.scan(reverse=True, offset=3)),
        "range": list(db.scan(start=lowest, end=highest)),
        "count": (db.count(), db.count(start=lowest, end=highest)),
        "past": [list(db.scan(as_of=moment)) for moment in moments],
        "past values": [[db.get(key, as_of=moment) for key in keys[::29]] for moment in moments],
    }


def single_records(db: blockdb.Database) -> None:
    for key, value in pairs(range(150)):
        db.put(key, value)


def a_batch_over_many_chunks(db: blockdb.Database) -> None:
    db.put(b"before", b"")
    db.put_many(pairs(range(250)))
    for key, value in pairs(range(250, 300)):
        db.put(key, value)


def records_larger_than_a_chunk(db: blockdb.Database) -> None:
    for number in range(30):
        db.put(b"small%d" % number, b"")
        db.put(b"large%d" % number, b"%03d" % number * (CHUNK_BYTES + number))
    db.put(b"huge", bytes(range(256)) * 400)
    db.put_many([(b"more%d" % number, bytes([number]) * 700) for number in range(20)])


def tables_between(db: blockdb.Database) -> None:
    for number in range(0, 160, 4):
        db.put_many(pairs(range(number, number + 3)))
        db.put(b"one%d" % number, b"1" * number)
        if not number % 20:
            db.flush()


FILLS: list[Fill] = [single_records, a_batch_over_many_chunks, records_larger_than_a_chunk, tables_between]
BLOCKS = {"small blocks": 3, "blocks over several files": 90, "no block is ever full": 10_000}
QUICK = {
    (tables_between, "blocks over several files"),
    (records_larger_than_a_chunk, "no block is ever full"),
}


@pytest.mark.parametrize(
    ("fill", "blocks"),
    [
        pytest.param(fill, blocks, marks=[] if (fill, blocks) in QUICK else pytest.mark.torture)
        for fill in FILLS
        for blocks in BLOCKS
    ],
)
def test_everything_reads_the_same(tmp_path: Path, fill: Fill, blocks: str) -> None:
    """By the writer, by attachments that were there before, looked at it or not, and that come after, and opened anew.

    Where no block is full, all records are unsealed and the replay point stands at the beginning of the first packed
    file.
    """
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING | {"blockchain_batch_size": BLOCKS[blocks]}) as db:
        idle = blockdb.open(path, read_only=True)
        fill(db)
        busy = blockdb.open(path, read_only=True)
        before = answers(db)
        assert answers(busy) == before
        db.compact()
        assert len(packed_files(path)) > 1
        assert chain_files(path) == [".chain.zst"] * len(packed_files(path)) + [".chain"]
        assert answers(db) == before
        with idle, busy, blockdb.open(path, read_only=True) as later:
            for reader in (idle, busy, later):
                assert answers(reader) == before
        if blocks == "no block is ever full":
            assert not db.stats().blocks
            assert split_place(db._reader.manifest.replay.place)[0] == 0
    for settings in (SETTINGS, PACKING):
        with blockdb.open(path, **settings) as db:
            assert answers(db) == before


@pytest.mark.parametrize("fill", [FILLS[0], *(pytest.param(fill, marks=pytest.mark.torture) for fill in FILLS[1:])])
def test_what_is_packed_is_verified(tmp_path: Path, fill: Fill) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db:
        fill(db)
        blocks = db.stats().blocks
        with blockdb.open(path, read_only=True) as reader:
            db.compact()
            for handle in (db, reader):
                report = handle.verify()
                assert report.problems == ()
                assert (report.records, report.blocks) == (db.stats().records, blocks)
        check_ledger(db, BLOCK)
    assert blockdb.verify(path).problems == ()


def test_it_is_written_on_with_and_without_packing(tmp_path: Path) -> None:
    path = tmp_path / "db"
    stored = []
    for generation, is_packed in enumerate((True, False, True, False)):
        with blockdb.open(path, **SETTINGS, compression_enabled=is_packed) as db:
            before = packed_files(path)
            batch = pairs(range(generation * 100, generation * 100 + 100))
            for key, value in batch[:50]:
                db.put(key, value)
            db.put_many(batch[50:])
            for key, _ in stored[::7]:
                with pytest.raises(blockdb.DuplicateKey):
                    db.put(key, b"")
            stored += batch
            db.compact()
            assert (len(packed_files(path)) > len(before)) == is_packed
            assert set(before) <= set(packed_files(path)), "what is packed stays so"
            assert [(record.key, record.value) for record in db.records()] == stored
            assert dict(db.scan()) == dict(stored)
            check_ledger(db, BLOCK)


def test_a_full_chain_file_is_packed_without_being_asked(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **PACKING) as db:
        single_records(db)
        until(lambda: len(packed_files(tmp_path / "db")) >= 2)
        until(lambda: not db.stats().compacting)
        assert db.stats().background_failure is None
        assert [record.sequence for record in db.records()] == list(range(150))


def test_only_full_files_are_packed_unless_it_is_compacted(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db:
        db.put(b"key", b"value")
        db.flush()
        assert chain_files(path) == [".chain"]
        for _ in range(3):
            db.compact()
            assert chain_files(path) == [".chain.zst", ".chain"], "there is nothing more to pack"
    with blockdb.open(path, **PACKING) as db:
        db.compact()
        assert chain_files(path) == [".chain.zst", ".chain"]
        assert db.get(b"key") == b"value"


def test_an_empty_database_has_nothing_to_pack(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **PACKING) as db:
        db.compact()
        assert chain_files(tmp_path / "db") == [".chain"]


def test_without_a_cache_it_is_slow_and_right(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **PACKING, cache_size_limit=0) as db:
        tables_between(db)
        before = answers(db)
        db.compact()
        assert answers(db) == before
        assert (db.stats().cache_bytes, db.stats().cache_hits) == (0, 0)


def test_any_zstd_unpacks_it_to_the_chain_file(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **SETTINGS) as db:
        a_batch_over_many_chunks(db)
        db.flush()
        data = written(path)
    with blockdb.open(path, **PACKING) as db:
        db.compact()
    [file] = packed_files(path)
    index = packed_format.decode(file.read_bytes())
    assert index.chunks > 20
    with zstandard.ZstdDecompressor().stream_reader(file.read_bytes(), read_across_frames=True) as reader:
        assert reader.read() == data


def test_a_process_packs_as_this_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes. It packs what is large, in chunks of the usual size."""
    monkeypatch.undo()
    run, asked = packing.run_python, []

    def ask(module: str, argument: str, secret: bytes) -> bool:
        asked.append(module)
        return run(module, argument, secret)

    monkeypatch.setattr(packing, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr(packing, "run_python", ask)
    with blockdb.open(tmp_path / "db", **SETTINGS) as db:
        for number in range(40):
            db.put(b"key%d" % number, b"%d" % number * 2_000)
    copy = copy_of(tmp_path / "db", tmp_path / "copy")
    with blockdb.open(tmp_path / "db", **PACKING) as db:
        db.compact()
    assert asked == ["blockdb.storage.packed"]
    monkeypatch.setattr(packing, "run_python", lambda module, *_: False)
    with blockdb.open(copy, **PACKING) as db:
        db.compact()
    [ours], [theirs] = packed_files(copy), packed_files(tmp_path / "db")
    assert packed_format.decode(ours.read_bytes()).chunks > 5
    assert ours.read_bytes() == theirs.read_bytes()


# ── while it goes on ─────────────────────────────────────────────────────────────────────────────────────────────


def test_reads_that_were_under_way_go_on(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db, blockdb.open(path, read_only=True) as reader:
        tables_between(db)
        handles = (db, reader)
        expected = [list(db.scan()), list(db.scan(reverse=True)), list(db.records()), list(db.blocks())]
        under_way: list[list[Iterator[object]]] = [
            [handle.scan(), handle.scan(reverse=True), handle.records(), handle.blocks()] for handle in handles
        ]
        begun = [[list(islice(iterator, 9)) for iterator in iterators] for iterators in under_way]
        db.compact()
        db.put(b"after", b"")
        for iterators, beginnings in zip(under_way, begun, strict=True):
            for iterator, beginning, whole in zip(iterators, beginnings, expected, strict=True):
                assert [*beginning, *iterator] == whole


def test_an_attachment_that_did_not_look_for_several_files(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db:
        db.put(b"first", b"1")
        with blockdb.open(path, read_only=True) as reader:
            assert reader.get(b"first") == b"1"
            single_records(db)
            db.compact()
            a = answers(db)
            single = reader.get(b"key00149")
            assert single == b"value149"
            assert answers(reader) == a
            db.put_many(pairs(range(150, 300)))
            db.compact()
            db.put(b"last", b"2")
            assert reader.get(b"last") == b"2"
            assert answers(reader) == answers(db)


def test_an_attachment_tells_its_statistics_after_its_files_went_away(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db:
        single_records(db)
        with blockdb.open(path, read_only=True) as reader:
            until(lambda: reader.stats().chain_bytes == db.stats().chain_bytes)  # files may be packed meanwhile
            db.compact()
            mine, theirs = db.stats(), reader.stats()
            assert (theirs.chain_bytes, theirs.chain_data_bytes) == (mine.chain_bytes, mine.chain_data_bytes)
            until(lambda: reader.stats().disk_bytes == mine.disk_bytes)


class PackingDoor(StillDoor):
    """A system that holds up packing until, once it is `armed`, the size of a chain file is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self._gate = Event()

    def rename(self, old: Path, new: Path) -> None:
        if new.suffix == ".zst":
            assert self._gate.wait(PATIENCE_S)
        super().rename(old, new)

    def size(self, path: Path) -> int:
        if self.armed and path.suffix == ".chain" and not self._gate.is_set():
            self._gate.set()
            until(lambda: not path.exists())
        return super().size(path)


def test_a_file_is_packed_while_the_statistics_are_put_together(tmp_path: Path) -> None:
    door = PackingDoor()
    with open_through(door, tmp_path / "db", **PACKING) as db:
        single_records(db)
        door.armed = True
        assert db.stats().records == 150


def test_readers_and_writers_beside_the_packer(tmp_path: Path) -> None:
    path, done = tmp_path / "db", Event()
    failures: list[BaseException] = []
    interval = sys.getswitchinterval()

    def read(handle: blockdb.Database) -> None:
        try:
            while not done.is_set():
                seen = handle.count()
                records = list(handle.records())
                assert len(records) >= seen
                assert all(record.value == b"value%d" % record.sequence for record in records)
                assert all(handle.get(record.key) == record.value for record in records[::10])
                assert dict(handle.scan()).items() >= {record.key: record.value for record in records}.items()
        except BaseException as failure:
            failures.append(failure)

    sys.setswitchinterval(1e-5)
    try:
        with blockdb.open(path, **PACKING) as db, blockdb.open(path, read_only=True) as reader:
            threads = [Thread(target=read, args=(handle,)) for handle in (db, reader)]
            for thread in threads:
                thread.start()
            try:
                for number in range(0, 120, 6):
                    db.put_many(pairs(range(number, number + 5)))
                    db.put(*pairs([number + 5])[0])
                    if number % 60 == 30:
                        db.compact()
            finally:
                done.set()
                for thread in threads:
                    thread.join()
            assert not failures, failures
            assert answers(reader) == answers(db)
            check_ledger(db, BLOCK)
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.torture
def test_blocks_that_a_process_closes_from_packed_files(tmp_path: Path) -> None:
    """A busy writer's blocks are closed beside it, from records that may be packed by then."""
    with blockdb.open(tmp_path / "db", **PACKING | {"blockchain_batch_size": 3}) as db:
        for start in range(0, 900, 150):
            db.put_many(pairs(range(start, start + 150)))
            for key, value in pairs(range(start + 100_000, start + 100_050)):
                db.put(key, value)
        until(lambda: db.stats().blocks == 400)
        db.compact()
        check_ledger(db, 3)


@pytest.mark.torture
def test_tables_that_a_process_builds_from_packed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.storage.maintenance.WORTHWHILE_RECORDS", 1)
    with blockdb.open(tmp_path / "db", **PACKING) as db:
        single_records(db)
        until(lambda: len(packed_files(tmp_path / "db")) >= 2)
        db.flush()
        db.put_many(pairs(range(150, 300)))
        db.compact()
        db.put(b"more", b"")
        db.compact()
        assert len(db.stats().tables) == 1
        assert db.count() == len(list(db.scan())) == 301


# ── what a writer leaves behind that was killed ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database with several packed files, and records in the last chain file."""
    path = tmp_path_factory.mktemp("original") / "db"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        with open_through(StillDoor(), path, **PACKING) as db:
            tables_between(db)
            db.compact()
            db.put_many(pairs(range(1_000, 1_010)))
    return path


@pytest.fixture
def packed_database(original: Path, tmp_path: Path) -> Path:
    return copy_of(original, tmp_path / "db")


def test_where_both_forms_stand_the_chain_file_counts(packed_database: Path) -> None:
    files = collection_of(packed_database)
    with blockdb.open(packed_database, read_only=True) as reader:
        before = answers(reader)
    data = files.packed(1).read_bytes()
    files.segment(1).write_bytes(packed_format.unpack(data))
    files.packed(1).write_bytes(b"half of it")
    with blockdb.open(packed_database, read_only=True) as reader:
        assert answers(reader) == before
        assert files.packed(1).read_bytes() == b"half of it", "who reads removes nothing"
    with blockdb.open(packed_database, **SETTINGS) as db:
        assert not files.packed(1).exists()
        assert answers(db) == before
    with blockdb.open(packed_database, **PACKING) as db:
        until(lambda: files.packed(1).exists() and not files.segment(1).exists())
        assert answers(db) == before
    assert files.packed(1).read_bytes() == data


@pytest.mark.parametrize("name", ["00000000.chain.zst.4711.tmp", "00000003.chain.tmp", "00000009.chain.zst.1.tmp"])
def test_leftovers_are_removed_by_the_next_writer(packed_database: Path, name: str) -> None:
    leftover = collection_of(packed_database).chain / name
    leftover.write_bytes(b"half of it")
    with blockdb.open(packed_database, read_only=True) as reader:
        before = answers(reader)
        assert leftover.exists()
    with blockdb.open(packed_database, **SETTINGS) as db:
        assert not leftover.exists()
        assert answers(db) == before


# ── what cannot be packed ────────────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_chain_file_is_not_packed(tmp_path: Path) -> None:
    """Packing would give the damage a checksum of its own; and the chain file is what a repair needs."""
    path = tmp_path / "db"
    with blockdb.open(path, **SETTINGS) as db:
        single_records(db)
    file = collection_of(path).segment(0)
    data = bytearray(file.read_bytes())
    at = data.index(b"value40")
    data[at] ^= 1
    with blockdb.open(path, **PACKING) as db:  # its log is replayed before it is damaged
        file.write_bytes(data)
        with pytest.raises(blockdb.Corruption, match=r"00000000\.chain"):
            db.compact()
        db.put(b"after", b"")
        assert chain_files(path) == [".chain", ".chain"]
        assert file.read_bytes() == data
        assert db.get(b"after") == b""


@pytest.mark.parametrize("call", ["create", "rename", "remove"])
def test_packing_that_fails_is_told_and_tried_again(tmp_path: Path, call: str) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", **PACKING) as db:
        suffix = {"create": f".zst.{getpid()}.tmp", "rename": ".zst", "remove": ".chain"}[call]
        door.failing[call, suffix] = errno.ENOSPC
        with pytest.raises(blockdb.StorageError):
            fill_and_compact(db)
        until(lambda: db.stats().background_failure is not None)
        assert "no space" in str(db.stats().background_failure).lower()
        before = answers(db)
        door.failing.clear()
        db.compact()
        assert chain_files(tmp_path / "db")[:-1] == [".chain.zst"] * len(packed_files(tmp_path / "db"))
        assert answers(db) == before
        db.put(b"more", b"")
        db.flush()
        until(lambda: db.stats().background_failure is None)


def fill_and_compact(db: blockdb.Database) -> None:
    single_records(db)
    db.compact()


def test_a_packed_file_that_cannot_be_opened_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the thread that packs does not die of it."""
    door = TroubledDoor()
    died: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", died.append)
        with open_through(door, tmp_path / "db", **PACKING) as db:
            door.failing["map_read", ".zst"] = errno.EMFILE
            with suppress(OSError), pytest.raises(blockdb.StorageError):
                fill_and_compact(db)
            before = answers(db)
            door.failing.clear()
            db.compact()
            assert answers(db) == before
            assert chain_files(tmp_path / "db").count(".chain") == 1
    assert not died


# ── what is not what was packed ──────────────────────────────────────────────────────────────────────────────────


def test_a_shorter_packed_file_of_the_same_name(tmp_path: Path) -> None:
    """Of a copy of the directory that went its own way: a table points beyond its end."""
    path = tmp_path / "db"
    with blockdb.open(path, **PACKING) as db:
        db.put(b"first", b"1")
    copy = copy_of(path, tmp_path / "copy")
    with blockdb.open(copy, **PACKING) as db:
        db.compact()
    with blockdb.open(path, **PACKING) as db:
        db.put_many(pairs(range(60)))
        db.compact()
        db.put(b"last", b"2")
    collection_of(path).packed(0).write_bytes(collection_of(copy).packed(0).read_bytes())
    for ask in (lambda db: db.get(b"key00040"), lambda db: list(db.scan()), lambda db: db.record(b"key00040")):
        with (
            pytest.raises(blockdb.Corruption, match=r"00000000\.chain\.zst"),
            blockdb.open(path, read_only=True) as reader,
        ):
            ask(reader)


def last_chain_file(path: Path) -> Path:
    return max(collection_of(path).chain.glob("*.chain"))


def test_the_last_chain_file_is_missing(packed_database: Path) -> None:
    last = last_chain_file(packed_database)
    last.unlink()
    for read_only in (True, False):
        with pytest.raises(blockdb.Corruption, match=last.name):
            blockdb.open(packed_database, read_only=read_only)


def test_the_last_chain_file_and_the_mark_are_missing(packed_database: Path) -> None:
    """Writing is refused, or goes on in a new file: a chain file beside a packed one would have that removed."""
    last_chain_file(packed_database).unlink()
    collection_of(packed_database).mark.unlink()
    before = {file.name: file.read_bytes() for file in packed_files(packed_database)}
    stored = []
    for number in range(2):
        with suppress(blockdb.Corruption), blockdb.open(packed_database, **SETTINGS) as db:
            stored.append(db.put(b"after%d" % number, b""))
            assert db.count() == len(list(db.scan())) == stored[-1] + 1
        assert {file.name: file.read_bytes() for file in packed_files(packed_database)} == before
    assert len(stored) in (0, 2)


def test_an_older_copy_of_a_chain_file_beside_its_packed_form(packed_database: Path) -> None:
    """As a copy of the directory has it that was made before and again after packing. Nothing intact is removed."""
    files = collection_of(packed_database)
    data = files.packed(1).read_bytes()
    whole = packed_format.unpack(data)
    files.segment(1).write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with suppress(blockdb.Corruption), blockdb.open(packed_database, **PACKING) as db:
            assert [record.sequence for record in db.records()] == list(range(db.count()))
    assert (
        data in [file.read_bytes() for file in packed_files(packed_database)] or files.segment(1).read_bytes() == whole
    )


def test_a_packed_file_that_is_missing(packed_database: Path) -> None:
    file = collection_of(packed_database).packed(1)
    file.unlink()
    for read_only in (True, False):
        with pytest.raises(blockdb.Corruption, match=r"00000001\.chain"):
            blockdb.open(packed_database, read_only=read_only)
