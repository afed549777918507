import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import batch, record
from blockdb.format.batch import BatchHeader
from blockdb.format.frame import TornFrame
from tests.format.damage import shortened, taken

items = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), min_size=1, max_size=9)


@given(items, st.integers(0, 2**47), st.binary(max_size=9))
def test_the_places_of_a_batch_are_those_of_its_records(
    items: list[tuple[bytes, bytes]], place: int, before: bytes
) -> None:
    bodies = [record.encode(5, *item) for item in items]
    data = before + batch.encode(bodies)
    assert batch.decode(data, len(before)) == (len(items), len(data) - len(before) - batch.HEADER_BYTES)
    places = batch.places(place + batch.HEADER_BYTES, bodies)
    assert [record.item_at(data, len(before) + at - place) for at in places] == items


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    data = batch.encode([record.encode(5, b"k", b"v")])[: batch.HEADER_BYTES]
    assert batch.decode(data, 0) == BatchHeader(1, 20)
    assert taken(lambda damaged: batch.decode(damaged, 0), data) == []


def test_a_header_that_is_cut_is_torn() -> None:
    data = batch.encode([record.encode(5, b"k", b"v")])[: batch.HEADER_BYTES]
    for cut in shortened(data):
        with pytest.raises(TornFrame):
            batch.decode(cut, 0)
