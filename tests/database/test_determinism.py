"""The same records at the same times make the same blocks, however they came and whatever happened between."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.storage import open_block, surroundings
from tests.database.independent import check_ledger
from tests.storage.doors import StillDoor, open_through

BLOCK = 7
SETTINGS: dict[str, Any] = {"memtable_size_limit": 65_536, "blockchain_batch_size": BLOCK, "compaction_threshold": 2}

Group = tuple[int, list[bytes]]
"""Records that are written at one moment: how many milliseconds later that is, and their values."""

groups_of_records = st.lists(
    st.tuples(st.integers(0, 5), st.lists(st.binary(max_size=9), min_size=1, max_size=20)), min_size=1, max_size=6
)
disturbances = st.sampled_from(["", "", "flush", "compact", "reopen"])


class World:
    """What a collection is given from outside: its id and its clock."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.collection = UUID("0f0e0d0c-0b0a-0908-0706-050403020100")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("determinism")))
        patch.setattr(surroundings.Surroundings, "new_id", lambda *_: world.collection)
        patch.setattr(surroundings, "time_ns", lambda: world.now_ms * 1_000_000)
        yield world


class Writer:
    """Writes values under the keys that follow."""

    def __init__(self, **changed: Any) -> None:
        self._path = Path(tempfile.mkdtemp()) / "db"
        self._settings = {**SETTINGS, **changed}
        self._written = 0
        self.db = open_through(StillDoor(), self._path, **self._settings)

    def put(self, values: list[bytes], *, as_batch: bool) -> None:
        items = [(b"key%04d" % number, value) for number, value in enumerate(values, self._written)]
        self._written += len(items)
        if as_batch:
            self.db.put_many(items)
        else:
            for key, value in items:
                self.db.put(key, value)

    def disturb(self, how: str) -> None:
        if how == "reopen":
            self.db.close()
            self.db = open_through(StillDoor(), self._path, **self._settings)
        elif how:
            getattr(self.db, how)()


@contextmanager
def writing(**changed: Any) -> Iterator[Writer]:
    writer = Writer(**changed)
    yield writer
    writer.db.close()


@pytest.mark.torture
@settings(max_examples=25)
@given(groups_of_records, st.data())
def test_blocks_follow_from_records_order_and_times_alone(
    world: World, groups: list[Group], data: st.DataObject
) -> None:
    with writing() as plain, writing() as other:
        for step, values in groups:
            world.now_ms += step
            plain.put(values, as_batch=False)
            while values:
                size = data.draw(st.integers(1, len(values)))
                other.put(values[:size], as_batch=data.draw(st.booleans()))
                other.disturb(data.draw(disturbances))
                values = values[size:]
        check_ledger(plain.db, BLOCK)
        check_ledger(other.db, BLOCK)
        blocks, others = list(plain.db.blocks()), list(other.db.blocks())
        assert [block.hash for block in blocks] == [block.hash for block in others]
        assert list(plain.db.records()) == list(other.db.records())
        assert all(one.signature != two.signature for one, two in zip(blocks, others, strict=True)), "other keys"


def test_another_time_collection_or_order_makes_other_blocks(world: World) -> None:
    values = [b"%d" % number for number in range(BLOCK)]

    def head(order: int = 1) -> bytes:
        with writing() as writer:
            writer.put(values[::order], as_batch=True)
            return writer.db.stats().head_hash

    first = head()
    assert head() == first
    assert head(order=-1) != first
    world.now_ms += 1
    assert head() != first
    world.now_ms -= 1
    assert head() == first
    world.collection = UUID(int=1)
    assert head() != first


def test_a_block_is_also_full_when_it_has_many_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they come: the record whose frame body brings the block to the limit, here exactly, is its last."""
    monkeypatch.setattr(open_block, "BLOCK_MAX_BYTES", 1_000)
    body_bytes = [30, 900, 70, 50, 50, 1_200, 40, 40, 400, 400, 400, 2_000, 3_000, 40]
    values = [b"x" * max(size - 21, 0) for size in body_bytes]  # 14 for its header, 7 for the key
    found = []
    for batches in ([14], [1] * 14, [3, 4, 7], [2, 12]):
        with writing(blockchain_batch_size=5) as writer:
            rest = values
            for size in batches:
                writer.put(rest[:size], as_batch=size > 1)
                rest = rest[size:]
            writer.disturb("reopen")
            assert writer.db.verify().valid
            found.append([(block.count, block.hash) for block in writer.db.blocks()])
    assert [count for count, _ in found[0]] == [3, 3, 5, 1, 1]
    assert all(blocks == found[0] for blocks in found)


def test_time_never_goes_back_within_a_collection(world: World) -> None:
    with writing() as writer:
        start = world.now_ms
        for now, expected in [(start, start), (start - 5_000, start), (start + 1, start + 1), (0, start + 1)]:
            world.now_ms = now
            writer.put([b""], as_batch=False)
            writer.put([b"", b""], as_batch=True)
            times = [record.time_ms for record in writer.db.records()]
            assert times[-3:] == [expected] * 3
            writer.disturb("reopen")
        assert times == sorted(times)
        world.now_ms = start
