from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import pages, table
from blockdb.format.frame import TornFrame
from blockdb.format.table import TableHeader
from blockdb.lsm.bloom import key_hash
from tests.format.damage import shortened, taken

u64 = st.integers(0, 2**64 - 1)


def header_for(slots: int, records: int, seals: int, filter_bytes: int, about: list[int]) -> TableHeader:
    number, tier, first, start, end, block, home, data = about
    return TableHeader(
        bytes(range(16)), number, tier, first, records, start, end, block, seals, home, slots, filter_bytes, data, 0
    )


headers = st.builds(
    header_for,
    st.integers(1, 2000),
    st.integers(0, 900),
    st.integers(0, 9),
    st.integers(0, 99),
    st.lists(u64, min_size=8, max_size=8),
)
EXAMPLE = header_for(600, 3, 1, 40, list(range(1, 9)))


def sections_of(header: TableHeader) -> bytes:
    return bytes(i * 7 % 251 for i in range(header.checks_offset - table.HEADER_BYTES))


@given(headers)
def test_a_header_comes_back(header: TableHeader) -> None:
    data = table.encode(header, sections_of(header))
    decoded = table.decode_header(data)
    assert decoded._replace(checks=0) == header
    assert len(data) == decoded.file_bytes
    assert list(pages.bad_pages(data, decoded)) == []


@given(headers)
def test_the_sections_follow_each_other_and_words_are_aligned(header: TableHeader) -> None:
    assert table.HEADER_BYTES <= header.order_offset <= header.seals_offset <= header.filter_offset
    assert header.filter_offset <= header.checks_offset <= header.file_bytes
    assert header.order_offset % 4 == header.seals_offset % 8 == 0


def test_every_changed_byte_is_noticed_by_the_header_or_by_one_page() -> None:
    data = table.encode(EXAMPLE, sections_of(EXAMPLE))
    header = table.decode_header(data)
    assert header.pages == 2
    sections = range(table.HEADER_BYTES, header.checks_offset)
    rest = data[table.HEADER_BYTES :]
    assert taken(lambda head: table.decode_header(head + rest), data[: table.HEADER_BYTES]) == []
    assert taken(lambda checks: table.decode_header(data[: sections.stop] + checks), data[sections.stop :]) == []
    for offset in sections:
        damaged = data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :]
        assert table.decode_header(damaged) == header
        assert list(pages.bad_pages(damaged, header)) == [(offset - table.HEADER_BYTES) // pages.PAGE_BYTES]


def test_a_table_of_another_size_is_torn() -> None:
    data = table.encode(EXAMPLE, sections_of(EXAMPLE))
    for other in (*shortened(data[:300]), data[:-1], data + b"\0"):
        with pytest.raises(TornFrame):
            table.decode_header(other)


@given(st.binary(min_size=1), st.integers(1, 2**31))
def test_the_home_of_a_key_is_one_of_the_home_slots_and_follows_the_hash(key: bytes, home_slots: int) -> None:
    hashed = key_hash(key)
    home = table.home_slot(hashed, home_slots)
    assert 0 <= home < home_slots
    assert home <= table.home_slot(hashed | 0xFFFF << 48, home_slots)


@given(u64, st.integers(0, 2**48 - 1))
def test_a_word_has_the_low_bits_of_the_hash_above_the_place(hashed: int, place: int) -> None:
    word = table.word(hashed, place)
    assert divmod(word, 2**48) == (hashed % 2**16, place)


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**48 - 1)), min_size=1),
    st.integers(1, 2**32 - 2),
)
def test_slots_and_words_of_many_are_those_of_each(rows: list[tuple[int, int]], count: int) -> None:
    hashes = array("Q", [hashed for hashed, _ in rows])
    assert list(table.home_slots(hashes, count)) == [table.home_slot(hashed, count) for hashed, _ in rows]
    assert list(table.words(hashes, [place for _, place in rows])) == [table.word(*row) for row in rows]
