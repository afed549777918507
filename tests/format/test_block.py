from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format.block import GENESIS, TAG, BlockHeader, Seal, decode_seal, encode_seal
from blockdb.format.frame import SEAL, BadFrame, TornFrame, with_check
from tests.format.damage import shortened, taken

u64 = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
headers = st.builds(
    BlockHeader, st.binary(min_size=16, max_size=16), u64, u64, st.integers(0, 2**32 - 1), u64, u64, u64, hashes, hashes
)
seals = st.builds(
    Seal,
    headers,
    st.binary(min_size=64, max_size=64),
    st.binary(min_size=8, max_size=8),
    u64,
    st.lists(hashes, max_size=5).map(tuple),
)

HEADER = BlockHeader(bytes(range(16)), 1, 7, 7, 99, 1_700_000_000_000, 1_700_000_000_001, GENESIS, b"r" * 32)
EXAMPLE = Seal(HEADER, b"s" * 64, b"k" * 8, 48, (b"f" * 32, b"g" * 32))


@given(seals, st.binary(max_size=8), st.binary(max_size=8))
def test_a_seal_comes_back_from_wherever_it_stands(seal: Seal, before: bytes, after: bytes) -> None:
    frame = encode_seal(seal)
    assert decode_seal(before + frame + after, len(before)) == (seal, len(frame))


def test_the_hash_covers_the_header_alone() -> None:
    assert HEADER.encode().startswith(TAG)
    assert HEADER.hash() == sha256(HEADER.encode()).digest()
    other = EXAMPLE._replace(signature=bytes(64), key_id=bytes(8), first_place=1, frontier=())
    assert other.header.hash() == HEADER.hash()


@given(headers, st.sampled_from(BlockHeader._fields), headers)
def test_the_hash_covers_every_field(header: BlockHeader, field: str, other: BlockHeader) -> None:
    changed_header = header._replace(**{field: getattr(other, field)})
    assert (changed_header.hash() == header.hash()) == (changed_header == header)


def test_every_changed_byte_is_noticed() -> None:
    assert taken(lambda data: decode_seal(data, 0), encode_seal(EXAMPLE)) == []


def test_a_seal_that_is_cut_is_torn() -> None:
    for data in shortened(encode_seal(EXAMPLE)):
        with pytest.raises(TornFrame):
            decode_seal(data, 0)


@pytest.mark.parametrize("rest", [b"", b"x" * 31, EXAMPLE.header.encode()])
def test_a_seal_of_another_size_is_refused_even_with_a_good_check(rest: bytes) -> None:
    body = bytes((SEAL,)) + len(rest).to_bytes(4, "little") + rest
    with pytest.raises(BadFrame):
        decode_seal(with_check(body), 0)


def test_another_kind_of_block_is_refused() -> None:
    body = encode_seal(EXAMPLE)[4:].replace(TAG, b"BlockDB block 2\n")
    with pytest.raises(BadFrame, match="unknown kind"):
        decode_seal(with_check(body), 0)
