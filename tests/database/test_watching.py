"""Collections whose records expire, and their change streams, through the public handle."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Thread

import pytest

import blockdb
from blockdb import CollectionSettings
from tests.database.clock import Clock
from tests.fault.support import bounded
from tests.storage.doors import until


def exhaust(stream: blockdb.Feed) -> None:
    for _ in stream:
        pass


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db") as db:
        yield db


def test_the_records_of_a_collection_expire(db: blockdb.Database, clock: Clock) -> None:
    sessions = db.create_collection("sessions", settings=CollectionSettings(ttl_seconds=60))
    sessions.put(b"a", b"1")
    db.put(b"a", b"of another collection")
    clock.ms += 60_000
    assert sessions.get(b"a") == b"1"
    assert sessions.describe().stats.document_count == 1
    clock.ms += 1
    assert sessions.get(b"a") is None
    assert (b"a" in sessions, list(sessions.scan()), sessions.count(), sessions.record(b"a")) == (False, [], 0, None)
    assert sessions.collection_stats().document_count == 0
    assert sessions.collection_stats().operations_count == 1
    with pytest.raises(blockdb.DuplicateKey, match="has expired, but the chain keeps it"):
        sessions.put(b"a", b"2")
    assert [record.value for record in sessions.records()] == [b"1"]
    assert sessions.prove(b"a").value == b"1"
    assert sessions.verify().valid
    assert db.get(b"a") == b"of another collection"


def test_they_are_expired_for_the_next_writer_and_for_readers_too(tmp_path: Path, clock: Clock) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.create_collection("sessions", settings={"ttl_seconds": 1}).put(b"a", b"1")
    clock.ms += 1001
    for read_only in (True, False):
        with blockdb.open(tmp_path / "db", read_only=read_only) as db:
            assert db["sessions"].get(b"a") is None
            assert len(list(db["sessions"].records())) == 1


def test_each_collection_has_a_stream_of_its_own(db: blockdb.Database) -> None:
    users, sessions = db.create_collection("users"), db.create_collection("sessions")
    streams = [db.watch(), users.watch(), db.watch(collection="sessions", prefix=b"s"), db.watch(collection=users.id)]
    for collection, key in ((db, b"d"), (sessions, b"x"), (users, b"u"), (sessions, b"s")):
        collection.put(key, b"")
    found = [stream.take(20) for stream in streams]
    assert [change and (change.record.key, change.sequence) for change in found] == [
        (b"d", 0),
        (b"u", 0),
        (b"s", 1),
        (b"u", 0),
    ]
    assert [stream.take(0) for stream in streams] == [None] * 4


def test_a_stream_is_gone_on_with_where_it_was_left(db: blockdb.Database) -> None:
    db.put_many([(b"%d" % number, b"") for number in range(10)])
    first = list(islice(db.watch(after=-1), 4))
    rest = list(islice(db.watch(after=first[-1].sequence), 6))
    assert [change.record.key for change in (*first, *rest)] == [b"%d" % number for number in range(10)]


def test_who_waits_in_one_thread_hears_of_what_another_one_stores(db: blockdb.Database) -> None:
    users = db.create_collection("users", settings={"write_concern": "Journaled"})
    heard: list[bytes] = []
    stream = users.watch()
    thread = Thread(target=lambda: heard.extend(change.record.key for change in stream), daemon=True)
    thread.start()
    for number in range(20):
        users.put(b"%d" % number, b"")
        until(lambda number=number: len(heard) == number + 1)  # type: ignore[misc]
    stream.stop()
    thread.join(20)
    assert heard == [b"%d" % number for number in range(20)]


def test_a_stream_ends_with_its_database(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        stream = db.watch()
        thread = Thread(target=db.close)
        thread.start()
        bounded(lambda: exhaust(stream))
        thread.join()
    with pytest.raises(blockdb.DatabaseClosed):
        db.watch()


@pytest.mark.parametrize("beside", [False, True])
def test_who_watches_is_told_that_the_collection_was_dropped(db: blockdb.Database, beside: bool) -> None:
    users = db.create_collection("users")
    users.put(b"a", b"")
    with blockdb.open(db.path, read_only=True) as reader:
        stream = (reader if beside else db).watch(collection="users", after=-1)
        assert stream.take() is not None
        thread = Thread(target=db.drop_collection, args=("users",))
        thread.start()
        with pytest.raises(blockdb.CollectionNotFound):
            bounded(lambda: exhaust(stream))
        thread.join()


@pytest.mark.parametrize("beside", [False, True])
def test_a_collection_that_is_parked_is_watched_all_the_same(tmp_path: Path, beside: bool) -> None:
    path, limit = tmp_path / "db", 8
    with blockdb.open(path, open_collections_limit=limit) as db:
        names = [f"c{number}" for number in range(limit + 2)]
        for name in names:
            db.create_collection(name)
        with blockdb.open(path, read_only=True, open_collections_limit=limit) as reader:
            handle = reader if beside else db
            heard: list[bytes] = []
            stream = handle.watch(collection="c0")
            thread = Thread(target=lambda: heard.extend(change.record.key for change in stream), daemon=True)
            thread.start()
            for number in range(2):
                for name in names[1:]:
                    handle[name].count()
                assert db["c0"]._reader.is_parked or beside
                db["c0"].put(b"%d" % number, b"")
                until(lambda number=number: len(heard) == number + 1)  # type: ignore[misc]
            stream.stop()
            thread.join(20)
            assert heard == [b"0", b"1"]


def test_a_stream_of_what_is_not_there(db: blockdb.Database) -> None:
    with pytest.raises(blockdb.CollectionNotFound):
        db.watch(collection="users")
    with pytest.raises(blockdb.InvalidData, match="no record 0 to go on after: there are 0"):
        db.watch(after=0)
