"""Reading by key takes a short way where it may, with the same answers: every question is asked several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import blockdb
from blockdb import AsOf
from blockdb.storage.reader import SAMPLE_MASK
from tests.database.clock import Clock
from tests.storage.doors import pairs, until

TTL_S = 60


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        yield db


def answer(ask: Callable[[], Any]) -> Any:
    """What comes of it, each of several times; an error by its kind."""

    def once() -> Any:
        try:
            return ask()
        except blockdb.BlockDBError as error:
            return type(error)

    answers = [once() for _ in range(3)]
    assert answers[1:] == answers[:-1]
    return answers[0]


def both(collection: blockdb.Collection, key: bytes) -> tuple[Any, Any]:
    return answer(lambda: collection.get(key)), answer(lambda: collection.exists(key))


MOVES: dict[str, Callable[[blockdb.Database], object]] = {
    "in memory": lambda db: None,
    "in a table": lambda db: db.flush(),
    "in the cache": lambda db: (db.flush(), db.get(b"key00000")),
    "packed": lambda db: db.compact(),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_was_redacted_is_there_and_is_not_served(db: blockdb.Database, move: str) -> None:
    db.put_many(pairs(range(3)))
    value = db.get(b"key00000")
    MOVES[move](db)
    assert both(db, b"key00000") == (value, True)
    db.redact(b"key00000", reason="it was to go")
    assert both(db, b"key00000") == (blockdb.Redacted, True)
    db.flush()
    assert both(db, b"key00000") == (blockdb.Redacted, True)
    assert both(db, b"missing") == (None, False)


@pytest.mark.parametrize("move", MOVES)
def test_a_closed_database_serves_nothing(db: blockdb.Database, move: str) -> None:
    db.put_many(pairs(range(3)))
    MOVES[move](db)
    assert both(db, b"key00000")[1]
    db.close()
    assert both(db, b"key00000") == (blockdb.DatabaseClosed,) * 2
    assert both(db, b"missing") == (blockdb.DatabaseClosed,) * 2


def test_nor_does_one_that_was_dropped(db: blockdb.Database) -> None:
    collection = db.create_collection("short-lived")
    collection.put(b"key", b"value")
    assert both(collection, b"key") == (b"value", True)
    db.drop_collection("short-lived")
    assert both(collection, b"key") == (blockdb.CollectionNotFound,) * 2


@pytest.mark.parametrize("move", MOVES)
def test_what_expires_is_gone_wherever_it_is(db: blockdb.Database, clock: Clock, move: str) -> None:
    collection = db.create_collection("sessions", settings={"ttl_seconds": TTL_S})
    collection.put(b"key00000", b"old")
    clock.ms += TTL_S * 1000
    collection.put(b"new", b"")
    MOVES[move](db)
    assert both(collection, b"key00000") == (b"old", True)
    clock.ms += 1
    assert both(collection, b"key00000") == (None, False)
    assert both(collection, b"new") == (b"", True)
    collection.flush()
    assert both(collection, b"key00000") == (None, False)


def test_a_moment_before_is_what_it_was(db: blockdb.Database) -> None:
    db.put(b"a", b"1")
    db.put(b"b", b"2")
    assert answer(lambda: db.get(b"b")) == b"2"
    assert answer(lambda: db.get(b"b", as_of=AsOf(sequence=0))) is None
    assert answer(lambda: db.get(b"a", as_of=AsOf(sequence=0))) == b"1"


def test_who_reads_beside_the_writer_sees_each_record_at_once(db: blockdb.Database, tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", read_only=True) as reader:
        for number, (key, value) in enumerate(pairs(range(20))):
            assert both(reader, key) == (None, False)
            db.put(key, value)
            assert both(reader, key) == (value, True)
            if number % 5 == 0:
                db.flush()


def test_a_parked_collection_lets_go_of_what_was_at_hand(db: blockdb.Database) -> None:
    collection = db.create_collection("seldom")
    for key, value in pairs(range(3)):
        collection.put(key, value)
        assert both(collection, key) == (value, True)
        until(collection._reader.park)
        assert collection._reader.at_hand is None
        assert both(collection, key) == (value, True)
        assert collection._reader.at_hand is collection._reader.view


def test_every_read_is_counted_and_one_in_so_many_is_timed(db: blockdb.Database) -> None:
    db.put_many(pairs(range(200)))
    keys = [key for key, _ in pairs(range(300))]
    reads = 10 * (SAMPLE_MASK + 1)
    for number in range(reads):
        db.get(keys[number % 300])
    for key in keys:
        db.exists(key)
    found = db.stats()
    assert found.gets == reads + 300
    assert found.misses == sum(number % 300 >= 200 for number in range(reads)) + 100
    assert found.get_latency.count == 10


def test_threads_read_what_was_stored_while_it_moves(db: blockdb.Database) -> None:
    """From the memtable to a table, and to a merged one."""
    wrong: list[bytes] = []
    stored: list[tuple[bytes, bytes]] = []
    is_over = False

    def read() -> None:
        while not is_over:
            for key, value in stored[-50:]:
                if db.get(key) != value or not db.exists(key):
                    wrong.append(key)

    threads = [Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number, item in enumerate(pairs(range(1000))):
        db.put(*item)
        stored.append(item)
        if number % 100 == 99:
            db.flush()
    db.compact()
    is_over = True
    for thread in threads:
        thread.join()
    assert not wrong
