"""One filter over all tables: made from their slots alone, it denies no key that they have."""

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.errors import Corruption
from blockdb.format.pages import HEADER_BYTES
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.builder import build
from blockdb.lsm.key_filter import MARK_MASK, KeyFilter
from blockdb.lsm.table import Table
from tests.lsm.sources import DictChain
from tests.lsm.test_table import DESCRIPTION, build_table


def table_of(keys: list[bytes], first_sequence: int = 0) -> Table:
    ordered = sorted(keys)
    description = DESCRIPTION._replace(first_sequence=first_sequence)
    data = build(description, [(ordered, range(48, 48 + len(keys)))], ())
    return Table(data, "7.sst", DictChain({}))


def filter_over(*tables: Table, capacity: int = 0) -> KeyFilter:
    made = KeyFilter(capacity or max(1, 2 * sum(map(len, tables))))
    for table in tables:
        for _ in made.add(table):
            pass
    return made


@settings(max_examples=30)
@given(st.integers(0, 3000), st.sampled_from([0, 1_000, 50_000, 1 << 20]), st.randoms(use_true_random=False))
def test_no_key_is_denied(count: int, capacity: int, chance: random.Random) -> None:
    """Whether a bucket has many slots, or a slot has many buckets."""
    keys = [chance.randbytes(8) for _ in range(count)]
    made = filter_over(table_of(keys), capacity=capacity)
    assert all(made.may_contain(key_hash(key)) for key in keys)
    assert made.records == count


def test_no_key_of_large_tables_is_denied_and_few_others_are_let_through() -> None:
    chance = random.Random(3)
    keys = [chance.randbytes(16) for _ in range(150_000)]
    parts = keys[:100_000], keys[100_000:100_500], keys[100_500:]
    tables = [table_of(list(part), keys.index(part[0])) for part in parts]
    made = filter_over(*tables)
    assert all(made.may_contain(key_hash(key)) for key in keys)
    wrong = sum(made.may_contain(key_hash(chance.randbytes(16))) for _ in range(20_000))
    assert wrong < 20_000 * 0.03
    assert made.records == len(keys)


@pytest.mark.parametrize("count", [300, 30_000, 300_000])
def test_few_keys_have_the_mark_of_another_one(count: int) -> None:
    """Though Python's hash of a mark is all that the filter takes."""
    chance = random.Random(5)
    made = KeyFilter(2 * count)
    made.marks.update([chance.getrandbits(64) & made.mask for _ in range(count)])
    assert sum(made.may_contain(chance.getrandbits(64)) for _ in range(20_000)) < 20_000 * 0.025


def test_damaged_slots_are_not_believed() -> None:
    damaged, _ = build_table({b"%d" % n: b"" for n in range(2000)}, damage=lambda data: data[:300] + b"?" + data[301:])
    assert HEADER_BYTES < 300
    with pytest.raises(Corruption):
        filter_over(damaged)


@given(st.lists(st.binary(min_size=1, max_size=8), unique=True, max_size=200), st.sampled_from([1, 5_000, 1 << 24]))
def test_exact_marks_deny_no_key_either(keys: list[bytes], capacity: int) -> None:
    made, table = KeyFilter(max(capacity, len(keys))), table_of(keys)
    for _ in made.add_marks(table, array("Q", [key_hash(key) & MARK_MASK for key in keys]).tobytes()):
        pass
    assert all(made.may_contain(key_hash(key)) for key in keys)
    assert made.records == len(table)
