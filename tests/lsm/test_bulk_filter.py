"""A filter that is asked for many keys at once denies none of those that it has."""

from array import array
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.lsm.bloom import key_hash
from blockdb.lsm.bulk_filter import BulkFilter
from blockdb.lsm.key_filter import MARK_MASK, KeyFilter
from tests.lsm.test_key_filter import table_of

assert np, "imported, so that a filter over all keys has a part for many"
EVERY_BIT = (1 << 64) - 1


def hashes(keys: list[bytes]) -> "array[int]":
    return array("Q", map(key_hash, keys))


@settings(max_examples=50)
@given(st.integers(0, 500), st.sampled_from([0, 1, 10, 1000]))
def test_no_key_is_denied(count: int, capacity: int) -> None:
    """However full it is, and whether keys share their word or not."""
    chance = Random(count)
    keys = [chance.randbytes(5) for _ in range(count)]
    made = BulkFilter(capacity)
    assert made.likely(keys, EVERY_BIT) == []
    half = count // 2
    made.add(hashes(keys[:half]))
    assert made.likely(keys[:half], EVERY_BIT) == keys[:half]
    made.add(hashes(keys[half:] + keys[:half]))
    assert made.likely(keys, EVERY_BIT) == keys


def test_few_others_are_let_through() -> None:
    chance = Random(4)
    made = BulkFilter(100_000)
    made.add(hashes([chance.randbytes(16) for _ in range(100_000)]))
    others = [chance.randbytes(16) for _ in range(100_000)]
    assert len(made.likely(others, EVERY_BIT)) < 5_000


@settings(max_examples=30)
@given(st.integers(0, 3000), st.sampled_from([1_000, 50_000, 1 << 20]), st.booleans())
def test_those_that_may_be_there_are_found_together(count: int, capacity: int, are_marks_known: bool) -> None:
    chance = Random(count)
    keys = [chance.randbytes(8) for _ in range(count)]
    made, table = KeyFilter(capacity), table_of(keys)
    marks = array("Q", [key_hash(key) & MARK_MASK for key in keys]).tobytes()
    for _ in made.add_marks(table, marks) if are_marks_known else made.add(table):
        pass
    others = [chance.randbytes(8) for _ in range(1000)]
    mixed = chance.sample(keys + others, len(keys) + len(others))
    likely = made.likely(mixed)
    assert [key for key in likely if key in set(keys)] == [key for key in mixed if key in set(keys)]
    assert all(made.may_contain(key_hash(key)) for key in keys)
    if capacity > count:
        assert len(likely) < len(keys) + 150
