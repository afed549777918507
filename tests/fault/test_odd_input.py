"""Keys and values that are odd, or at the limits: the exact bytes come back, or they are refused as documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import blockdb
from tests.fault.support import open_database

ODD = [
    b"\0",
    b"\0\0",
    b"a\0b",
    b"..",
    b"../../etc/passwd",
    b"/",
    b"\n",
    b"line\r\nline\n",
    b"\xff",
    b"\xff\xff\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x1b[2J\x1b]0;title\x07",
    b"[/foo]",
    "\u202eevil\u2066".encode(),
    "Å".encode(),
    "A\u030a".encode(),
    b" ",
    b"key",
    b"key\0",
    b"BlockDB chain 1\n",
    bytes(range(256)),
]


def check_round_trip(db: blockdb.Database, items: dict[bytes, bytes]) -> None:
    assert {key: db.get(key) for key in items} == items
    assert list(db.scan()) == sorted(items.items())
    assert list(db.scan(reverse=True)) == sorted(items.items(), reverse=True)
    assert [(record.key, record.value) for record in db.records()] == list(items.items())
    for key in items:
        assert dict(db.scan(prefix=key)) == {other: items[other] for other in items if other.startswith(key)}
        assert next(db.keys(start=key)) == key
    assert db.verify().valid


def test_odd_bytes_come_back_as_they_are(tmp_path: Path) -> None:
    items = {key: key[::-1] for key in ODD}
    with open_database(tmp_path / "db") as db:
        for key, value in list(items.items())[:11]:
            db.put(key, value)
        db.put_many(list(items.items())[11:])
        check_round_trip(db, items)
        db.flush()
        check_round_trip(db, items)
    with open_database(tmp_path / "db", read_only=True) as db:
        check_round_trip(db, items)
    exported = {path.name for path in (tmp_path / "db").rglob("*")} | {path.name for path in tmp_path.iterdir()}
    assert not exported & {"passwd", "evil"}


def test_limits_of_keys_and_values(tmp_path: Path) -> None:
    longest_key, largest_value = b"k" * blockdb.MAX_KEY_BYTES, b"v" * blockdb.MAX_VALUE_BYTES
    items = {b"a": b"", longest_key: b"", b"b": largest_value, b"b" * 2: b"after it"}
    with open_database(tmp_path / "db") as db:
        for key, value in items.items():
            db.put(key, value)
        db.put_many([(b"c", b""), (longest_key[:-1] + b"l", b"x")])
        items |= {b"c": b"", longest_key[:-1] + b"l": b"x"}
        assert {key: db.get(key) for key in items} == items
    with open_database(tmp_path / "db") as db:
        db.compact()
        assert dict(db.scan()) == items
        assert db.verify().valid


REFUSED: dict[str, Callable[[blockdb.Database], object]] = {
    "no key": lambda db: db.put(b"", b"v"),
    "a key too long": lambda db: db.put(b"k" * (blockdb.MAX_KEY_BYTES + 1), b"v"),
    "a value too large": lambda db: db.put(b"k", bytes(blockdb.MAX_VALUE_BYTES + 1)),
    "a key that is text": lambda db: db.put("k", b"v"),  # type: ignore[arg-type]
    "a value that is text": lambda db: db.put(b"k", "v"),  # type: ignore[arg-type]
    "no value": lambda db: db.put(b"k", None),  # type: ignore[arg-type]
    "a bytearray": lambda db: db.put(bytearray(b"k"), b"v"),  # type: ignore[arg-type]
    "no key in a batch": lambda db: db.put_many([(b"k", b"v"), (b"", b"v")]),
    "a long key in a batch": lambda db: db.put_many([(b"k", b"v"), (b"k" * (blockdb.MAX_KEY_BYTES + 1), b"v")]),
    "a large value in a batch": lambda db: db.put_many([(b"k", b"v"), (b"l", bytes(blockdb.MAX_VALUE_BYTES + 1))]),
    "a batch of other things": lambda db: db.put_many([(b"k", b"v"), b"kv"]),  # type: ignore[list-item]
    "a batch of triples": lambda db: db.put_many([(b"k", b"v", b"w")]),  # type: ignore[list-item]
    "text in a batch": lambda db: db.put_many([(b"k", b"v"), ("l", b"v")]),  # type: ignore[list-item]
    "a batch too long": lambda db: db.put_many([(b"%d" % n, b"") for n in range(blockdb.MAX_BATCH_RECORDS + 1)]),
    "a batch too large": lambda db: db.put_many([(b"%d" % n, bytes(blockdb.MAX_VALUE_BYTES)) for n in range(4)]),
    "a text prefix": lambda db: db.scan(prefix="k"),  # type: ignore[arg-type]
    "a negative limit": lambda db: db.scan(limit=-1),
    "a negative offset": lambda db: db.scan(offset=-1),
    "a text key": lambda db: db.get("k"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_leaves_nothing_behind(tmp_path: Path, refused: Callable[[blockdb.Database], object]) -> None:
    with open_database(tmp_path / "db") as db:
        db.put(b"there", b"before")
        with pytest.raises(blockdb.InvalidData):
            refused(db)
        db.put(b"k", b"after")
        assert dict(db.scan()) == {b"there": b"before", b"k": b"after"}
        assert db.verify().valid


def test_a_refused_key_in_a_batch_refuses_all_of_it(tmp_path: Path) -> None:
    with open_database(tmp_path / "db") as db:
        db.put(b"there", b"before")
        for batch in ([(b"new", b""), (b"there", b"")], [(b"new", b""), (b"twice", b"1"), (b"twice", b"2")]):
            with pytest.raises(blockdb.DuplicateKey):
                db.put_many(batch)
        db.flush()
        with pytest.raises(blockdb.DuplicateKey):
            db.put_many([(b"new", b""), (b"there", b"")])
        assert dict(db.scan()) == {b"there": b"before"}


def test_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path / "db") as db:
        db.put(b"a", b"")
        assert list(db.put_many([])) == []
        assert db.stats().records == 1


@pytest.mark.torture
def test_the_largest_batches(tmp_path: Path) -> None:
    with open_database(tmp_path / "db", blockchain_batch_size=100_000) as db:
        batch = [(b"%d" % number, b"") for number in range(blockdb.MAX_BATCH_RECORDS)]
        assert db.put_many(batch) == range(blockdb.MAX_BATCH_RECORDS)
        quarter = bytes(blockdb.MAX_VALUE_BYTES - 16)
        db.put_many([(b"large %d" % number, quarter) for number in range(4)])
    with open_database(tmp_path / "db") as db:
        assert db.stats().records == blockdb.MAX_BATCH_RECORDS + 4
        assert db.get(b"999999") == b""
        assert db.get(b"large 3") == quarter
        assert db.verify().valid
