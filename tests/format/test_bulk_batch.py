"""Batches laid out with numpy are those that are laid out one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import batch, record
from blockdb.format.bulk import FEWEST, WORTHWHILE_WRITTEN, WRITINGS, Writings, is_bulk
from blockdb.format.checks import by_keys, check_records, unzipped

assert np, "imported, so that what is bulk is done in bulk"


@contextmanager
def one_by_one() -> Iterator[None]:
    """As if numpy were not there."""
    WRITINGS.is_preparing = True
    try:
        yield
    finally:
        WRITINGS.is_preparing = False


counts = st.integers(FEWEST, 3 * FEWEST)
spreads = st.sampled_from([(8, 8, 100, 100), (8, 8, 0, 0), (1, 40, 0, 300), (5, 5, 0, 1), (7, 8, 9, 9)])


@given(counts, spreads, st.integers(0, 2**47), st.sampled_from([0, 7]), st.integers())
def test_frames_and_places_are_the_same_in_bulk(
    count: int, spread: tuple[int, int, int, int], place: int, transaction: int, seed: int
) -> None:
    """Whether records have the same sizes or not."""
    chance = Random(seed)
    sizes = [(chance.randint(*spread[:2]), chance.randint(*spread[2:])) for _ in range(count)]
    items = [(chance.randbytes(key), chance.randbytes(value)) for key, value in sizes]
    assert is_bulk(len(items))
    laid = batch.lay_plain(5, *zip(*items, strict=True))
    with one_by_one():
        assert batch.lay_plain(5, *zip(*items, strict=True))[:2] == laid[:2]
    data = batch.encode(laid.bodies, transaction)
    header = laid.header(transaction)
    assert data == header + laid.frames
    assert laid.body_bytes == sum(map(len, laid.bodies))
    places = laid.places(place)
    with one_by_one():
        assert batch.places(place, laid.bodies) == places
    assert [record.item_at(data, at - place + len(header)) for at in places] == items


def test_numpy_is_imported_only_where_much_is_written_in_batches() -> None:
    writings = Writings()
    for _ in range(WORTHWHILE_WRITTEN):
        writings.count(FEWEST - 1)
    assert not writings.are_worthwhile
    writings.count(WORTHWHILE_WRITTEN)
    assert not writings.are_worthwhile
    writings.count(FEWEST)
    assert writings.are_worthwhile


def test_nobody_waits_for_what_is_being_imported() -> None:
    with one_by_one():
        assert not is_bulk(FEWEST)
    assert is_bulk(FEWEST)
    assert not is_bulk(FEWEST - 1)


keys = st.binary(max_size=2)


@given(st.lists(st.tuples(keys, st.binary(max_size=3)), max_size=20))
def test_a_batch_is_a_dictionary_unless_a_key_is_repeated(items: list[tuple[bytes, bytes]]) -> None:
    found = by_keys(items)
    of_keys, values = unzipped(items)
    if len(set(of_keys)) < len(items):
        assert found is None
    else:
        assert found is not None
        assert (tuple(found), tuple(found.values())) == (of_keys, values)


NO_BATCHES: list[object] = [5, (b"key",), (b"key", b"value", b"more"), ([], b"value"), None]


@pytest.mark.parametrize("item", NO_BATCHES)
def test_what_is_no_pair_is_left_to_those_who_say_so(item: object) -> None:
    assert by_keys([(b"key", b"value"), item]) is None  # type: ignore[list-item]


@given(st.lists(st.integers(0, 4), max_size=6), st.lists(st.integers(0, 4), max_size=6))
def test_a_batch_is_refused_for_its_longest_and_its_shortest(key_bytes: list[int], value_bytes: list[int]) -> None:
    count = min(len(key_bytes), len(value_bytes))
    of_keys = tuple(bytes(size) for size in key_bytes[:count])
    values = tuple(bytes(size) for size in value_bytes[:count])
    is_fine = all(of_keys) and max(value_bytes[:count], default=0) <= 3
    try:
        assert check_records(of_keys, values, 3) == (of_keys, values)
    except ValueError:
        assert not is_fine
    else:
        assert is_fine
