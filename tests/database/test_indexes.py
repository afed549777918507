"""Indexes while others write, erase, kill and have no room on the disk."""

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import blockdb
from blockdb.database.preparation import Preparation
from blockdb.errors import IndexNotFound, InvalidData, ReadOnly, UniqueViolation
from blockdb.format.ordered import encode
from blockdb.storage import index_build, index_files, index_keeper
from blockdb.storage.index_files import IndexFiles
from blockdb.storage.index_keeper import IndexKeeper
from tests.database.indexed import FAR, check_index, found
from tests.storage.doors import StillDoor, TroubledDoor, collection_of, open_through, until
from tests.storage.redacting import SETTINGS, assert_gone
from tests.tiers import tiers

SMALL: dict[str, Any] = {"memtable_size_limit": 65_536, "blockchain_batch_size": 50, "compaction_threshold": 3}


def document_of(number: int) -> dict[str, Any]:
    return {"email": f"somebody-{number:05d}@example.com", "age": number % 7, "tags": [number % 3, "all"]}


def items(numbers: range) -> list[tuple[bytes, bytes]]:
    return [(b"key %d" % number, json.dumps(document_of(number)).encode()) for number in numbers]


def documents(numbers: range) -> dict[bytes, Any]:
    return {b"key %d" % number: document_of(number) for number in numbers}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db", **SMALL) as db:
        yield db


# ── what is asked for ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_an_index_is_refused(db: blockdb.Database) -> None:
    with pytest.raises(InvalidData, match="wrong at character 3"):
        db.create_index("n", ["a..b"])
    assert db.indexes() == ()


def test_a_record_that_is_no_document_refuses_the_index_and_is_named(db: blockdb.Database) -> None:
    db.put_many([*items(range(40)), (b"odd \xff", b"[1]")])
    with pytest.raises(InvalidData, match=r"Record 'odd \\xff' cannot be indexed"):
        db.create_index("age", ["age"])
    assert db.indexes() == ()
    assert not list(collection_of(db.path).indexes.iterdir())
    db.put(b"bytes", b"\x00 are welcome again")


def test_two_records_with_one_value_refuse_a_unique_index_and_are_named(db: blockdb.Database) -> None:
    db.put_many(items(range(12)))
    with pytest.raises(UniqueViolation) as refused:
        db.create_index("age", ["age"], unique=True)
    error = refused.value
    assert (error.index, error.fields, error.values) == ("age", ("age",), (0,))
    assert (error.key, error.other) == (b"key 0", b"key 7")
    assert str(error) == "Index 'age' is unique, and records 'key 0' and 'key 7' both have age = 0."
    assert db.indexes() == ()
    assert not list(collection_of(db.path).indexes.iterdir())


def test_values_that_are_no_documents_are_refused_while_there_is_an_index(db: blockdb.Database) -> None:
    db.create_index("age", ["age"])
    for wrong in (b"", b"5", b"{", b"\xff"):
        with pytest.raises(InvalidData, match="document"):
            db.put(b"key", wrong)
    with pytest.raises(InvalidData):
        db.put_many([(b"key", b"{}"), (b"other", b"[]")])
    assert db.count() == db.indexes()[0].entries == 0
    db.drop_index("age")
    db.put(b"key", b"5")


def test_a_violation_says_who_has_the_values_and_nothing_is_written(db: blockdb.Database) -> None:
    db.create_index("both", ["age", "tags[]"], unique=True)
    db.put(b"first", {"age": 1, "tags": ["x", "y"]})
    for batch in ([(b"a", {"age": 1, "tags": ["y"]})], [(b"a", {}), (b"b", {"age": 1, "tags": ["z", "x"]})]):
        with pytest.raises(UniqueViolation) as refused:
            db.put_many(batch)
        assert refused.value.key == b"first"
    with pytest.raises(UniqueViolation) as refused:
        db.put_many([(b"a", {}), (b"b", {"x": 1})])
    assert (refused.value.key, refused.value.values) == (b"a", (None, None))
    assert list(db.keys()) == [b"first"]


def test_who_only_reads_sees_indexes_come_and_go_and_makes_none(db: blockdb.Database) -> None:
    db.put_many(items(range(30)))
    with blockdb.open(db.path, read_only=True) as attached:
        assert attached.indexes() == ()
        db.create_index("age", ["age"])
        check_index(attached, "age", documents(range(30)))
        db.put_many(items(range(30, 60)))
        check_index(attached, "age", documents(range(60)))
        db.flush()
        check_index(attached, "age", documents(range(60)))
        for refused in (lambda: attached.create_index("x", ["x"]), lambda: attached.drop_index("age")):
            with pytest.raises(ReadOnly):
                refused()
        db.drop_index("age")
        assert attached.indexes() == ()
        with pytest.raises(IndexNotFound):
            db.drop_index("age")


def test_a_dropped_index_stays_readable_for_who_reads_it(db: blockdb.Database) -> None:
    db.put_many(items(range(100)))
    db.create_index("age", ["age"])
    [index] = db._ready_indexes()
    scan = index.scan(b"", None, FAR)
    first = next(scan)
    db.drop_index("age")
    assert not list(collection_of(db.path).indexes.iterdir())
    assert len([first, *scan]) == 100
    assert db.stats().index_bytes == db.collection_stats().index_size_bytes == 0


def test_its_bytes_are_counted(db: blockdb.Database) -> None:
    db.put_many(items(range(100)))
    before = db.stats().disk_bytes
    db.create_index("age", ["age"])
    [info] = db.indexes()
    size = sum(path.stat().st_size for path in collection_of(db.path).indexes.iterdir())
    assert (info.entries, info.size_bytes, info.state, info.lookups) == (100, size, "ready", 0)
    assert db.stats().index_bytes == db.collection_stats().index_size_bytes == size
    assert db.stats().disk_bytes >= before + size
    next(db._ready_indexes()[0].scan(b"", None, FAR))
    assert db.indexes()[0].lookups == 1


# ── beside writers ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_write_that_was_prepared_without_the_index_is_prepared_anew(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [True, True, False, True, False]
    monkeypatch.setattr(Preparation, "is_plain", property(lambda self: plain.pop(0)))
    db.create_index("age", ["age"])
    db.put(b"key 0", items(range(1))[0][1])
    plain[:] = [True, False]
    db.put_many(items(range(1, 5)))
    plain[:] = [True, False, False]
    db.put(*items(range(5, 6))[0], sync=True)
    monkeypatch.undo()
    check_index(db, "age", documents(range(6)))


@pytest.mark.parametrize("unique", tiers([True], [False]))
def test_an_index_is_made_while_others_write(
    db: blockdb.Database, unique: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before, during and after; in files from memory and from the chain, merged in the background."""
    numbers, built, going = range(700), IndexFiles.of_chain, Event()

    def of_chain(self: IndexFiles, *args: Any, **kwargs: Any) -> Any:
        going.set()
        until(lambda: db.count() > seen + 100)
        return built(self, *args, **kwargs)

    def write() -> None:
        for item in items(numbers[100:]):
            db.put(*item)

    monkeypatch.setattr(IndexFiles, "of_chain", of_chain)
    db.put_many(items(numbers[:100]))
    writer = Thread(target=write)
    writer.start()
    until(lambda: db.count() > 150)
    seen = db.count()
    db.create_index("email", ["email"], unique=unique)
    assert going.is_set()
    writer.join()
    keeper = db._reader.indexes
    assert isinstance(keeper, IndexKeeper)
    until(lambda: len(keeper.by_name["email"].view.memories) == 1)
    check_index(db, "email", documents(numbers))
    db.compact()
    assert len(keeper.by_name["email"].view.files) == 1
    check_index(db, "email", documents(numbers))
    assert keeper.failure is None


def test_a_record_that_comes_during_the_building_violates_it(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = IndexFiles.of_chain

    def of_chain(self: IndexFiles, *args: Any, **kwargs: Any) -> Any:
        db.put(b"new", items(range(3, 4))[0][1])
        return built(self, *args, **kwargs)

    db.put_many(items(range(10)))
    monkeypatch.setattr(IndexFiles, "of_chain", of_chain)
    with pytest.raises(UniqueViolation) as refused:
        db.create_index("email", ["email"], unique=True)
    assert (refused.value.key, refused.value.other) == (b"key 3", b"new")
    assert db.indexes() == ()
    assert not list(collection_of(db.path).indexes.iterdir())


@pytest.mark.torture
@pytest.mark.parametrize("encrypted", [False, True])
def test_files_are_made_by_processes_too(tmp_path: Path, encrypted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    build = index_build.build_in_process
    monkeypatch.setattr(index_files, "build_in_process", lambda *args: made.append(build(*args)) or made[-1])
    monkeypatch.setattr(index_files, "WORTHWHILE_ENTRIES", 200)
    sealed: dict[str, Any] = {"encryption_enabled": True, "master_key": b"m" * 32} if encrypted else {}
    with blockdb.open(tmp_path / "db", **SMALL, **sealed) as db:
        db.put_many(items(range(300)))
        db.create_index("email", ["email"], unique=True)
        db.put_many(items(range(300, 600)))
        db.flush()
        db.compact()
        assert len(made) >= 2
        assert all(made)
        check_index(db, "email", documents(range(600)))
        assert db.verify().valid
        data = b"".join(path.read_bytes() for path in collection_of(db.path).indexes.iterdir())
        assert (b"somebody-00007" in data) == (not encrypted)


def test_a_flush_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_keeper, "RETRY_S", 0.01)
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", **SMALL) as db:
        db.create_index("email", ["email"])
        door.failing["rename", ".idx"] = errno.ENOSPC
        db.put_many(items(range(400)))
        until(lambda: db.stats().background_failure)
        assert "writing an index file" in str(db.stats().background_failure)
        check_index(db, "email", documents(range(400)))
        door.failing.clear()
        until(lambda: not db.stats().background_failure)
        check_index(db, "email", documents(range(400)))


# ── erasing, and dying ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encrypted", tiers([False], [True]))
def test_what_is_redacted_goes_from_memory_and_files(tmp_path: Path, encrypted: bool) -> None:
    sealed: dict[str, Any] = {"encryption_enabled": True, "master_key": b"m" * 32} if encrypted else {}
    path, left = tmp_path / "db", documents(range(80))
    with blockdb.open(path, **SETTINGS, **sealed) as db, blockdb.open(path, read_only=True, **sealed) as attached:
        db.put_many(items(range(40)))
        for name, fields, unique in (("email", ["email"], True), ("age", ["age", "email"], False)):
            db.create_index(name, fields, unique)
        db.put_many(items(range(40, 80)))
        check_index(attached, "email", left)
        gone = [b"key 0", b"key 7", b"key 60"]
        db.redact_many(gone, reason="asked for")
        values = [document_of(number)["email"].encode() for number in (0, 7, 60)]
        assert_gone(path, values)
        for key in gone:
            del left[key]
        for handle in (db, attached):
            for name in ("email", "age"):
                check_index(handle, name, left)
        assert db.verify().valid
        db.put(b"again", items(range(7, 8))[0][1])
    with blockdb.open(path, **sealed) as db:
        check_index(db, "email", {**left, b"again": document_of(7)})


class DyingDoor(StillDoor):
    """Keeps what a kill would leave behind before each call that changes a file of the indexes."""

    def __init__(self, source: Path, target: Path) -> None:
        super().__init__()
        self.source = source
        self.target = target
        self.copies: list[Path] = []

    def _keep(self, path: Path) -> None:
        if "indexes" in str(path):
            self.copies.append(self.copy(self.source, self.target / f"{len(self.copies)}"))

    def create(self, path: Path, data: bytes) -> None:
        self._keep(path)
        super().create(path, data[: len(data) // 2])
        self._keep(path)
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._keep(new)
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._keep(path)
        super().remove(path)


@pytest.mark.torture
def test_a_writer_may_be_killed_anywhere(tmp_path: Path) -> None:
    """What is opened then has the whole index or none, and nothing else in its directory."""
    path = tmp_path / "db"
    door = DyingDoor(path, tmp_path)
    with open_through(door, path, **SMALL) as db:
        db.put_many(items(range(50)))
        db.create_index("email", ["email"], unique=True)
        db.put_many(items(range(50, 100)))
        db.flush()
        db.compact()
        db.drop_index("email")
    assert len(door.copies) > 12
    states = set()
    for copy in door.copies:
        with blockdb.open(copy) as db:
            states.add((len(db.indexes()), db.count()))
            if db.indexes():
                check_index(db, "email", documents(range(db.count())))
                with pytest.raises(UniqueViolation):
                    db.put(b"other", items(range(1))[0][1])
            numbers = [file.header.number for index in db._ready_indexes() for file in index.view.files]
            directory = collection_of(copy).indexes
            kept = [path.name for path in directory.iterdir()] if directory.exists() else []
            assert kept == [f"{number:08d}.idx" for number in numbers]
        shutil.rmtree(copy)
    assert states == {(0, 50), (1, 100), (0, 100)}


def test_what_memory_has_is_read_from_the_chain_on_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "db"
    with blockdb.open(path) as db:
        db.create_index("email", ["email"], unique=True)
        db.put_many(items(range(100)))
    for uncovered, files in ((1000, 0), (50, 1), (1000, 1)):
        monkeypatch.setattr(index_keeper, "MAX_UNCOVERED", uncovered)
        with blockdb.open(path) as db:
            assert len(db._reader.indexes.by_name["email"].view.files) == files
            check_index(db, "email", documents(range(100)))


def test_values_are_found_in_the_order_of_the_fields(db: blockdb.Database) -> None:
    db.create_index("age", ["age"])
    db.put_many([(b"%d" % n, {"age": age}) for n, age in enumerate(["x", 5, None, 4.5, True, "a"])])
    assert [values for values, _ in found(db, "age")] == [encode(age) for age in (None, True, 4.5, 5, "a", "x")]


@pytest.mark.parametrize("what", ["write", "scan", "lookup"])
def test_a_page_that_is_damaged_is_not_served_and_the_index_is_built_anew(tmp_path: Path, what: str) -> None:
    path = tmp_path / "db"
    with blockdb.open(path) as db:
        db.put_many(items(range(300)))
        db.create_index("email", ["email"], unique=True)
    [file] = collection_of(path).indexes.iterdir()
    data = bytearray(file.read_bytes())
    data[data.index(b"somebody-00200")] ^= 1
    file.write_bytes(data)
    with blockdb.open(path) as db:
        [index] = db._ready_indexes()
        reads = {
            "write": lambda: db.put(b"again", items(range(200, 201))[0][1]),
            "scan": lambda: list(index.scan(b"", None, FAR)),
            "lookup": lambda: index.places(encode("somebody-00200@example.com"), FAR),
        }
        with pytest.raises(blockdb.Corruption, match=r"\.idx"):
            reads[what]()
        until(lambda: not index.is_damaged)
        check_index(db, "email", documents(range(300)))
        assert any("built anew" in problem.what for problem in db.verify().problems)
        assert not file.exists()
    with blockdb.open(path) as db:
        assert db.verify().valid
