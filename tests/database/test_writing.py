"""put and put_many: what they take, what they refuse, and that what is refused leaves no trace."""

import pickle
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

import blockdb
from blockdb.format import checks
from blockdb.lsm.memtable import Memtable
from tests.storage.doors import pairs


def test_sequence_numbers_count_from_zero(db: blockdb.Database) -> None:
    assert db.put(b"a", b"1") == 0
    assert db.put_many([(b"b", b"2"), (b"c", b"")]) == range(1, 3)
    assert db.put_many([]) == range(3, 3)
    assert db.put(b"d", b"4") == 3
    assert [(r.sequence, r.key, r.value) for r in db.records()] == [
        (0, b"a", b"1"),
        (1, b"b", b"2"),
        (2, b"c", b""),
        (3, b"d", b"4"),
    ]


@pytest.mark.parametrize(
    "items",
    [lambda: iter(pairs(range(3))), lambda: dict(pairs(range(3))).items(), lambda: [list(p) for p in pairs(range(3))]],
)
def test_a_batch_is_any_iterable_of_pairs(db: blockdb.Database, items: Callable[[], Any]) -> None:
    assert db.put_many(items()) == range(3)
    assert list(db.scan()) == pairs(range(3))


def test_any_byte_may_stand_in_a_key_and_in_a_value(db: blockdb.Database) -> None:
    every = bytes(range(256))
    for byte in every:
        db.put(bytes((byte,)), every[byte:] + every[:byte])
    assert [key for key, _ in db.scan()] == [bytes((byte,)) for byte in every]
    assert db.get(b"\0") == every
    db.put(b"\0\0", b"")
    assert list(db.keys(limit=3)) == [b"\0", b"\0\0", b"\1"]


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["memory", "table", "merged table", "after reopening"])
def test_a_key_is_stored_once_wherever_it_is_by_now(where: str, tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db")
    db.put(b"user:1", b"first")
    if where != "memory":
        db.flush()
    if where == "merged table":
        db.put(b"other", b"")
        db.compact()
    if where == "after reopening":
        db.close()
        db = blockdb.open(tmp_path / "db")
    before = db.stats().records
    for write in (
        lambda: db.put(b"user:1", b"second"),
        lambda: db.put(b"user:1", b"first"),
        lambda: db.put_many([(b"new", b""), (b"user:1", b"second"), (b"newer", b"")]),
    ):
        with pytest.raises(blockdb.DuplicateKey) as caught:
            write()
        assert caught.value.key == b"user:1"
        assert str(caught.value) == ("Key 'user:1' already exists. BlockDB is append-only and does not allow updates.")
    assert db.get(b"user:1") == b"first"
    assert db.get(b"new") is None
    assert db.stats().records == db.count() == before
    assert db.stats().duplicates == 3
    db.close()


def test_a_key_that_is_twice_in_a_batch_refuses_all_of_it(db: blockdb.Database) -> None:
    with pytest.raises(blockdb.DuplicateKey) as caught:
        db.put_many([(b"a", b"1"), (b"b", b"2"), (b"b", b"2"), (b"a", b"1")])
    assert caught.value.key == b"b"
    assert db.count() == 0
    assert db.put_many([(b"a", b"1"), (b"b", b"2")]) == range(2)


def test_a_key_that_is_no_text_is_shown_all_the_same(db: blockdb.Database) -> None:
    db.put(b"\xff\x00", b"")
    with pytest.raises(blockdb.DuplicateKey, match=r"Key '\\xff\x00' already exists"):
        db.put(b"\xff\x00", b"")


def test_errors_travel_between_processes() -> None:
    for error in (blockdb.DuplicateKey(b"\xff"), blockdb.Corruption("file", 7, "it is damaged")):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert (str(copy), vars(copy)) == (str(error), vars(error))


# ── what may not be stored ───────────────────────────────────────────────────────────────────────────────────────

NOT_BYTES: list[Any] = ["text", 5, None, bytearray(b"x"), memoryview(b"x"), [b"x"]]


@pytest.mark.parametrize("wrong", NOT_BYTES, ids=lambda wrong: type(wrong).__name__)
def test_keys_and_values_are_bytes(db: blockdb.Database, wrong: Any) -> None:
    for write, what in (
        (lambda: db.put(wrong, b"v"), "key"),
        (lambda: db.put(b"k", wrong), "value"),
        (lambda: db.put_many([(b"a", b"1"), (wrong, b"v")]), "key"),
        (lambda: db.put_many([(b"a", b"1"), (b"k", wrong)]), "value"),
    ):
        with pytest.raises(blockdb.InvalidData, match=f"A {what} is bytes, not {type(wrong).__name__}"):
            write()
    for read in (db.get, db.exists, db.record):
        with pytest.raises(blockdb.InvalidData, match="A key is bytes"):
            read(wrong)
    assert db.count() == 0


@pytest.mark.parametrize(
    "items", [[b"ab"], [(b"a",)], [(b"a", b"b", b"c")], [(b"a", b"1"), (b"b",)], [5], {b"key": b"value"}, b"abc"]
)
def test_a_batch_has_pairs(db: blockdb.Database, items: Any) -> None:
    with pytest.raises(blockdb.InvalidData):
        db.put_many(items)
    assert db.count() == 0


def test_a_key_has_1_to_65535_bytes(db: blockdb.Database) -> None:
    assert blockdb.MAX_KEY_BYTES == 65_535
    longest = b"k" * blockdb.MAX_KEY_BYTES
    for key, words in ((b"", "at least one byte"), (longest + b"k", "at most 65535 bytes; this one has 65536")):
        with pytest.raises(blockdb.InvalidData, match=words):
            db.put(key, b"")
        with pytest.raises(blockdb.InvalidData, match=words):
            db.put_many([(b"fine", b""), (key, b"")])
    db.put(longest, b"1")
    db.put_many([(b"K" * blockdb.MAX_KEY_BYTES, b"2")])
    db.flush()
    assert db.get(longest) == b"1"
    assert list(db.keys(prefix=b"K")) == [b"K" * blockdb.MAX_KEY_BYTES]


def test_a_value_has_at_most_64_mib(db: blockdb.Database) -> None:
    assert blockdb.MAX_VALUE_BYTES == 64 * 1024 * 1024
    largest = bytes(blockdb.MAX_VALUE_BYTES)
    with pytest.raises(blockdb.InvalidData, match=r"at most 67108864 bytes; this one has 67108865\. Store it in parts"):
        db.put(b"k", largest + b"\0")
    with pytest.raises(blockdb.InvalidData, match="at most 67108864 bytes"):
        db.put_many([(b"k", largest + b"\0")])
    assert db.count() == 0
    db.put(b"k", largest)
    assert db.get(b"k") == largest
    assert db.stats().blocks == 1, "so large a record is a block of its own"


def test_a_batch_has_at_most_a_million_records(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blockdb.MAX_BATCH_RECORDS == 1_000_000
    with pytest.raises(blockdb.InvalidData, match=r"at most 1000000 records; this one has 1000001\. Split it"):
        db.put_many([(b"k", b"")] * (blockdb.MAX_BATCH_RECORDS + 1))
    monkeypatch.setattr(checks, "MAX_BATCH_RECORDS", 3)
    with pytest.raises(blockdb.InvalidData):
        db.put_many(pairs(range(4)))
    assert db.put_many(pairs(range(3))) == range(3)


def test_a_batch_has_at_most_256_mib(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blockdb.MAX_BATCH_BYTES == 256 * 1024 * 1024
    quarter = bytes(blockdb.MAX_VALUE_BYTES)
    with pytest.raises(blockdb.InvalidData, match=r"at most 268435456 bytes; this one has 268435460\. Split it"):
        db.put_many([(b"%d" % number, quarter) for number in range(4)])
    monkeypatch.setattr(checks, "MAX_BATCH_BYTES", 8)
    with pytest.raises(blockdb.InvalidData):
        db.put_many([(b"aa", b"1"), (b"bbbbb", b"2")])
    assert db.put_many([(b"aa", b"1"), (b"bbbb", b"2")]) == range(2)


def test_nothing_is_deleted(db: blockdb.Database) -> None:
    db.put(b"key", b"value")
    for key in (b"key", b"no key"):
        with pytest.raises(blockdb.AppendOnly, match="append-only: nothing that was stored is deleted or changed"):
            db.delete(key)
    assert db.get(b"key") == b"value"


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────


def in_threads(count: int, work: Callable[[int], object]) -> None:
    barrier = Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        work(number)

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_may_write_at_once(tmp_path: Path) -> None:
    given: dict[bytes, int] = {}
    with blockdb.open(tmp_path / "db", memtable_size_limit=65_536, blockchain_batch_size=10) as db:

        def write(thread: int) -> None:
            for number in range(0, 200, 5):
                for one in range(number, number + 3):
                    given[b"%d.%d" % (thread, one)] = db.put(b"%d.%d" % (thread, one), b"x" * 100)
                batch = [(b"%d.%d" % (thread, one), b"x" * 100) for one in (number + 3, number + 4)]
                given.update(zip((key for key, _ in batch), db.put_many(batch), strict=True))
                assert db.get(batch[0][0]) is not None

        in_threads(4, write)
        assert sorted(given.values()) == list(range(800))
        assert {record.key: record.sequence for record in db.records()} == given
        assert db.verify().valid


def test_of_many_threads_with_one_key_one_succeeds(db: blockdb.Database) -> None:
    outcomes: list[bool] = []

    def write(thread: int) -> None:
        for number in range(50):
            try:
                if thread % 2:
                    db.put(b"key%d" % number, b"%d" % thread)
                else:
                    db.put_many([(b"key%d" % number, b"%d" % thread)])
                outcomes.append(True)
            except blockdb.DuplicateKey:
                outcomes.append(False)

    in_threads(4, write)
    assert (outcomes.count(True), outcomes.count(False)) == (50, 150)
    assert db.count() == 50


def test_a_record_may_be_asked_for_while_it_is_written(db: blockdb.Database) -> None:
    """Also between the steps of the write that stores it: who asks then gets the record or none, never an error."""
    seen: list[blockdb.Record | Exception | None] = []
    append = Memtable.append

    def look() -> None:
        try:
            seen.append(db.record(b"key"))
        except blockdb.BlockDBError as error:
            seen.append(error)

    def append_and_look(self: Memtable, key: bytes, value: bytes, place: int) -> None:
        append(self, key, value, place)
        looker = Thread(target=look)
        looker.start()
        looker.join()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memtable, "append", append_and_look)
        db.put(b"key", b"value")
    [found] = seen
    assert found is None or found == db.record(b"key")


def test_one_key_that_is_twice_in_a_batch_refuses_all_of_it(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        with pytest.raises(blockdb.DuplicateKey) as caught:
            db.put_many([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
        assert caught.value.key == b"a"
        assert db.count() == 0
