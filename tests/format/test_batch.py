import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import batch, record
from blockdb.format.batch import BatchHeader
from blockdb.format.frame import CHECK_BYTES, TRANSACTION, BadFrame, TornFrame, with_check
from tests.format.damage import shortened, taken

items = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), min_size=1, max_size=9)


@given(items, st.integers(0, 2**47), st.binary(max_size=9), st.sampled_from([0, 1, 2**64 - 1]))
def test_the_places_of_a_batch_are_those_of_its_records(
    items: list[tuple[bytes, bytes]], place: int, before: bytes, transaction: int
) -> None:
    bodies = [record.encode(5, *item) for item in items]
    data = before + batch.encode(bodies, transaction)
    header = batch.decode(data, len(before))
    assert header == (len(items), len(data) - len(before) - header.header_bytes, transaction)
    assert header.header_bytes == batch.HEADERS[data[len(before) + CHECK_BYTES]]
    assert batch.encode_header(header) == data[len(before) :][: header.header_bytes]
    places = batch.places(place + header.header_bytes, bodies)
    assert [record.item_at(data, len(before) + at - place) for at in places] == items


HEADERS = [batch.encode_header(BatchHeader(1, 20)), batch.encode_header(BatchHeader(1, 20, 300))]


@pytest.mark.parametrize("data", HEADERS)
def test_every_changed_byte_of_the_header_is_noticed(data: bytes) -> None:
    assert taken(lambda damaged: batch.decode(damaged, 0), data) == []


@pytest.mark.parametrize("data", HEADERS)
def test_a_header_that_is_cut_is_torn(data: bytes) -> None:
    for cut in shortened(data):
        with pytest.raises(TornFrame):
            batch.decode(cut, 0)


def test_a_transaction_has_a_number() -> None:
    data = with_check(bytes((TRANSACTION,)) + bytes(4 + 8 + 8))
    with pytest.raises(BadFrame, match="without a number"):
        batch.decode(data, 0)
