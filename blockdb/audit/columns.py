"""Columns: what an audit in bulk computes for thousands of records at a time, with numpy.

All of it is written anew here, on purpose: an audit shares no code with what built the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blockdb.audit.doubt import Doubt
from blockdb.audit.tables import FILTER_COUNT_BYTES

Numbers: TypeAlias = NDArray[np.uint64]
"""A column of hashes, words, or beginnings of keys."""

Positions: TypeAlias = NDArray[np.int64]
"""A column of places, offsets or slots."""

ASKED_HASHES: Final = 8_000
"""A filter is asked for so many hashes at a time: half a dozen columns, which stay in the processor's cache."""

BEGINNING_BYTES: Final = 8
"""How many bytes of a key, after those that all keys have in common, are compared at a time."""

_LCG_FACTOR: Final = 47026247687942121848144207491837418733
_BITS: Final = np.array([1, 2, 4, 8, 16, 32, 64, 128], np.uint8)


def numbers(buffer: Any) -> Numbers:
    """The 64-bit numbers in a buffer, which are not copied."""
    return np.frombuffer(buffer, np.uint64)


def positions(buffer: Any) -> Positions:
    """The places, offsets or slots in a buffer, which are not copied."""
    return np.frombuffer(buffer, np.int64)


def hashes_of(digests: bytes) -> Numbers:
    """The hashes whose big-endian digests follow each other."""
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def homes_of(hashes: Numbers, home_slots: int) -> Positions:
    """`blockdb.format.table.home_slot` of each hash. There are fewer than 2³² slots."""
    return ((hashes >> 32) * home_slots >> 32).view(np.int64)


def words_of(hashes: Numbers, places: Positions) -> Numbers:
    """`blockdb.format.table.word` of each hash and place."""
    return (hashes << np.uint64(48)) | places.view(np.uint64)


def slots_of(words: Numbers, homes: Positions, wanted: Numbers) -> Positions:
    """Where lookups that begin at these homes come to the wanted words. Raises Doubt where one does not.

    All go on to the next slot together, round by round, until none is left. O(n), for as long as the words are spread.
    """
    slots, at, left = homes.copy(), homes, np.arange(len(homes))
    try:
        while len(left):
            slots[left] = at
            found = words.take(at)
            astray = np.flatnonzero(found != wanted)
            if not found.take(astray).all():
                raise Doubt
            left, at, wanted = left.take(astray), at.take(astray) + 1, wanted.take(astray)
    except IndexError:
        raise Doubt from None
    return slots


def beginnings_of(keys: list[bytes], common: bytes) -> Numbers:
    """Eight bytes of each key, as a number: those after what all of them begin with. O(n). Raises Doubt.

    Zeros stand for bytes that a key has not, so of two keys the one with the lower number is the lower one.
    """
    width = len(common) + BEGINNING_BYTES
    packed = _row_of(width, len(keys)).pack(*keys)  # in a third of the time that numpy takes
    padded = np.frombuffer(packed, np.uint8).reshape(len(keys), width)
    if common and (padded[:, : len(common)] != np.frombuffer(common, np.uint8)).any():
        raise Doubt
    return np.ascontiguousarray(padded[:, len(common) :]).view(">u8").ravel().astype(np.uint64)


@lru_cache(16)
def _row_of(width: int, count: int) -> Struct:
    """What packs so many keys, each cut or filled with zeros to `width` bytes."""
    return Struct(f"{width}s" * count)


class FilterBits:
    """A Bloom filter as `rbloom` 1 saves it: the count of hash functions, then its bits."""

    def __init__(self, data: memoryview) -> None:
        """There is one bit at least, and `open_table` has seen that there are not too many functions."""
        self._bits = np.frombuffer(data, np.uint8)[FILTER_COUNT_BYTES:]
        self._functions = list(_functions(int.from_bytes(data[:FILTER_COUNT_BYTES], "little")))

    def has(self, hashes: Numbers) -> bool:
        """Whether every one of these hashes is in it. O(n)."""
        parts = range(0, len(hashes), ASKED_HASHES)
        return all(self._has(hashes[first : first + ASKED_HASHES]) for first in parts)

    def _has(self, hashes: Numbers) -> bool:
        high, low = hashes >> 32, hashes & 0xFFFFFFFF
        size = len(self._bits) * 8
        for of_high, of_low, carried, added_low, added in self._functions:
            found = low * carried + added_low
            found >>= 32
            found += high * of_high
            found += low * of_low
            found += added
            found -= found // size * size
            bits = self._bits[(found >> 3).view(np.int64)]
            bits &= _BITS[(found & 7).view(np.int64)]
            if not bits.all():
                return False
        return True


def _functions(count: int) -> Iterable[tuple[int, int, int, int, int]]:
    """What makes the first numbers of the generator that is seeded with a hash, of 64 bits each.

    The state is multiplied by a factor of 128 bits and increased by one; bits 32 to 95 are the number. So the n-th is
    (hash · factorⁿ + what came of the ones) >> 32, here in parts of which none takes more than 64 bits.
    """
    factor, added = 1, 0
    for _ in range(count):
        factor, added = factor * _LCG_FACTOR % (1 << 128), (added * _LCG_FACTOR + 1) % (1 << 128)
        yield (
            factor % (1 << 64),
            (factor >> 32) % (1 << 64),
            factor % (1 << 32),
            added % (1 << 32),
            (added >> 32) % (1 << 64),
        )
