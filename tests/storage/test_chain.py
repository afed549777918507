"""Reading the chain files, from several threads and while they grow."""

from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread

import pytest

import blockdb
from blockdb.format import mark as mark_format
from blockdb.format.block import Seal
from blockdb.format.place import place_of
from blockdb.format.segment import HEADER_BYTES
from blockdb.storage import log as log_module
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata
from tests.storage.doors import collection_of, pairs


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[blockdb.Database]:
    """Twenty records in blocks of four, in several chain files."""
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 200)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        for key, value in pairs(range(20)):
            db.put(key, value)
        yield db


def chain_of(db: blockdb.Database, door: Door | None = None) -> Chain:
    files = collection_of(db.path)
    return Chain(door or Door(), files, load_metadata(Door(), files.metadata).uuid)


def end_of(db: blockdb.Database) -> int:
    return mark_format.decode(collection_of(db.path).mark.read_bytes()).written


def places_of(db: blockdb.Database) -> list[int]:
    """Where the records are."""
    steps = chain_of(db).walk(HEADER_BYTES, end_of(db))
    return [place for place, _, frame in steps if not isinstance(frame, Seal)]


def test_a_walk_goes_through_all_files_in_order(db: blockdb.Database) -> None:
    chain = chain_of(db)
    assert chain.segments() > 4
    found = list(chain.walk(HEADER_BYTES, end_of(db)))
    records = [(place, frame) for place, _, frame in found if not isinstance(frame, Seal)]
    assert [(frame.key, frame.value) for _, frame in records] == pairs(range(20))
    assert [place for place, _, _ in found] == sorted(place for place, _, _ in found)
    for place, frame in records:
        assert chain.record_at(place) == frame
        assert chain.item_at(place) == (frame.key, frame.value)
    seals = [(place, frame) for place, _, frame in found if isinstance(frame, Seal)]
    assert [frame.header.number for _, frame in seals] == [0, 1, 2, 3, 4]
    assert [chain.seal_at(place) for place, _ in seals] == [frame for _, frame in seals]
    bodies, places = chain.bodies(HEADER_BYTES, end_of(db))
    assert list(zip(places, bodies, strict=True)) == [(place, frame.body) for place, frame in records]


def test_a_record_that_was_written_after_the_file_was_mapped_is_found(db: blockdb.Database) -> None:
    chain = chain_of(db)
    db.put(b"now", b"")
    assert chain.item_at(places_of(db)[-1]) == (b"now", b"")
    for number in range(20):
        db.put(b"later%d" % number, b"value")
        assert chain.item_at(places_of(db)[-1]) == (b"later%d" % number, b"value")


@pytest.mark.parametrize("offset", [0, HEADER_BYTES + 1, 10_000])
@pytest.mark.parametrize("number", [0, 1])
def test_a_place_where_nothing_begins_is_named(db: blockdb.Database, number: int, offset: int) -> None:
    chain = chain_of(db)
    for read in (chain.item_at, chain.record_at, chain.seal_at):
        with pytest.raises(blockdb.Corruption) as caught:
            read(place_of(number, offset))
        assert caught.value.path == str(collection_of(db.path).segment(number))


class MeetingDoor(Door):
    """A system on which two threads that map the same file do so at the same moment."""

    def __init__(self) -> None:
        self.barrier = Barrier(2)

    def map_read(self, path: Path) -> mmap:
        buffer = super().map_read(path)
        with suppress(BrokenBarrierError):  # only one came
            self.barrier.wait(0.2)
        return buffer


def test_two_threads_may_come_to_a_new_file_at_once(db: blockdb.Database) -> None:
    """Each file must get its own number: a place in one must never be read in another."""
    places = places_of(db)
    firsts = [next(place for place in places if place >> 32 == number) for number in (0, 1, 2)]
    expected = [chain_of(db).item_at(place) for place in firsts]
    door = MeetingDoor()
    chain = chain_of(db, door)
    readers = [Thread(target=chain.item_at, args=(firsts[0],)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    door.barrier.abort()
    assert [chain.item_at(place) for place in firsts] == expected
