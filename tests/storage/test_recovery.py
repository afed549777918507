"""Opening after a killed writer, a power cut, and damage: what is forgiven, what is refused, what is still there."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

import blockdb
from blockdb.errors import Corruption
from blockdb.format import mark as mark_format
from blockdb.format import record, segment
from blockdb.format.frame import with_check
from blockdb.format.mark import Mark
from blockdb.format.place import place_of
from blockdb.format.walk import walk
from blockdb.storage import log as log_module
from blockdb.storage import manifest as manifests
from blockdb.storage.door import Door
from blockdb.storage.recovery import Trust, trust_in
from tests.storage.doors import StillDoor, change_mark, collection_of, copy_of, open_through, pairs, written


def short(data: bytes) -> str:
    """A name for a test that is about these bytes."""
    return f"{data[:5]!r}x{len(data)}"


OTHER_BOOT = b"another boot id!"
FEW: dict[str, Any] = {"blockchain_batch_size": 4}


class Crash(NamedTuple):
    """A writer that died while it wrote one more commit: its directory before, and the bytes of that commit."""

    before: Path
    commit: bytes

    def directory(self, target: Path, tail: bytes) -> Path:
        """What is left if of the commit this much reached the file."""
        copy_of(self.before, target)
        with collection_of(target).segment(0).open("ab") as file:
            file.write(tail)
        return target


def crash_while(tmp_path: Path, prepare: Callable[[blockdb.Database], object], write: Callable[..., object]) -> Crash:
    db = blockdb.open(tmp_path / "writer", **FEW)
    prepare(db)
    copy_of(db.path, tmp_path / "before")
    before = written(db.path)
    collection_of(tmp_path / "before").segment(0).write_bytes(before)
    write(db)
    commit = written(db.path)[len(before) :]
    db.close()
    return Crash(tmp_path / "before", commit)


def check_whole(path: Path, records: int) -> None:
    """It opens with that many records, is valid, goes on, and opens again with one more."""
    with open_through(StillDoor(), path) as db:
        assert [(r.key, r.value) for r in db.records()] == pairs(range(records))
        assert db.put(b"more", b"") == records
        report = db.verify()
        assert report.valid, report.problems
    with open_through(StillDoor(), path) as db:
        assert db.count() == records + 1
        assert db.stats().blocks == (records + 1) // 4
        assert db.verify().valid


# ── a killed writer ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_single_record_that_was_cut_anywhere_is_forgotten(tmp_path: Path) -> None:
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs(range(5))), lambda db: db.put(*pairs([5])[0]))
    for cut in range(len(crash.commit)):
        check_whole(crash.directory(tmp_path / str(cut), crash.commit[:cut]), 5)
    check_whole(crash.directory(tmp_path / "whole", crash.commit), 6)


RESERVED = bytes(100)


@pytest.mark.parametrize("seed", range(20))
def test_a_commit_of_which_any_bytes_are_missing_is_forgotten(tmp_path: Path, seed: int) -> None:
    """Who is killed while it stores leaves any parts of it; zeros were there before."""
    rng = Random(seed)
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs(range(5))), lambda db: db.put(*pairs([5])[0]))
    missing = rng.sample(range(len(crash.commit)), rng.randrange(1, len(crash.commit)))
    tail = bytes(0 if at in missing else byte for at, byte in enumerate(crash.commit))
    check_whole(crash.directory(tmp_path / "killed", tail + RESERVED), 6 if tail == crash.commit else 5)


def test_a_record_that_was_cut_anywhere_in_front_of_zeros_is_forgotten(tmp_path: Path) -> None:
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs(range(5))), lambda db: db.put(*pairs([5])[0]))
    for cut in range(len(crash.commit)):
        check_whole(crash.directory(tmp_path / str(cut), crash.commit[:cut] + RESERVED), 5)
    check_whole(crash.directory(tmp_path / "whole", crash.commit + RESERVED), 6)


def test_a_batch_that_was_cut_in_front_of_zeros_is_forgotten_as_a_whole(tmp_path: Path) -> None:
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs([0])), lambda db: db.put_many(pairs([1, 2])))
    for cut in range(0, len(crash.commit), 5):
        check_whole(crash.directory(tmp_path / str(cut), crash.commit[:cut] + RESERVED), 1)


def reserving(path: Path, *items: tuple[bytes, bytes]) -> Path:
    """What is left of a process that was killed after it had forced these records: zeros stand behind them."""
    with blockdb.open(path / "writer", **FEW, wal_sync_interval=0) as db:
        for key, value in items:
            db.put(key, value)
        copied = copy_of(db.path, path / "killed")
        ends = collection_of(db.path).segment(0).stat().st_size
    chain = collection_of(db.path).segment(0)
    assert chain.stat().st_size < ends, "closing gives back what was reserved"
    assert collection_of(copied).segment(0).stat().st_size == ends
    return copied


def test_the_zeros_at_the_end_of_a_value_are_no_reserve(tmp_path: Path) -> None:
    items = ((b"a", b"1"), (b"b", bytes(200)))
    for mark in (None, OTHER_BOOT):
        path = reserving(tmp_path / str(mark), *items)
        if mark is not None:
            change_mark(path, boot_id=mark)
        with blockdb.open(path, read_only=True) as db:
            assert list(db.scan()) == list(items)
        report = blockdb.verify(path)
        assert (report.valid, report.records) == (True, 2)
        with blockdb.open(path, **FEW) as db:
            assert list(db.scan()) == list(items)
            db.put(b"c", b"")
        assert blockdb.verify(path).valid


def test_without_a_mark_the_reserve_is_no_damage(tmp_path: Path) -> None:
    path = reserving(tmp_path, *pairs(range(6)))
    collection_of(path).mark.unlink()
    assert [problem.path.rpartition("/")[2] for problem in blockdb.verify(path).problems] == ["log.mark"]
    with blockdb.open(path, read_only=True) as db:
        assert db.count() == 6
    blockdb.repair(path)
    check_whole(path, 6)


def test_zeros_in_the_place_of_acknowledged_records_are_named(tmp_path: Path) -> None:
    path = reserving(tmp_path, *pairs(range(6)))
    chain = collection_of(path).segment(0)
    with blockdb.open(path, read_only=True) as db:
        place = db.stats().chain_bytes
    data = chain.read_bytes()
    written = len(data.rstrip(b"\0"))
    assert place == written, "what is reserved is not counted"
    *_, (last, _, _) = walk(data, segment.HEADER_BYTES, written)
    for first in (written - 1, written - 20, last, written - 200):
        chain.write_bytes(data[:first].ljust(len(data), b"\0"))
        assert not blockdb.verify(path).valid
        for read_only in (True, False):
            with pytest.raises(Corruption):
                blockdb.open(path, read_only=read_only)


def test_a_hole_before_the_last_records_is_named(tmp_path: Path) -> None:
    path = reserving(tmp_path, *pairs(range(6)))
    collection_of(path).mark.unlink()  # which would have told
    chain = collection_of(path).segment(0)
    data = bytearray(chain.read_bytes())
    written = len(data.rstrip(b"\0"))
    data[written - 60 : written - 20] = bytes(40)
    chain.write_bytes(data)
    with pytest.raises(Corruption):
        blockdb.open(path)


def test_zeros_behind_a_log_that_was_closed_are_named(tmp_path: Path) -> None:
    blockdb.open(tmp_path / "db").close()
    with collection_of(tmp_path / "db").segment(0).open("ab") as file:
        file.write(RESERVED)
    with pytest.raises(Corruption):
        blockdb.open(tmp_path / "db")
    assert not blockdb.verify(tmp_path / "db").valid


def test_a_batch_that_was_cut_anywhere_is_forgotten_as_a_whole(tmp_path: Path) -> None:
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs([0])), lambda db: db.put_many(pairs([1, 2])))
    for cut in range(len(crash.commit)):
        check_whole(crash.directory(tmp_path / str(cut), crash.commit[:cut]), 1)
    check_whole(crash.directory(tmp_path / "whole", crash.commit), 3)


def test_a_block_whose_seal_was_cut_is_sealed_again_the_same(tmp_path: Path) -> None:
    crash = crash_while(tmp_path, lambda db: db.put_many(pairs(range(3))), lambda db: db.put(*pairs([3])[0]))
    seal_start = crash.commit.index(b"value3") + len(b"value3")
    with blockdb.open(tmp_path / "writer", read_only=True) as db:
        expected = db.block(0).hash
    for cut in range(seal_start, len(crash.commit) + 1, 7):
        path = crash.directory(tmp_path / str(cut), crash.commit[:cut])
        with blockdb.open(path) as db:
            assert db.block(0).hash == expected
            assert db.count() == 4
            assert db.verify().valid


def test_records_that_a_killed_writer_left_are_there_and_counted(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **FEW) as db:
        db.put_many(pairs(range(6)))
        db.flush()
        db.put_many(pairs(range(6, 13)))
        copy_of(db.path, tmp_path / "killed")
    with blockdb.open(tmp_path / "killed") as db:
        assert db.stats().recovered_records == 7
        assert db.stats().recovery_ms > 0
    check_whole(tmp_path / "killed", 13)


def test_what_a_killed_writer_left_in_memory_is_forced_by_the_next_one(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", wal_sync_interval=3_600_000) as db:
        db.put(*pairs([0])[0], sync=True)
        db.put(*pairs([1])[0])
        copy_of(db.path, tmp_path / "killed")
    with blockdb.open(tmp_path / "killed", wal_sync_interval=3_600_000) as db:
        log = db._store._log
        assert log.forced < log.end, "only what the killed one had forced is on the disk"
        db.flush()
        assert log.forced == log.end


# ── the rules of the mark ────────────────────────────────────────────────────────────────────────────────────────

HERE = b"this boot id 16!"
WRITTEN, FORCED, FLUSHED = 900, 300, 200


@pytest.mark.parametrize(
    ("boot_id", "clean", "trust"),
    [
        # a killed process: what it wrote is in the system's memory or on the disk
        (HERE, False, Trust(WRITTEN, rubbish=False, end=None)),
        # closed in peace, and forced then
        (HERE, True, Trust(WRITTEN, rubbish=False, end=WRITTEN)),
        (OTHER_BOOT, True, Trust(WRITTEN, rubbish=False, end=WRITTEN)),
        # the machine went down, or might have, where the system does not tell
        (OTHER_BOOT, False, Trust(FORCED, rubbish=True, end=None)),
        (bytes(16), False, Trust(FORCED, rubbish=True, end=None)),
    ],
)
def test_how_far_the_log_must_be_intact(boot_id: bytes, clean: bool, trust: Trust) -> None:
    mark = Mark(bytes(16), boot_id, WRITTEN, FORCED, clean)
    assert trust_in(mark, HERE, FLUSHED) == trust


def test_zeros_are_no_boot_id_to_recognise() -> None:
    assert trust_in(Mark(bytes(16), bytes(16), WRITTEN, FORCED, clean=False), bytes(16), FLUSHED).place == FORCED


def test_what_tables_point_at_was_forced_whatever_the_mark_says() -> None:
    assert trust_in("the mark is missing", HERE, FLUSHED) == Trust(FLUSHED, rubbish=False, end=None)
    assert trust_in(Mark(bytes(16), OTHER_BOOT, WRITTEN, 100, clean=False), HERE, FLUSHED).place == FLUSHED


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A database of ten records that was closed; the last four are the commits whose places `places_of` gives."""
    with blockdb.open(tmp_path / "db", **FEW) as db:
        db.put_many(pairs(range(6)))
        for key, value in pairs(range(6, 10)):
            db.put(key, value)
    return tmp_path / "db"


IN_VALUE = 28
"""An offset in a record's frame: check and header have 18 bytes, the key 8."""


def start_of(path: Path, number: int) -> int:
    """Where the frame of a record begins in the chain file."""
    return collection_of(path).segment(0).read_bytes().index(b"key%05d" % number) - 18


def cut(path: Path, size: int) -> None:
    chain = collection_of(path).segment(0)
    chain.write_bytes(chain.read_bytes()[:size])


def damage(path: Path, offset: int, data: bytes) -> None:
    chain = collection_of(path).segment(0)
    content = chain.read_bytes()
    chain.write_bytes(content[:offset] + data + content[offset + len(data) :])


def refused(path: Path) -> blockdb.Corruption:
    """It is refused for writing and for reading, and nothing is changed by that."""
    chain = collection_of(path).segment(0)
    before = chain.read_bytes()
    with pytest.raises(blockdb.Corruption) as reading:
        blockdb.open(path, read_only=True)
    with pytest.raises(blockdb.Corruption) as writing:
        blockdb.open(path)
    assert chain.read_bytes() == before
    assert (reading.value.path, reading.value.offset) == (writing.value.path, writing.value.offset)
    assert writing.value.path == str(chain)
    return writing.value


def test_a_closed_log_has_the_size_it_had(closed: Path) -> None:
    size = collection_of(closed).segment(0).stat().st_size
    cut(closed, size - 1)
    assert "was cut" in str(refused(closed))


def test_a_closed_log_has_nothing_after_its_end(closed: Path) -> None:
    chain = collection_of(closed).segment(0)
    content = chain.read_bytes()
    last = content[start_of(closed, 9) :]
    chain.write_bytes(content + last)
    assert refused(closed).offset == len(content)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 50, b"what is this", b"S" * 30, b"\0\0\0\0S"], ids=short)
def test_a_closed_log_with_rubbish_after_its_end_is_refused(closed: Path, tail: bytes) -> None:
    with collection_of(closed).segment(0).open("ab") as file:
        file.write(tail)
    refused(closed)


def test_what_a_killed_writer_had_acknowledged_must_be_there(closed: Path) -> None:
    change_mark(closed, clean=False, boot_id=Door().boot_id())
    at = start_of(closed, 9)
    cut(closed, at + 5)
    assert "was cut" in str(refused(closed))


@pytest.mark.parametrize("number", [0, 5, 7, 9])
@pytest.mark.parametrize("clean", [False, True])
def test_damage_in_what_the_mark_vouches_for_is_named_and_nothing_is_cut_off(
    closed: Path, number: int, clean: bool
) -> None:
    change_mark(closed, clean=clean, boot_id=Door().boot_id())
    commit = segment.HEADER_BYTES if number < 6 else start_of(closed, number)
    damage(closed, start_of(closed, number) + IN_VALUE, b"\xff")
    error = refused(closed)
    assert error.offset == commit


def test_a_damaged_length_does_not_pass_for_a_torn_end(closed: Path) -> None:
    change_mark(closed, clean=False, boot_id=Door().boot_id())
    damage(closed, start_of(closed, 7) + 15, b"\xff")
    assert refused(closed).offset == start_of(closed, 7)


@pytest.mark.parametrize("tail", [b"", b"\0" * 100, b"\xff" * 100, b"S" * 100, b"cut"], ids=short)
def test_after_a_power_cut_anything_may_stand_behind_what_was_forced(closed: Path, tail: bytes) -> None:
    forced = place_of(0, start_of(closed, 8))
    change_mark(closed, clean=False, boot_id=OTHER_BOOT, forced=forced)
    cut(closed, start_of(closed, 8))
    with collection_of(closed).segment(0).open("ab") as file:
        file.write(tail)
    check_whole(closed, 8)


def test_after_a_power_cut_what_did_reach_the_disk_is_kept(closed: Path) -> None:
    change_mark(closed, clean=False, boot_id=OTHER_BOOT, forced=place_of(0, start_of(closed, 7)))
    cut(closed, start_of(closed, 9) + 3)
    check_whole(closed, 9)


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff" * 100], ids=short)
def test_after_a_power_cut_the_mark_itself_may_be_an_old_one(closed: Path, tail: bytes) -> None:
    """Its page reached the disk before the records did that came after, and the file is longer than what it has."""
    old = place_of(0, start_of(closed, 8))
    change_mark(closed, clean=False, boot_id=OTHER_BOOT, written=old, forced=old)
    cut(closed, start_of(closed, 8))
    with collection_of(closed).segment(0).open("ab") as file:
        file.write(tail)
    check_whole(closed, 8)


def test_after_a_power_cut_what_was_forced_must_be_there(closed: Path) -> None:
    change_mark(closed, clean=False, boot_id=OTHER_BOOT, forced=place_of(0, start_of(closed, 8)))
    damage(closed, start_of(closed, 7) + IN_VALUE, b"\xff")
    assert refused(closed).offset == start_of(closed, 7)
    cut(closed, start_of(closed, 7))
    assert "was cut" in str(refused(closed))


@pytest.mark.parametrize("how", ["missing", "empty", "damaged", "foreign"])
def test_without_a_good_mark_it_opens_and_says_so(closed: Path, how: str) -> None:
    mark = collection_of(closed).mark
    if how == "missing":
        mark.unlink()
    elif how == "empty":
        mark.write_bytes(b"")
    elif how == "damaged":
        mark.write_bytes(b"?" + mark.read_bytes()[1:])
    else:
        change_mark(closed, collection=b"somebody else's!")
    with blockdb.open(closed, read_only=True) as db:
        assert db.count() == 10
        assert not db.verify().valid
    with blockdb.open(closed) as db:
        assert db.count() == 10
        [problem] = db.verify().problems
        assert problem.path.endswith("log.mark")
        assert "the mark" in problem.what
    check_whole(closed, 10)


def test_without_a_mark_only_a_torn_end_is_forgiven(closed: Path) -> None:
    collection_of(closed).mark.unlink()
    damage(closed, start_of(closed, 9) + IN_VALUE, b"\xff")
    assert refused(closed).offset == start_of(closed, 9)
    cut(closed, start_of(closed, 9) + IN_VALUE)
    blockdb.open(closed).close()
    check_whole(closed, 9)


def test_without_a_mark_what_tables_point_at_must_be_there(tmp_path: Path) -> None:
    """The open block's records are in a table already: a length that was changed there is no torn end."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=1000) as db:
        for key, value in pairs(range(6)):
            db.put(key, value)
        db.flush()
        db.put(*pairs([6])[0])
    collection_of(db.path).mark.unlink()
    damage(db.path, start_of(db.path, 2) + 15, b"\xff")
    assert refused(db.path).offset == start_of(db.path, 2)


def test_the_chain_must_reach_to_what_tables_point_at(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=1000) as db:
        db.put_many(pairs(range(6)))
        db.flush()
    collection_of(db.path).mark.unlink()
    cut(db.path, segment.HEADER_BYTES)
    assert "was cut" in str(refused(db.path))


# ── whole files ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_of_many_files_is_recovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 150)
    with blockdb.open(tmp_path / "db", **FEW) as db:
        for key, value in pairs(range(20)):
            db.put(key, value)
        assert len(list(collection_of(db.path).chain.iterdir())) > 4
        copy_of(db.path, tmp_path / "killed")
    check_whole(tmp_path / "killed", 20)


def test_a_file_missing_in_the_middle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 150)
    with blockdb.open(tmp_path / "db", **FEW) as db:
        for key, value in pairs(range(20)):
            db.put(key, value)
    files = collection_of(db.path)
    last = max(files.chain.iterdir())
    for missing in (files.segment(1), last):
        content = missing.read_bytes()
        missing.unlink()
        with pytest.raises(blockdb.Corruption, match="missing") as caught:
            blockdb.open(db.path)
        assert caught.value.path == str(missing)
        missing.write_bytes(content)
    blockdb.open(db.path).close()


@pytest.mark.parametrize("change", [b"", b"short", b"?" * 100])
def test_a_chain_file_without_its_header_is_refused(closed: Path, change: bytes) -> None:
    collection_of(closed).mark.unlink()
    collection_of(closed).segment(0).write_bytes(change)
    with pytest.raises(blockdb.Corruption):
        blockdb.open(closed)


def test_a_chain_file_of_another_collection_is_refused(closed: Path, tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "other", **FEW) as other:
        other.put_many(pairs(range(6)))
        for key, value in pairs(range(6, 10)):
            other.put(key, value)
    mine, foreign = (collection_of(path).segment(0) for path in (closed, other.path))
    assert mine.stat().st_size == foreign.stat().st_size
    mine.write_bytes(foreign.read_bytes())
    with pytest.raises(blockdb.Corruption, match="belongs elsewhere"):
        blockdb.open(closed)


def test_records_that_were_exchanged_with_good_checks_are_noticed_by_the_block(closed: Path) -> None:
    """A thief who knows the format: every check matches, but not the Merkle root."""
    chain = collection_of(closed).segment(0)
    content = chain.read_bytes()
    at = start_of(closed, 6)
    old = record.decode(content, at)
    forged = with_check(record.encode(old.time_ms, old.key, b"VALUE6"))
    assert len(forged) == old.size
    damage(closed, at, forged)
    with pytest.raises(blockdb.Corruption, match="Merkle root of block 1"):
        blockdb.open(closed)
    with blockdb.open(closed, read_only=True) as db:
        assert ["Merkle root" in problem.what for problem in db.verify().problems] == [True]


def test_the_mark_is_made_anew_for_each_writer(closed: Path) -> None:
    file = collection_of(closed).mark
    assert mark_format.decode(file.read_bytes()).clean
    with blockdb.open(closed) as db:
        mark = mark_format.decode(file.read_bytes())
        assert (mark.clean, mark.boot_id) == (False, Door().boot_id())
        assert mark.written == collection_of(db.path).segment(0).stat().st_size
    assert mark_format.decode(file.read_bytes()).clean


def test_a_closed_log_has_no_record_after_its_end(tmp_path: Path) -> None:
    """Not even one that is intact, and new."""
    with blockdb.open(tmp_path / "db") as db:
        db.put_many(pairs(range(10)))
    chain = collection_of(tmp_path / "db").segment(0)
    content = chain.read_bytes()
    chain.write_bytes(content + with_check(record.encode(1 << 41, b"a new key", b"")))
    for read_only in (False, True):
        with pytest.raises(Corruption) as caught:
            blockdb.open(tmp_path / "db", read_only=read_only)
        assert caught.value.offset == len(content)


def test_a_table_that_the_manifest_leaves_out_is_missed(tmp_path: Path) -> None:
    """The records of a table between two others would be served as never stored."""
    with blockdb.open(tmp_path / "db", compaction_threshold=100) as db:
        for start in (0, 10, 20):
            db.put_many(pairs(range(start, start + 10)))
            db.flush()
    files, door = collection_of(tmp_path / "db"), Door()
    manifest = manifests.load(door, files.manifest, files.root.name)
    first, second, third = manifest.tables
    for name, left in (("first", (second, third)), ("middle", (first, third)), ("last", (first, second))):
        manifests.save(door, files.manifest, manifest.with_tables(left))
        for read_only in (True, False):  # a writer removes what the manifest does not count, so each has its own
            copy = copy_of(tmp_path / "db", tmp_path / f"{name} {read_only}")
            with pytest.raises(Corruption):
                blockdb.open(copy, read_only=read_only)


@pytest.mark.parametrize("packed", [False, True], ids=["table", "packed chain file"])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_another_collection_is_refused(
    tmp_path: Path, packed: bool, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blockdb.storage.packed.run_python", lambda module, *_: False)
    for name, first in (("one", 0), ("other", 100)):
        with blockdb.open(tmp_path / name, compression_enabled=packed) as db:
            db.put_many(pairs(range(first, first + 100)))
            db.compact()
    pattern = "*.chain.zst" if packed else "*.sst"
    [mine], [foreign] = ([*collection_of(tmp_path / name).root.rglob(pattern)] for name in ("one", "other"))
    mine.write_bytes(foreign.read_bytes())
    with pytest.raises(Corruption, match=r"belongs elsewhere|holds another table") as caught:
        list(blockdb.open(tmp_path / "one", read_only=read_only).scan())
    assert caught.value.path == str(mine)
