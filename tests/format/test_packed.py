"""Packed chain files: they give back what was packed, and no bit of them can change unnoticed."""

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import packed
from blockdb.format.frame import BadFrame

COLLECTION = bytes(range(16))

chunk_lists = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8)


def pack(chunks: list[bytes]) -> bytes:
    cuts = list(accumulate(map(len, chunks[:-1]), initial=0))
    return packed.encode(COLLECTION, 5, b"".join(chunks), cuts)


@given(chunk_lists)
def test_what_was_packed_comes_back(chunks: list[bytes]) -> None:
    data = pack(chunks)
    index = packed.decode(data)
    assert index.header[:3] == (COLLECTION, 5, sum(map(len, chunks)))
    assert [packed.chunk(data, index, number) for number in range(index.chunks)] == chunks
    assert packed.unpack(data) == packed.salvage(data) == b"".join(chunks)
    for number, start in enumerate(index.starts[:-1]):
        assert index.chunk_of(start) == index.chunk_of(index.starts[number + 1] - 1) == number


SAMPLE = [random.Random(number).randbytes(20) * 10 for number in range(4)]


def test_every_changed_bit_is_found() -> None:
    data = pack(SAMPLE)
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(BadFrame):
                packed.unpack(bytes(changed))


def test_every_cut_is_found() -> None:
    data = pack(SAMPLE)
    for size in range(len(data)):
        with pytest.raises(BadFrame):
            packed.unpack(data[:size])


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_chunk_costs_no_other(number: int) -> None:
    data = pack(SAMPLE)
    index = packed.decode(data)
    at = index.offsets[number] + 12
    damaged = data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]
    for other, chunk in enumerate(SAMPLE):
        if other == number:
            with pytest.raises(BadFrame):
                packed.chunk(damaged, index, other)
        else:
            assert packed.chunk(damaged, index, other) == chunk
    left = packed.salvage(damaged)
    assert left.startswith(b"".join(SAMPLE[:number]) + b"\0")
    assert left.endswith(b"".join(SAMPLE[number + 1 :]))


def test_without_its_header_or_its_seek_table_it_is_salvaged() -> None:
    data, whole = pack(SAMPLE), b"".join(SAMPLE)
    assert packed.salvage(bytes(packed.HEADER_BYTES) + data[packed.HEADER_BYTES :]) == whole
    assert packed.salvage(data[:-5]) == whole
    assert packed.salvage(data[: packed.decode(data).offsets[2] + 7]) == b"".join(SAMPLE[:2])
    assert packed.salvage(b"") == b""


def test_a_chunk_that_unpacks_to_more_than_it_should_is_refused() -> None:
    bomb = pack([bytes(100_000)])
    index = packed.decode(bomb)
    smaller = index._replace(starts=[0, 1000])
    with pytest.raises(BadFrame):
        packed.chunk(bomb, smaller, 0)
