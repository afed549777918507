import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import segment
from blockdb.format.frame import TornFrame
from blockdb.format.segment import SegmentHeader
from tests.format.damage import shortened, taken

HEADER = SegmentHeader(bytes(range(16)), 3, 70_000)

headers = st.builds(
    SegmentHeader, st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
)


@given(headers, st.binary(max_size=40))
def test_a_header_comes_back_whatever_follows_it(header: SegmentHeader, after: bytes) -> None:
    data = segment.encode(header)
    assert len(data) == segment.HEADER_BYTES
    assert segment.decode(data + after) == header


def test_every_changed_byte_is_noticed() -> None:
    assert taken(segment.decode, segment.encode(HEADER)) == []


def test_a_file_that_is_shorter_is_torn() -> None:
    for data in shortened(segment.encode(HEADER)):
        with pytest.raises(TornFrame):
            segment.decode(data)
