from hypothesis import given
from hypothesis import strategies as st

from blockdb.format.limits import MAX_SEGMENTS, SEGMENT_MAX_BYTES
from blockdb.format.place import NOWHERE, PLACE_MASK, place_of, split_place

segments = st.integers(0, MAX_SEGMENTS - 1)
offsets = st.integers(0, SEGMENT_MAX_BYTES)


@given(segments, offsets)
def test_a_place_is_one_number_of_48_bits(segment: int, offset: int) -> None:
    place = place_of(segment, offset)
    assert place & PLACE_MASK == place
    assert split_place(place) == (segment, offset)


@given(st.tuples(segments, offsets), st.tuples(segments, offsets))
def test_places_grow_in_commit_order(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (place_of(*one) < place_of(*other)) == (one < other)


def test_nowhere_is_where_no_frame_begins() -> None:
    assert split_place(NOWHERE) == (0, 0)
