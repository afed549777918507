"""Columns: what an audit in bulk computes for thousands of records at a time, with numpy.

All of it is written anew here, on purpose: an audit shares no code with what built the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blockdb.audit.doubt import Doubt
from blockdb.format.buffer import Buffer
from blockdb.format.record import HEADER_BYTES

Numbers: TypeAlias = NDArray[np.uint64]
"""A column of hashes, words, or beginnings of keys."""

Positions: TypeAlias = NDArray[np.int64]
"""A column of places, offsets or slots."""

_KEY_BYTES_OFFSET: Final = 12
"""Where the length of the key stands in the frame of a record."""

_LCG_FACTOR: Final = 47026247687942121848144207491837418733
_FILTER_COUNT_BYTES: Final = 8
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
    return (hashes << 48) | places.view(np.uint64)


def slots_of(words: Numbers, homes: Positions, wanted: Numbers) -> Positions:
    """Where lookups that begin at these homes come to the wanted words. Raises Doubt where one does not.

    All go on to the next slot together, round by round, until none is left. O(n), for as long as slots are spread.
    """
    slots = homes
    left = np.flatnonzero(words[slots] != wanted)
    at, looked_for = slots[left], wanted[left]
    try:
        while len(left):
            if not words[at].all():
                raise Doubt
            at += 1
            slots[left] = at
            astray = words[at] != looked_for
            left, at, looked_for = left[astray], at[astray], looked_for[astray]
    except IndexError:
        raise Doubt from None
    return slots


class KeyBytes:
    """The keys of the records in a chain file, whose frames are checked elsewhere, as numbers. Raises Doubt."""

    def __init__(self, buffer: Buffer) -> None:
        self._size = len(buffer)
        if self._size < HEADER_BYTES:
            raise Doubt
        self._lengths = np.ndarray(self._size - 1, "<u2", buffer, 0, (1,))
        self._eights = np.ndarray(self._size - 7, ">u8", buffer, 0, (1,))

    def lengths(self, offsets: Positions) -> Positions:
        """How long the keys are of the records whose frames begin at these offsets."""
        return self._lengths[offsets + _KEY_BYTES_OFFSET].astype(np.int64)

    def eight(self, offsets: Positions, lengths: Positions, skip: int) -> Numbers:
        """Eight bytes of each key, from its byte `skip` on, as a number; zeros stand for what it has not."""
        at = offsets + (HEADER_BYTES + skip)
        within = np.minimum(at, self._size - 8)  # the last keys of a file may have fewer bytes behind them
        found = self._eights[within].astype(np.uint64)
        beyond = at - within
        if beyond.any():
            found <<= np.minimum(beyond * 8, 64).astype(np.uint64)
        missing = np.clip(8 - (lengths - skip), 0, 8)
        if missing.any():
            unused = (missing * 8).astype(np.uint64)
            found = found >> unused << unused
        return found


class FilterBits:
    """A Bloom filter as `rbloom` 1 saves it: the count of hash functions, then its bits."""

    def __init__(self, data: memoryview) -> None:
        """Raises Doubt where there are no bits."""
        self._bits = np.frombuffer(data, np.uint8)[_FILTER_COUNT_BYTES:]
        if not len(self._bits):
            raise Doubt
        self._functions = list(_functions(int.from_bytes(data[:_FILTER_COUNT_BYTES], "little")))

    def has(self, hashes: Numbers) -> bool:
        """Whether every one of these hashes is in it. O(n)."""
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
