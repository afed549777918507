"""Tables that are built a column at a time are, byte for byte, those that are built a record at a time."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb.format.limits import MAX_KEY_BYTES
from blockdb.lsm import builder, columns
from blockdb.lsm.columns import WORD_BYTES, Columns, assign_slots, key_order
from tests.lsm.test_table import DESCRIPTION

tails = st.binary(max_size=3) | st.binary(max_size=20) | st.integers(0, 20).map(bytes)
beginnings = st.sampled_from([b"", b"user:", b"user:0000", bytes(7), bytes(8), bytes(9), b"\xff" * 16, b"a" * 41])
nasty = st.builds(bytes.__add__, beginnings, tails).filter(bool)
sets_of_keys = st.lists(nasty, unique=True, max_size=60)


def columns_of(keys: Sequence[bytes], base: int = 48, pieces: int = 2) -> Columns:
    """Keys ten bytes apart, given in so many pieces."""
    made = Columns()
    offsets = range(0, 10 * len(keys), 10)
    size = len(keys) // pieces + 1
    for first in range(0, len(keys), size):
        made.extend(keys[first : first + size], offsets[first : first + size], base)
    return made


def ordered(keys: Sequence[bytes]) -> list[bytes]:
    made = columns_of(keys)
    lengths = np.frombuffer(made.lengths, np.uint16)
    return [keys[ordinal] for ordinal in key_order(made.keys + bytes(WORD_BYTES), lengths).tolist()]


def check_same_bytes(keys: Sequence[bytes], seals: Sequence[int] = (7, 8)) -> None:
    place_of = {key: 48 + 10 * ordinal for ordinal, key in enumerate(keys)}
    expected = builder.build(DESCRIPTION, [(row := sorted(keys), [place_of[key] for key in row])], seals)
    assert columns.build(DESCRIPTION, columns_of(keys), seals) == expected


@given(sets_of_keys)
@example([])
@example([b"a\0\0", b"a", b"a\0", b"a\0\0\0\0\0\0\0\0", b"a\0\0\0\0\0\0\0"])
def test_keys_are_ordered_as_bytes_are(keys: list[bytes]) -> None:
    assert ordered(keys) == sorted(keys)


def test_keys_of_any_length_are_ordered() -> None:
    chance = Random(1)
    long = b"x" * (MAX_KEY_BYTES - 2)
    keys = [long[: chance.randrange(len(long))] + chance.randbytes(2) for _ in range(200)]
    keys = list(dict.fromkeys([*keys, long, long + b"\0", long + b"\0\0", long + b"\0a", b"\0", b"\0\0"]))
    assert ordered(keys) == sorted(keys)


@given(st.lists(nasty, min_size=1, max_size=20), st.data())
def test_a_key_that_is_there_twice_is_refused(keys: list[bytes], data: st.DataObject) -> None:
    with pytest.raises(ValueError, match="twice"):
        ordered([*keys, data.draw(st.sampled_from(keys))])


@given(sets_of_keys)
def test_the_bytes_are_those_of_the_builder(keys: list[bytes]) -> None:
    check_same_bytes(keys)


@pytest.mark.parametrize("count", [1, 2, 4095, 30_001])
def test_so_are_those_of_many_keys(count: int) -> None:
    chance = Random(count)
    check_same_bytes(list({b"user:%d" % chance.randrange(10**9): None for _ in range(count)}))


@given(sets_of_keys, st.integers(1, 4))
def test_keys_with_the_same_home_have_the_same_slots(keys: list[bytes], kinds: int) -> None:
    def poor_hash(key: bytes) -> int:
        return (len(key) % kinds) * 0x4000_0001_0000_0001

    with pytest.MonkeyPatch.context() as patch:
        for module in (builder, columns):
            patch.setattr(module, "key_hash", poor_hash)
        check_same_bytes(keys)


@given(st.lists(st.integers(0, 30), max_size=40))
def test_slots_are_those_of_a_search(homes: list[int]) -> None:
    """Linear probing, in the order of homes."""
    taken: dict[int, int] = {}
    for ordinal in sorted(range(len(homes)), key=homes.__getitem__):
        slot = homes[ordinal]
        while slot in taken:
            slot += 1
        taken[slot] = ordinal
    assert assign_slots(np.array(homes, np.uint64)).tolist() == sorted(taken, key=taken.__getitem__)


def test_more_keys_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_KEYS_BYTES", 5)
    with pytest.raises(ValueError, match="in memory"):
        columns_of([b"abc", b"def"])
