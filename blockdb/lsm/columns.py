"""Building a table from columns of keys and places, with numpy: the same bytes as `builder`, at a third of the work.

For processes that help: importing numpy takes longer than most programs run.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from blockdb.format.limits import MAX_KEY_BYTES
from blockdb.format.table import FINGERPRINT_MASK, FINGERPRINT_SHIFT, HASH_SHIFT, TableHeader
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.builder import home_count, table_file
from blockdb.lsm.key_filter import MARK_MASK

MAX_KEYS_BYTES: Final = 1 << 30
"""All keys of a table are in memory while they are brought in order, one after the other: so many bytes at most."""

RUN_NUMBERS: Final = 256
"""Where sorted runs have so many numbers on average, it is quicker to merge them than to sort all."""

Numbers = NDArray[np.uint64]
Ordinals = NDArray[np.int64]
Lengths = NDArray[np.uint16]
Column = NDArray[Any]

WORD_BYTES: Final = 8
_FIRST_BYTES: Final = np.array([-1 << 8 * missing & (1 << 64) - 1 for missing in range(8, -1, -1)], np.uint64)
"""Masks for the first so many bytes of a word."""


class TooManyKeys(ValueError):
    """The keys of a table take more memory than is meant for them."""


class Columns:
    """Keys and places, in any order. 18 bytes of memory a key beside its own."""

    def __init__(self) -> None:
        self.hashes = array("Q")
        self.places = array("Q")
        self.keys = bytearray()
        self.lengths = array("H")

    def extend(
        self, keys: Sequence[bytes], offsets: Sequence[int] | Ordinals, base: int, lengths: Lengths | None = None
    ) -> None:
        """Add records, which are so far behind the place `base`; the lengths of their keys, where they are known.

        O(n). Raises TooManyKeys.
        """
        count = len(keys)
        self.hashes.frombytes(np.fromiter(map(key_hash, keys), np.uint64, count).tobytes())
        self.places.frombytes((np.array(offsets, np.uint64) + np.uint64(base)).tobytes())
        self.lengths.frombytes(
            (np.fromiter(map(len, keys), np.uint16, count) if lengths is None else lengths).tobytes()
        )
        self.keys += b"".join(keys)
        if len(self.keys) > MAX_KEYS_BYTES:
            raise TooManyKeys("the keys are too long to be brought in order in memory")

    def marks(self) -> bytes:
        """The mark of each key for a `KeyFilter`, as numbers of 64 bits."""
        return (np.frombuffer(self.hashes, np.uint64) & np.uint64(MARK_MASK)).tobytes()


def build(description: TableHeader, columns: Columns, seals: Sequence[int]) -> bytes:
    """What `builder.build` makes of the same records in the order of their keys. O(n log n).

    It takes 65 bytes of memory a key beside its own, and leaves no keys in `columns`. Raises ValueError where a key is
    there twice, or the table would have more slots than it can count.
    """
    columns.keys += bytes(WORD_BYTES)
    order = key_order(columns.keys, np.frombuffer(columns.lengths, np.uint16))
    columns.keys.clear()
    hashes = np.frombuffer(columns.hashes, np.uint64)[order]
    words = (hashes & np.uint64(FINGERPRINT_MASK)) << np.uint64(FINGERPRINT_SHIFT)
    words |= np.frombuffer(columns.places, np.uint64)[order]
    del order
    home_slots = home_count(len(hashes))
    slots = assign_slots(homes_of(hashes, home_slots))
    del hashes
    slotted = np.zeros(max(int(slots.max(initial=-1)), home_slots - 1) + 2, np.uint64)
    slotted[slots] = words
    return table_file(description, columns.hashes, slotted, slots.astype(np.uint32), seals)


def homes_of(hashes: Numbers, home_slots: int) -> Numbers:
    """`format.table.home_slot` of each hash."""
    return (hashes >> np.uint64(HASH_SHIFT)) * np.uint64(home_slots) >> np.uint64(HASH_SHIFT)


def assign_slots(homes: Numbers) -> Ordinals:
    """A slot for each home, as `builder` assigns them: linear probing without a search is a maximum of all before.

    Of equal homes, which are less than 2³², the first comes first.
    """
    ranked = order_of(homes, 32)
    ordinals = np.arange(len(homes))
    placed = homes[ranked].view(np.int64)
    placed -= ordinals
    np.maximum.accumulate(placed, out=placed)
    placed += ordinals
    slots = np.empty_like(placed)
    slots[ranked] = placed
    return slots


def order_of(numbers: Numbers, bits: int) -> Ordinals:
    """The ordinals of numbers below 2 to the power of `bits` in their order; of equal ones, the first comes first.

    By 16 bits at a time, from the lowest, which numpy does with counting instead of comparing; but what comes as a few
    sorted runs is merged. O(n).
    """
    if np.count_nonzero(numbers[1:] < numbers[:-1]) < len(numbers) // RUN_NUMBERS:
        return np.argsort(numbers, kind="stable")
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    for shift in range(16, bits, 16):
        part = (numbers >> np.uint64(shift)).astype(np.uint16)
        order = order[np.argsort(part[order], kind="stable")]
    return order


def key_order(keys: bytearray, lengths: Lengths) -> Ordinals:
    """The ordinals of keys in the order in which Python compares bytes. They stand one after the other in `keys`, which
    eight bytes more follow.

    By eight bytes at a time, as numbers, filled up with zeros; where keys are the same so far, by the next eight, and
    in the end by length. O(n log n), and O(bytes) where they have much in common. Raises ValueError where two are the
    same.
    """
    text = _Words(keys, lengths)
    depth = text.shared()
    column: Column = text.at(np.arange(len(lengths)), depth)
    order = order_of(column, 8 * WORD_BYTES)
    tied, group = _ties(column[order])
    while len(tied):
        depth += WORD_BYTES
        is_end = depth >= int(lengths[order[tied]].max())
        column = lengths[order[tied]] if is_end else text.at(order[tied], depth)
        by = np.lexsort((column, group))
        order[tied] = order[tied][by]
        still, group = _ties(column[by], group[by])
        if is_end and len(still):
            raise ValueError("a key is there twice")
        tied = tied[still]
    return order


def _ties(*columns: Column) -> tuple[Ordinals, Ordinals]:
    """Which rows of these columns, in which the same ones are neighbours, are not the only ones of their kind.

    And for each of those a number that tells its kind from others.
    """
    is_first = np.zeros(len(columns[0]), bool)
    is_first[:1] = True
    for column in columns:
        is_first[1:] |= column[1:] != column[:-1]
    is_tied = ~(is_first & np.append(is_first[1:], True))
    return np.flatnonzero(is_tied), np.cumsum(is_first[is_tied])


class _Words:
    """Keys that stand one after the other, eight bytes at a time."""

    def __init__(self, keys: bytearray, lengths: Lengths) -> None:
        self._lengths = lengths
        self._least = int(lengths.min(initial=MAX_KEY_BYTES))
        self._starts = np.cumsum(lengths, dtype=np.int64) - lengths
        self._everywhere = np.ndarray((len(keys) - WORD_BYTES + 1,), ">u8", keys, 0, (1,))

    def at(self, ordinals: Ordinals, depth: int) -> Numbers:
        """The bytes from `depth` on of these keys as numbers, zeros behind their ends."""
        starts = self._starts[ordinals]
        if depth + WORD_BYTES <= self._least:
            found: Numbers = self._everywhere[starts + depth].astype(np.uint64)
            return found
        lengths = self._lengths[ordinals].astype(np.int64)
        words: Numbers = self._everywhere[starts + np.minimum(lengths, depth)]
        return words & _FIRST_BYTES[np.clip(lengths - depth, 0, WORD_BYTES)]

    def shared(self) -> int:
        """How many bytes all of them have in common."""
        depth, every = 0, np.arange(len(self._lengths))
        while depth < self._least and len(every):
            words = self.at(every, depth)
            different = int(np.bitwise_or.reduce(words ^ words[0]))
            depth += WORD_BYTES - -(-different.bit_length() // 8)
            if different:
                break
        return min(depth, self._least)
