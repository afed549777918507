"""Reading beside a writer: an attachment follows whatever the writer does, and touches nothing."""

import errno
from collections.abc import Callable, Iterator
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.storage import attachment as attachment_module
from blockdb.storage.door import Door
from tests.storage.doors import TroubledDoor, collection_of, open_through, pairs, until

SETTINGS: dict[str, Any] = {"memtable_size_limit": 65_536, "blockchain_batch_size": 4, "compaction_threshold": 2}

Both = tuple[blockdb.Database, blockdb.Database]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    """A writer, and a reader that was attached when there was nothing yet."""
    with blockdb.open(tmp_path / "db", **SETTINGS) as writer, blockdb.open(writer.path, read_only=True) as reader:
        yield writer, reader


def seen_of(db: blockdb.Database) -> tuple[Any, ...]:
    """All that a reader can see."""
    statistics = db.stats()
    return (
        list(db.scan()),
        list(db.records()),
        list(db.blocks()),
        db.block_records(statistics.blocks),
        (statistics.records, statistics.data_bytes, statistics.blocks, statistics.head_hash),
        (statistics.open_block_records, statistics.open_block_bytes, statistics.chain_bytes),
        db.count(prefix=b"key0000"),
    )


def wait_for_count(db: blockdb.Database, count: int) -> None:
    until(lambda: db.count() == count)


def test_each_record_is_seen_by_the_next_call(both: Both) -> None:
    writer, reader = both
    for number, (key, value) in enumerate(pairs(range(30))):
        assert reader.get(key) is None
        assert writer.put(key, value) == number
        assert reader.get(key) == value
        assert reader.count() == number + 1
    assert seen_of(reader) == seen_of(writer)


def test_batches_and_blocks_are_seen_by_the_next_call(both: Both) -> None:
    writer, reader = both
    for number in range(0, 60, 6):
        writer.put_many(pairs(range(number, number + 6)))
        assert seen_of(reader) == seen_of(writer)


@pytest.mark.parametrize("work", [blockdb.Database.flush, blockdb.Database.compact], ids=["flushes", "compactions"])
def test_flushes_and_compactions_change_nothing_for_a_reader(
    both: Both, work: Callable[[blockdb.Database], None]
) -> None:
    writer, reader = both
    for number in range(0, 60, 6):
        writer.put_many(pairs(range(number, number + 5)))
        work(writer)
        assert seen_of(reader) == seen_of(writer)
        writer.put(*pairs([number + 5])[0])
        assert seen_of(reader) == seen_of(writer)
    until(lambda: reader.stats().tables == writer.stats().tables)
    assert seen_of(reader) == seen_of(writer)
    report = reader.verify()
    assert report.valid, report.problems


def test_tables_replace_memory_in_a_reader_too(both: Both) -> None:
    writer, reader = both
    writer.put_many(pairs(range(100)))
    assert reader.stats().memtable_records == 100
    writer.flush()
    until(lambda: reader.stats().memtable_records == 0)
    assert [table.records for table in reader.stats().tables] == [100]
    assert reader.stats().log_bytes == writer.stats().log_bytes
    assert seen_of(reader) == seen_of(writer)


def test_a_reader_follows_one_writer_after_another(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **SETTINGS) as writer:
        writer.put_many(pairs(range(5)))
    with blockdb.open(tmp_path / "db", read_only=True) as reader:
        assert reader.count() == 5
        for number in range(5, 25, 5):
            with blockdb.open(tmp_path / "db", **SETTINGS) as writer:
                writer.put_many(pairs(range(number, number + 4)))
                if number == 15:
                    writer.compact()
                writer.put(*pairs([number + 4])[0])
                wait_for_count(reader, number + 5)
                assert seen_of(reader) == seen_of(writer)
            assert reader.count() == number + 5
        assert reader.verify().valid


def test_a_reader_that_was_attached_late_sees_the_same(both: Both) -> None:
    writer, _ = both
    for number in range(0, 40, 10):
        writer.put_many(pairs(range(number, number + 7)))
        writer.flush()
        writer.put_many(pairs(range(number + 7, number + 10)))
        with blockdb.open(writer.path, read_only=True) as late:
            assert seen_of(late) == seen_of(writer)
            assert late.stats().recovered_records == 3


def test_an_old_scan_goes_on_after_the_tables_it_reads_were_merged_away(both: Both) -> None:
    writer, reader = both
    for number in range(0, 40, 10):
        writer.put_many(pairs(range(number, number + 10)))
        writer.flush()
    until(lambda: reader.count() == 40)
    scan = reader.scan()
    assert next(scan) == pairs([0])[0]
    writer.put_many(pairs(range(40, 50)))
    writer.compact()
    until(lambda: len(reader.stats().tables) == 1)
    assert list(scan) == pairs(range(1, 40))


class ReadingDoor(TroubledDoor):
    """A system that has everything mounted read-only."""

    def __init__(self) -> None:
        super().__init__()
        writing = ("write", "force", "truncate", "open_append", "create", "rename", "remove")
        self.failing = dict.fromkeys(writing, errno.EROFS)

    def lock(self, path: Path) -> int:
        raise AssertionError("a reader takes no lock")

    def map_write(self, path: Path) -> mmap:
        raise AssertionError("a reader maps nothing for writing")

    def make_directory(self, path: Path) -> None:
        raise AssertionError("a reader makes no directory")


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **SETTINGS) as writer:
        writer.put_many(pairs(range(10)))
        writer.flush()
        writer.put_many(pairs(range(10, 15)))

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = content()
    with open_through(ReadingDoor(), tmp_path / "db", read_only=True) as reader:
        assert reader.count() == 15
        assert reader.verify().valid
    assert content() == before


def test_many_readers_do_not_disturb_each_other_or_the_writer(both: Both) -> None:
    writer, reader = both
    others = [blockdb.open(writer.path, read_only=True) for _ in range(3)]
    for number in range(20):
        writer.put(*pairs([number])[0])
        assert {other.count() for other in (*others, reader)} == {number + 1}
    for other in others:
        other.close()
    assert reader.count() == 20


def test_a_table_that_vanishes_while_it_is_opened_is_looked_up_again(both: Both) -> None:
    """The writer merged it away between our reading the manifest and opening the table."""
    writer, _ = both
    writer.put_many(pairs(range(10)))
    writer.flush()
    merged = False

    class MergingDoor(Door):
        def map_read(self, path: Path) -> mmap:
            nonlocal merged
            if path.suffix == ".sst" and not merged:
                merged = True
                writer.put(b"more", b"")
                writer.compact()
                assert not path.exists()
            return super().map_read(path)

    with open_through(MergingDoor(), writer.path, read_only=True) as reader:
        assert merged
        assert reader.count() == 11


def test_damage_that_a_writer_never_repairs_is_told(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment_module, "FILES_CHECK_S", 0)
    writer, reader = both
    writer.put_many(pairs(range(10)))
    writer.flush()
    files = collection_of(writer.path)
    [table] = files.tables.iterdir()
    content = table.read_bytes()
    table.unlink()
    with pytest.raises(blockdb.Corruption):
        blockdb.open(writer.path, read_only=True)
    table.write_bytes(content[:-1])
    with pytest.raises(blockdb.Corruption):
        blockdb.open(writer.path, read_only=True)
    table.write_bytes(content)
    with blockdb.open(writer.path, read_only=True) as late:
        assert late.count() == reader.count() == 10
