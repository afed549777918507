"""A collection over 1, 2 and 5 partitions, held against a dict and a list for each partition, in any order of calls."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import blockdb
from blockdb import AsOf, BlockNotFound, InvalidData
from blockdb.cluster.partitions.spreading import Spreading
from blockdb.database.collection import Collection
from tests.cluster.partitions.spread import spread

BLOCK = 4
keys = st.text("abc\u00ff", min_size=1, max_size=4).map(lambda text: text.encode("latin-1"))
values = st.binary(max_size=6)
bounds = st.none() | keys
limits = st.none() | st.integers(0, 12)


@pytest.fixture(autouse=True, scope="module")
def temporary_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state machine cannot ask for a fixture: its directories are made where those of tests are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("model")))
        yield


class PartitionsAgainstModel(RuleBasedStateMachine):
    """`chains` has what each partition stored, in commit order; `seen` is what there was at some moments."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.stack = ExitStack()

    @initialize(count=st.sampled_from([1, 2, 5]))
    def begin(self, count: int) -> None:
        self.spreading = Spreading(count)
        opened = spread(self.directory, count, blockchain_batch_size=BLOCK, redactable=True)
        self.collection = self.stack.enter_context(opened)
        self.chains: list[list[tuple[bytes, bytes]]] = [[] for _ in range(count)]
        self.gone: set[bytes] = set()
        self.seen: list[tuple[AsOf | None, dict[bytes, bytes]]] = []

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.directory)

    @property
    def stored(self) -> dict[bytes, bytes]:
        return {key: value for chain in self.chains for key, value in chain}

    @property
    def numbered(self) -> dict[int, tuple[bytes, bytes]]:
        number = self.spreading.number
        found = {number(own, n): item for n, chain in enumerate(self.chains) for own, item in enumerate(chain)}
        return dict(sorted(found.items()))

    def append(self, key: bytes, value: bytes) -> int:
        partition = self.spreading.of_key(key)
        self.chains[partition].append((key, value))
        return self.spreading.number(len(self.chains[partition]) - 1, partition)

    # Storing.

    @rule(key=keys, value=values)
    def put(self, key: bytes, value: bytes) -> None:
        if key in self.stored:
            with pytest.raises(blockdb.DuplicateKey):
                self.collection.put(key, value)
        else:
            assert self.collection.put(key, value) == self.append(key, value)

    @rule(items=st.lists(st.tuples(keys, values), max_size=8))
    def put_many(self, items: list[tuple[bytes, bytes]]) -> None:
        if len({key for key, _ in items}) < len(items) or any(key in self.stored for key, _ in items):
            items = [(key, value) for key, value in dict(items).items() if key not in self.stored]
        assert list(self.collection.put_many(items)) == [self.append(key, value) for key, value in items]

    @rule(items=st.lists(st.tuples(keys, values), max_size=6))
    def put_each(self, items: list[tuple[bytes, bytes]]) -> None:
        for (key, value), became in zip(items, self.collection.put_each(items), strict=True):
            if key in self.stored:
                assert isinstance(became, blockdb.DuplicateKey)
            else:
                assert became == self.append(key, value)

    @rule(data=st.data(), most=st.integers(1, 3))
    @precondition(lambda self: self.stored.keys() - self.gone)
    def redact(self, data: st.DataObject, most: int) -> None:
        left = sorted(self.stored.keys() - self.gone)
        chosen = data.draw(st.lists(st.sampled_from(left), min_size=1, max_size=most, unique=True))
        done = self.collection.redact_many(chosen, reason="asked")
        assert done.sequences == tuple(n for n, (key, _) in self.numbered.items() if key in chosen)
        self.gone.update(chosen)
        with pytest.raises(blockdb.Redacted):
            self.collection.redact_many(chosen, reason="again")

    @rule()
    def flush(self) -> None:
        self.collection.flush()

    @rule()
    def look(self) -> None:
        moment = self.collection.moment()
        assert (moment is None) == (not self.stored)
        self.seen.append((moment, self.stored))

    # Reading.

    def shown(self, items: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [(key, blockdb.REDACTED if key in self.gone else value) for key, value in items]

    @rule(prefix=bounds, start=bounds, end=bounds, limit=limits, offset=st.integers(0, 4), reverse=st.booleans())
    def scan(self, prefix: Any, start: Any, end: Any, limit: int | None, offset: int, reverse: bool) -> None:
        self.check_scan(self.stored, prefix, start, end, limit, offset, reverse, None)
        chosen = {"prefix": prefix, "start": start, "end": end}
        assert self.collection.count(**chosen) == len(list(self.collection.keys(**chosen)))

    @rule(data=st.data(), prefix=bounds, limit=limits, reverse=st.booleans())
    @precondition(lambda self: self.seen)
    def scan_as_it_was(self, data: st.DataObject, prefix: Any, limit: int | None, reverse: bool) -> None:
        moment, stored = data.draw(st.sampled_from(self.seen))
        if moment is not None:
            self.check_scan(stored, prefix, None, None, limit, 0, reverse, moment)
            for key in {b"a", b"b", *stored} - self.gone:
                assert self.collection.get(key, as_of=moment) == stored.get(key)

    def check_scan(
        self, stored: dict[bytes, bytes], prefix: Any, start: Any, end: Any, limit: Any, offset: int, reverse: bool,
        as_of: AsOf | None,
    ) -> None:  # fmt: skip
        items = [
            (key, value)
            for key, value in sorted(stored.items(), reverse=reverse)
            if key.startswith(prefix or b"") and (start is None or key >= start) and (end is None or key < end)
        ][offset : None if limit is None else offset + limit]
        asked: dict[str, Any] = {"prefix": prefix, "start": start, "end": end, "limit": limit, "offset": offset}
        found = list(self.collection.scan(**asked, reverse=reverse, as_of=as_of))
        assert found == self.shown(items)
        assert [value is blockdb.REDACTED for _, value in found] == [key in self.gone for key, _ in items]
        assert list(self.collection.keys(**asked, reverse=reverse, as_of=as_of)) == [key for key, _ in items]

    @rule(data=st.data())
    @precondition(lambda self: self.stored)
    def read_as_of_a_number(self, data: st.DataObject) -> None:
        """In the partition of that record, what came later is not seen; elsewhere, what came at a later time."""
        number = data.draw(st.sampled_from(sorted(self.numbered)))
        own, partition = self.spreading.parted(number)
        time_ms = next(self.collection.records(number, 1)).time_ms
        for record in self.collection.records():
            at, where = self.spreading.parted(record.sequence)
            is_seen = at <= own if where == partition else record.time_ms <= time_ms
            if not record.redacted:
                assert (self.collection.get(record.key, as_of=AsOf(sequence=number)) is not None) == is_seen
        with pytest.raises(InvalidData):
            self.collection.get(
                b"a", as_of=AsOf(sequence=self.spreading.number(len(self.chains[partition]), partition))
            )

    @rule(key=keys)
    def read(self, key: bytes) -> None:
        stored = self.stored
        assert self.collection.exists(key) == (key in stored) == (key in self.collection)
        if key in self.gone:
            with pytest.raises(blockdb.Redacted):
                self.collection.get(key)
        else:
            assert self.collection.get(key) == stored.get(key)
        record = self.collection.record(key)
        assert (None if record is None else record.sequence) == next(
            (number for number, (other, _) in self.numbered.items() if other == key), None
        )

    @rule(first=st.integers(0, 40), limit=limits)
    def records(self, first: int, limit: int | None) -> None:
        wanted = [(number, *item) for number, item in self.numbered.items() if number >= first][:limit]
        found = list(self.collection.records(first, limit))
        assert [(r.sequence, r.key) for r in found] == [(number, key) for number, key, _ in wanted]
        assert [r.value for r in found] == [value for _, value in self.shown([item[1:] for item in wanted])]

    @rule(first=st.integers(0, 12), limit=limits, reverse=st.booleans())
    def blocks(self, first: int, limit: int | None, reverse: bool) -> None:
        number = self.spreading.number
        numbers = sorted(number(own, n) for n, chain in enumerate(self.chains) for own in range(len(chain) // BLOCK))
        if reverse:
            wanted = [each for each in reversed(numbers) if not first or each <= first]
        else:
            wanted = [each for each in numbers if each >= first]
        found = list(self.collection.blocks(first, limit, reverse=reverse))
        assert [block.number for block in found] == wanted[:limit]
        for block in found[:2]:
            self.check_block(block)

    def check_block(self, block: blockdb.Block) -> None:
        assert self.collection.block(block.number) == block
        own, partition = self.spreading.parted(block.number)
        inside = list(range(block.first_sequence, block.last_sequence + 1, block.step))
        found = self.collection.block_records(block.number)
        assert [(record.sequence, record.block) for record in found] == [(each, block.number) for each in inside]
        assert block.size == (own + 1) * BLOCK
        leaves = self.collection.block_leaves(block.number)
        part = self.collection._parts.current()[partition]
        assert isinstance(part, Collection)
        assert Collection.root_at(part, block.size) == block.root
        assert len(leaves) == BLOCK

    @rule(number=st.integers(200, 300))
    def what_is_not_there(self, number: int) -> None:
        for ask in (self.collection.block, self.collection.block_records, self.collection.block_leaves):
            with pytest.raises(BlockNotFound, match=str(number)):
                ask(number)

    @rule()
    def follow(self) -> None:
        """Each record comes once, those of a partition in commit order."""
        feed = self.collection.watch(after=-1, timeout_s=5)
        found = [next(feed) for _ in self.stored]
        feed.stop()
        for partition, chain in enumerate(self.chains):
            own = [change for change in found if self.spreading.parted(change.sequence)[1] == partition]
            assert [change.record.key for change in own] == [key for key, _ in chain]
            assert [self.spreading.parted(change.sequence)[0] for change in own] == list(range(len(chain)))
            assert [self.spreading.parted(change.block) for change in own] == [
                (at // BLOCK, partition) for at in range(len(chain))
            ]

    @invariant()
    def figures(self) -> None:
        if hasattr(self, "chains"):
            count = len(self.stored)
            stats = self.collection.collection_stats()
            assert stats.document_count == stats.operations_count == self.collection.count() == count
            assert self.collection.next_sequence == max(self.numbered, default=-1) + 1


TestPartitions = PartitionsAgainstModel.TestCase
TestPartitions.settings = settings(max_examples=8, stateful_step_count=25, phases=[Phase.explicit, Phase.generate])


def test_writes_to_several_partitions_go_out_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other: one after the other, they would wait for ever."""
    from threading import Barrier

    with spread(tmp_path, 2) as collection:
        meeting = Barrier(2)
        for part in collection._parts.current():
            part.put_each = met(meeting, part.put_each)  # type: ignore[attr-defined]
        assert sorted(filter(None, map(str, collection.put_each([(b"%d" % n, b"") for n in range(4)]))))


def met(meeting: Any, put_each: Callable[..., Any]) -> Callable[..., Any]:
    def put(*args: Any) -> Any:
        meeting.wait(10)
        return put_each(*args)

    return put
