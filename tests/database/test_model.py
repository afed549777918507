"""The whole public interface held against a dict and a list, in any order of calls."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import blockdb
from tests.database.independent import check_ledger
from tests.storage.doors import StillDoor, open_through, until

BLOCK = 7
SETTINGS: dict[str, Any] = {"memtable_size_limit": 65_536, "blockchain_batch_size": BLOCK, "compaction_threshold": 2}

# Few and short keys, so that they meet again; the highest byte, for the end of a prefix. Some values fill a memtable.
keys = st.text("ab\u00ff", min_size=1, max_size=5).map(lambda text: text.encode("latin-1"))
values = st.binary(max_size=12) | st.sampled_from([9_000, 20_000]).map(bytes)
items = st.tuples(keys, values)
bounds = st.none() | keys


@pytest.fixture(autouse=True, scope="module")
def temporary_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state machine cannot ask for a fixture: its directories are made where those of tests are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("model")))
        yield


class DatabaseAgainstModel(RuleBasedStateMachine):
    """`self.order` is what was stored, in commit order; `self.stored` the same as a dict."""

    settings = SETTINGS

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "db"
        self.stored: dict[bytes, bytes] = {}
        self.order: list[tuple[bytes, bytes]] = []
        self.reader: blockdb.Database | None = None

    @initialize()
    def open(self) -> None:
        self.door = StillDoor()
        self.db = open_through(self.door, self.path, **self.settings)

    # Writing.

    @rule(item=items)
    def put(self, item: tuple[bytes, bytes]) -> None:
        key, value = item
        if key in self.stored:
            duplicate = refused(lambda: self.db.put(key, value))
            assert duplicate == key
        else:
            assert self.db.put(key, value) == len(self.order)
            self._store([item])

    @rule(batch=st.lists(items, max_size=30))
    def put_many(self, batch: list[tuple[bytes, bytes]]) -> None:
        keys = [key for key, _ in batch]
        repeated = {key for key in keys if key in self.stored or keys.count(key) > 1}
        if repeated:
            assert refused(lambda: self.db.put_many(batch)) in repeated
        else:
            first = len(self.order)
            assert self.db.put_many(iter(batch)) == range(first, first + len(batch))
            self._store(batch)

    @rule(count=st.integers(1, 40), size=st.sampled_from([0, 100, 3_000]))
    def put_many_new(self, count: int, size: int) -> None:
        first = len(self.order)
        batch = [(b"new%06d" % (number * 7919 % 1_000_003), b"v" * size) for number in range(first, first + count)]
        assert self.db.put_many(batch) == range(first, first + count)
        self._store(batch)

    @rule(work=st.sampled_from(["flush", "compact"]))
    def work(self, work: str) -> None:
        getattr(self.db, work)()

    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """Go on with what the writer's death would leave behind."""
        crashed = self.door.copy(self.path, Path(tempfile.mkdtemp(dir=self.directory)) / "db")
        self._detach()
        self.db.close()
        shutil.rmtree(self.path)
        self.path = crashed
        self.open()

    # Reading.

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        for db in self._handles():
            assert db.get(key) == self.stored.get(key)
            assert db.exists(key) == (key in db) == (key in self.stored)
            record = db.record(key)
            if key not in self.stored:
                assert record is None
                continue
            assert record is not None
            assert (record.key, record.value) == (key, self.stored[key])
            assert self.order[record.sequence] == (key, self.stored[key])
            assert next(db.records(record.sequence, 1)) == record

    @rule(
        prefix=bounds,
        start=bounds,
        end=bounds,
        limit=st.none() | st.integers(0, 9),
        offset=st.integers(0, 9),
        reverse=st.booleans(),
    )
    def scan(
        self,
        prefix: bytes | None,
        start: bytes | None,
        end: bytes | None,
        limit: int | None,
        offset: int,
        reverse: bool,
    ) -> None:
        inside = [
            (key, value)
            for key, value in sorted(self.stored.items(), reverse=reverse)
            if key.startswith(prefix or b"") and (start is None or start <= key) and (end is None or key < end)
        ]
        expected = inside[offset:] if limit is None else inside[offset : offset + limit]
        range_: dict[str, Any] = {"prefix": prefix, "start": start, "end": end}
        for db in self._handles():
            assert list(db.scan(**range_, limit=limit, offset=offset, reverse=reverse)) == expected
            assert list(db.keys(**range_, limit=limit, offset=offset, reverse=reverse)) == [key for key, _ in expected]
            assert db.count(**range_) == len(inside)

    @rule(first=st.integers(0, 60), limit=st.none() | st.integers(0, 20))
    def records(self, first: int, limit: int | None) -> None:
        stop = len(self.order) if limit is None else first + limit
        expected = list(enumerate(self.order))[first:stop]
        for db in self._handles():
            found = list(db.records(first, limit))
            assert [(record.sequence, (record.key, record.value)) for record in found] == expected
            assert [record.time_ms for record in found] == sorted(record.time_ms for record in found)

    @rule(number=st.integers(0, 20))
    def block_records(self, number: int) -> None:
        for db in self._handles():
            blocks = db.stats().blocks
            if number > blocks:
                assert refused(partial(db.block_records, number)) is None
                continue
            found = db.block_records(number)
            assert [(r.key, r.value) for r in found] == self.order[number * BLOCK : (number + 1) * BLOCK]
            assert {record.block for record in found} <= {number if number < blocks else None}

    @rule(sequence=st.integers(0, 60), reverse=st.booleans())
    def past(self, sequence: int, reverse: bool) -> None:
        if sequence >= len(self.order):
            return
        moment, then = blockdb.AsOf(sequence=sequence), dict(self.order[: sequence + 1])
        key = self.order[sequence // 2][0]
        newest = self.order[-1][0]
        for db in self._handles():
            assert list(db.scan(as_of=moment, reverse=reverse)) == sorted(then.items(), reverse=reverse)
            assert db.get(key, as_of=moment) == then[key]
            assert db.get(newest, as_of=moment) == then.get(newest)

    # An attachment, which sees all the others do.

    @precondition(lambda self: self.reader is None)
    @rule()
    def attach(self) -> None:
        self.reader = blockdb.open(self.path, read_only=True)

    @precondition(lambda self: self.reader is not None)
    @rule()
    def detach(self) -> None:
        self._detach()

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "db"):
            return
        for db in self._handles():
            statistics = db.stats()
            assert statistics.records == db.count() == len(self.order)
            assert statistics.data_bytes == sum(len(key) + len(value) for key, value in self.order)
            assert statistics.blocks * BLOCK + statistics.open_block_records == len(self.order)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            for db in self._handles():
                report = db.verify()
                assert report.valid, report.problems
                assert (report.records, report.blocks) == (len(self.order), len(self.order) // BLOCK)
                check_ledger(db, BLOCK)
            self._detach()
            self.db.close()
            assert blockdb.verify(self.path).valid
        shutil.rmtree(self.directory)

    def _handles(self) -> list[blockdb.Database]:
        """The writer and the reader, as soon as both have seen everything.

        That is at once, but for the blocks of a busy writer, which are closed beside it, and for the first moments
        of another writer.
        """
        handles = [self.db] if self.reader is None else [self.db, self.reader]
        expected = len(self.order), len(self.order) // BLOCK
        until(lambda: {(db.stats().records, db.stats().blocks) for db in handles} == {expected})
        return handles

    def _store(self, batch: list[tuple[bytes, bytes]]) -> None:
        self.order.extend(batch)
        self.stored.update(batch)

    def _detach(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None


def refused(call: Callable[[], object]) -> bytes | None:
    """The key for which a call is refused; None where it is refused because there is no such block."""
    try:
        call()
    except blockdb.DuplicateKey as error:
        return error.key
    except blockdb.BlockNotFound:
        return None
    raise AssertionError("it was not refused")


class PackedDatabaseAgainstModel(DatabaseAgainstModel):
    """The same with chain files of a few kilobytes that are packed in chunks of a few records, now and then."""

    settings = SETTINGS | {"compression_enabled": True}

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("blockdb.storage.log.PACKED_SEGMENT_BYTES", 3_000)
        self.patch.setattr("blockdb.storage.log.SEGMENT_SOFT_BYTES", 5_000)
        self.patch.setattr("blockdb.format.packed.CHUNK_BYTES", 400)

    @rule(compression_enabled=st.booleans())
    def reopen_with(self, compression_enabled: bool) -> None:
        self.settings = SETTINGS | {"compression_enabled": compression_enabled}
        self.reopen()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.patch.undo()


TestDatabaseAgainstModel = DatabaseAgainstModel.TestCase
TestDatabaseAgainstModel.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


class TestPackedDatabaseAgainstModel(PackedDatabaseAgainstModel.TestCase):
    settings = settings(max_examples=6, stateful_step_count=25, deadline=None, phases=[Phase.generate])


@pytest.mark.torture
class TestPackedDatabaseAgainstModelAgainAndAgain(PackedDatabaseAgainstModel.TestCase):
    settings = settings(max_examples=200, stateful_step_count=50, deadline=None, phases=[Phase.generate])
