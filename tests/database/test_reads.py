"""What a transaction has read, and whether something newer is among it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

import blockdb
from blockdb.database.transactions import reads
from blockdb.database.transactions.reads import Edges, Newer, Read, Reads
from blockdb.storage.store import Store
from tests.storage.doors import StillDoor, open_through

RECORDS = 40


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[bytes]]]:
    """A collection in tables and in memory, and its keys in the order in which they were stored."""
    path: Path = tmp_path_factory.mktemp("reads") / "db"
    keys = [b"%02d" % number for number in range(2 * RECORDS)]
    Random(1).shuffle(keys)
    with open_through(StillDoor(), path, blockchain_batch_size=7) as db:
        for number, key in enumerate(keys[:RECORDS]):
            db.put(key, b"")
            if number in (10, 25):
                db.flush()
        store = db._reader
        assert isinstance(store, Store)
        yield store, keys


@pytest.mark.parametrize("walked", [0, 1_000])
def test_what_is_newer(order: tuple[Store, list[bytes]], walked: int) -> None:
    """Whichever way it looks for it."""
    store, keys = order
    chance = Random(walked)
    with patch.object(reads, "WALKED", walked):
        for _ in range(200):
            first = chance.randrange(RECORDS + 2)
            stop = chance.randrange(RECORDS + 1)
            start, end = sorted(chance.choices(keys, k=2))
            edges: Edges = (chance.choice([b"", start]), chance.choice([None, end]))
            newer = keys[first:stop]
            assert Newer(store, first, stop).has_any((start, end), ()) == (start in newer or end in newer)
            expected = any(edges[0] <= key and (edges[1] is None or key < edges[1]) for key in newer)
            assert Newer(store, first, stop).has_any((), (edges,)) == expected


def test_the_first_time_counts() -> None:
    read = Reads()
    for key, records in [(b"b", 3), (b"a", 3), (b"b", 5), (b"c", 5)]:
        read.add_absent(key, records)
    read.add_range(None, None, 5)
    read.add_range(b"", None, 3)
    assert list(read.of(b"id")) == [
        Read(b"id", 3, (b"a", b"b"), ()),
        Read(b"id", 5, (b"c",), ((b"", None),)),
    ]


def test_who_has_read_much_has_read_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "MOST", 3)
    read = Reads()
    for number in range(3, 9):
        read.add_absent(b"%d" % number, number)
        read.add_range(b"%d" % number, None, number)
    assert list(read.of(b"id")) == [Read(b"id", 3, (), ((b"", None),))]


def test_what_is_read_is_kept_where_it_is_wanted(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"there", b"")
        for keeps in (False, True):
            db._core.transactions.keeps_reads = keeps
            with db.transaction() as transaction:
                transaction.get(b"there")
                transaction.get(b"not there")
                transaction.exists(b"nor there")
                list(transaction.scan(prefix=b"a"))
                list(transaction.find())
                [part] = transaction._parts.values()
        assert part.reads is not None
        found = list(part.reads.of(b"id"))
    assert found == [Read(b"id", 1, (b"nor there", b"not there"), ((b"a", b"b"), (b"", None)))]
