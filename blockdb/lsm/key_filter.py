"""One filter over the keys of all tables: a new key is ruled out by one question, however many tables there are.

It is made from the words of the tables alone, without a look at the chain. Of a key's hash a word has the lowest 16
bits, and its slot tells the highest ones, nearly: it is at the home that follows from them, or a few slots behind. So a
key's mark are the highest 10 bits of its hash, the number of the bucket that its home lies in, and those 16. A word
that may have come from the bucket before leaves a mark for both. Who builds a table has the hashes, and gives exact
marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rbloom import Bloom

from blockdb.format.table import FINGERPRINT_MASK, FINGERPRINT_SHIFT, WORD_BYTES
from blockdb.lsm.bloom import FALSE_POSITIVES
from blockdb.lsm.table import Table

_BUCKET_BITS: Final = 10
_BUCKETS: Final = 1 << _BUCKET_BITS
BUCKET_SHIFT: Final = 64 - _BUCKET_BITS
MARK_SHIFT: Final = 16
"""A mark has the number of the bucket behind those 16 bits. To leave all of them where they are in the hash would be
quicker, but the filter takes Python's hash of a number, which folds the highest three bits into the lowest: of a
million keys it would let one in nine through.
"""

_STEP_MARKS: Final = 8192
"""So many are added while nobody else has the interpreter's lock: half a millisecond."""

CROWDING: Final = 2
"""So many times its capacity it takes: it lets one key in six through wrongly then, until there is a larger one."""


class KeyFilter:
    """The keys of the first `records` records of a collection. Grows with its tables; kept in memory alone.

    One thread at a time adds, any number ask meanwhile.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.records = 0
        self.marks = Bloom(capacity, FALSE_POSITIVES)

    def may_contain(self, key_hash: int) -> bool:
        """No, if no key with this hash was added; yes wrongly for about one key in fifty of a million. O(1)."""
        return (key_hash >> BUCKET_SHIFT << MARK_SHIFT | key_hash & FINGERPRINT_MASK) in self.marks

    @property
    def is_crowded(self) -> bool:
        """Whether it has more keys than it was made for."""
        return self.records > self.capacity

    def has_room_for(self, records: int) -> bool:
        """Whether so many more records may be added, if need be by crowding."""
        return self.records + records <= CROWDING * self.capacity

    def add(self, table: Table) -> Iterator[None]:
        """Add the keys of the table that follows, in steps, each of which looks at no more than a few parts of it.

        O(n). Raises Corruption where its slots are damaged.
        """
        for bucket in range(_BUCKETS):
            first, stop = _first_slot(bucket, table), _first_slot(bucket + 1, table)
            self.marks.update(_marks(table.words(first, stop), bucket))
            yield
        words = table.words(0, table.header.slots)
        for bucket in range(1, _BUCKETS):
            neighbours = list(_marks_of_neighbours(words, bucket, _first_slot(bucket, table)))
            self.marks.update(neighbours)  # a list: nobody gets a turn while the filter is changed
            yield
        self.records = table.header.first_sequence + len(table)

    def add_marks(self, table: Table, marks: bytes) -> Iterator[None]:
        """The same where the marks of its keys are known, as numbers of 64 bits. A third of the time. O(n)."""
        numbers = memoryview(marks).cast("Q")
        for first in range(0, len(numbers), _STEP_MARKS):
            self.marks.update(numbers[first : first + _STEP_MARKS])
            yield
        self.records = table.header.first_sequence + len(table)


def mark_of(key_hash: int) -> int:
    """The mark of a key. Whoever asks for very many keys works it out without a call."""
    return key_hash >> BUCKET_SHIFT << MARK_SHIFT | key_hash & FINGERPRINT_MASK


def _first_slot(bucket: int, table: Table) -> int:
    """The first slot whose home hashes all lie in this bucket or a later one; after the last bucket, the end."""
    return -(-(bucket * table.header.home_slots) // _BUCKETS) if bucket < _BUCKETS else table.header.slots


def _marks(words: memoryview, bucket: int) -> memoryview:
    """The marks of words that are taken to be at home. An empty slot leaves one too, and little harm."""
    data, count = words.tobytes(), len(words)
    marks = bytearray((bucket << MARK_SHIFT).to_bytes(WORD_BYTES, "little") * count)
    marks[0::8], marks[1::8] = data[6::8], data[7::8]
    return memoryview(marks).cast("Q")


def _marks_of_neighbours(words: memoryview, bucket: int, slot: int) -> Iterator[int]:
    """The marks of words about the first slot of a bucket whose key may lie in another bucket than their slot does."""
    if not slot or not words[slot - 1]:
        return
    yield bucket << MARK_SHIFT | words[slot - 1] >> FINGERPRINT_SHIFT  # one home may have hashes of both
    while slot < len(words) and (word := words[slot]):  # these may have been at home before the bucket began
        yield (bucket - 1) << MARK_SHIFT | word >> FINGERPRINT_SHIFT
        slot += 1
