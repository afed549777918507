"""Merging, held against a sorted list of everything."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.lsm import merge as merging
from blockdb.lsm.merge import PositionCursor, merge, split
from tests.lsm.sources import ListSource

keys = st.binary(max_size=3)
owners = st.dictionaries(keys, st.integers(0, 3), max_size=60)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few keys fill several windows."""
    monkeypatch.setattr(merging, "FIRST_WINDOW", 2)
    monkeypatch.setattr(merging, "LAST_WINDOW", 5)


def sources_of(owner_of: dict[bytes, int]) -> list[ListSource]:
    return [ListSource((key for key, owner in owner_of.items() if owner == n), str(n)) for n in range(4)]


def merged(sources: Sequence[ListSource], positions: Sequence[int], *, reverse: bool = False) -> list[bytes]:
    cursors = [PositionCursor(source, at, reverse) for source, at in zip(sources, positions, strict=True)]
    return [key for run in merge(cursors, reverse=reverse) for key, _ in run]


@given(owners)
def test_everything_comes_once_and_in_order(owner_of: dict[bytes, int]) -> None:
    sources = sources_of(owner_of)
    cursors = [PositionCursor(source, 0, reverse=False) for source in sources]
    items = [item for run in merge(cursors) for item in run]
    assert items == sorted((key, str(owner)) for key, owner in owner_of.items())
    assert merged(sources, [len(source) for source in sources], reverse=True) == sorted(owner_of, reverse=True)


@given(owners, keys)
def test_a_merge_begins_at_its_positions(owner_of: dict[bytes, int], start: bytes) -> None:
    sources = sources_of(owner_of)
    positions = [source.position(start) for source in sources]
    assert merged(sources, positions) == sorted(key for key in owner_of if key >= start)
    assert merged(sources, positions, reverse=True) == sorted((key for key in owner_of if key < start), reverse=True)


@given(owners, st.integers(0, 70))
def test_a_split_has_the_smallest_before_it(owner_of: dict[bytes, int], place: int) -> None:
    sources = sources_of(owner_of)
    positions = split(sources, place)
    before = [key for source, at in zip(sources, positions, strict=True) for key in source.keys[:at]]
    assert sorted(before) == sorted(owner_of)[:place]


def test_nothing_merges_to_nothing() -> None:
    assert merged([], []) == merged([ListSource([])], [0]) == []
    assert split([], 0) == []
    assert split([ListSource([])], 3) == [0]


def test_a_source_that_lies_between_two_keys_of_another_is_reached_in_few_looks() -> None:
    """Positions by number are found by bisection: the looks grow with the logarithm."""
    looks = 0

    class Counting(ListSource):
        def window(self, first: int, stop: int) -> list[tuple[bytes, str]]:
            nonlocal looks
            looks += 1
            return super().window(first, stop)

    sources = [Counting(n.to_bytes(4) for n in range(start, 100_000, 2)) for start in (0, 1)]
    assert sum(split(sources, 31_415)) == 31_415
    assert looks < 100
