"""Bodies that are compressed: all that was sent comes, cut wherever it is cut, and no more than is taken."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from random import Random

import pytest
import zstandard

from blockdb.errors import InvalidData, RequestTooLarge
from blockdb.server.http.encodings import chosen, deflater, inflater

Compress = Callable[[bytes], bytes]
WAYS: dict[str, Compress] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}
BOMB = 32 * 1024 * 1024


@pytest.mark.parametrize("name", WAYS)
def test_it_comes_back_however_it_is_cut(name: str) -> None:
    chance = Random(5)
    data = bytes(chance.choices(b"abcdef", k=50_000))
    sent = WAYS[name](data) if name == "deflate" else WAYS[name](data[:20_000]) + WAYS[name](data[20_000:])
    for size in (1, 7, 1000, len(sent)):
        inflating = inflater(name)
        pieces = [inflating.feed(sent[at : at + size], 50_000) for at in range(0, len(sent), size)]
        assert b"".join(pieces) == data
        inflating.end()


@pytest.mark.parametrize("name", WAYS)
def test_a_bomb_is_not_inflated(name: str) -> None:
    bomb = WAYS[name](bytes(BOMB))
    assert len(bomb) < BOMB // 500
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge, match="`max_body_bytes`"):
            inflater(name).feed(bomb, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WAYS)
def test_what_is_damaged_or_cut_short_is_told(name: str) -> None:
    sent = WAYS[name](b"some words that are compressed" * 9)
    with pytest.raises(InvalidData, match="cannot be decompressed"):
        inflater(name).feed(b"not compressed at all", 1000)
    inflating = inflater(name)
    inflating.feed(sent[:-3], 1000)
    with pytest.raises(InvalidData, match="ends in the middle"):
        inflating.end()
    with pytest.raises(InvalidData, match="'br' is not known here"):
        inflater("br")


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip", b"gzip"),
        (b"GZIP;q=0.5, zstd;q=0", b"gzip"),
        (b"zstd;q=0.0, gzip; q = 0.000", None),
        (b"zstd;q=1.0", b"zstd"),
        (b"br, identity", None),
        (b"", None),
    ],
)
def test_which_encoding_is_chosen(accepted: bytes, name: bytes | None) -> None:
    assert chosen(accepted) == name


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_answers(name: str) -> None:
    deflating = deflater(name.encode())
    sent = deflating.compress(b"x" * 5000) + deflating.flush()
    assert len(sent) < 100
    assert inflater(name).feed(sent, 5000) == b"x" * 5000
