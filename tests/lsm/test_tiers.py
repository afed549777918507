from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.lsm.tiers import choose


@dataclass
class Table:
    tier: int


def chosen(tiers: list[int], threshold: int) -> slice | None:
    return choose([Table(tier) for tier in tiers], threshold)


@pytest.mark.parametrize(
    ("tiers", "run"),
    [
        ([], None),
        ([0, 0], None),
        ([0, 0, 0], slice(0, 3)),
        ([1, 1, 0, 0, 0], slice(2, 5)),
        ([2, 1, 1, 1, 0], slice(1, 4)),
        ([1, 1, 1, 0, 0, 0, 0], slice(3, 7)),
        ([2, 2, 1, 1, 0, 0], None),
    ],
)
def test_the_lowest_run_that_is_long_enough_is_merged(tiers: list[int], run: slice | None) -> None:
    assert chosen(tiers, 3) == run


@given(st.integers(2, 9), st.integers(1, 300))
def test_there_are_few_tables_however_many_are_flushed(threshold: int, flushes: int) -> None:
    """Each record is rewritten once for each tier, and tiers grow with the logarithm of the flushes."""
    tiers: list[int] = []
    for _ in range(flushes):
        tiers.append(0)
        while (run := chosen(tiers, threshold)) is not None:
            assert len(set(tiers[run])) == 1, "neighbours of one tier"
            tiers[run] = [tiers[run.start] + 1]
        assert tiers == sorted(tiers, reverse=True)
    assert all(tiers.count(tier) < threshold for tier in tiers)
    assert threshold ** tiers[0] <= flushes if tiers else True
