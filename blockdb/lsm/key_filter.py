"""One filter over the keys of all tables: a new key is ruled out by one question, however many tables there are.

It is made from the words of the tables alone, without a look at the chain. Of a key's hash a word has the lowest 16
bits, and its slot tells the highest ones, nearly: it is at the home that follows from them, or a few slots behind. So a
key's mark is its hash without the bits between: the highest ones, which are the number of the bucket that its home lies
in, and those 16. A word that may have come from the bucket before leaves a mark for both. Who builds a table has the
hashes, and gives exact marks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from rbloom import Bloom

from blockdb.format.bulk import WRITINGS, is_bulk
from blockdb.format.table import FINGERPRINT_MASK, FINGERPRINT_SHIFT, WORD_BYTES
from blockdb.lsm.bloom import FALSE_POSITIVES, key_hash
from blockdb.lsm.table import Table

if TYPE_CHECKING:
    from blockdb.lsm.bulk_filter import BulkFilter

_LEAST_BUCKET_BITS: Final = 4
_MOST_BUCKET_BITS: Final = 16
_BUCKET_KEYS_BITS: Final = 8
"""A filter has a bucket for each 256 keys that it has room for, or up to half as many: with more of them, more words
would be in doubt than are told apart, and with fewer of them, keys of other tables would have the same mark.

The filter takes Python's hash of a mark, which adds the highest three bits to the lowest, so three bits of a bucket's
number say little. To move them to where they are safe would cost as much as the question itself.
"""

MARK_MASK: Final = (1 << _MOST_BUCKET_BITS) - 1 << 64 - _MOST_BUCKET_BITS | FINGERPRINT_MASK
"""What of a key's hash is the mark that who builds a table gives: a filter takes no more of it than its own mask."""

_BUCKET_BYTES: Final = 6, 7
"""Where the highest bits are, in the bytes of a mark."""

_STEP_BUCKETS: Final = 8
_STEP_MARKS: Final = 8192
"""So many buckets, or marks, are added while nobody else has the interpreter's lock: half a millisecond."""

_MOST_BULK_KEYS: Final = 1 << 22
"""A filter for more keys has no part for many at once: it would take more than 4 MB beside the rest."""

Marks: TypeAlias = "array[int]"

CROWDING: Final = 2
"""So many times its capacity it takes: it lets one key in six through wrongly then, until there is a larger one."""


class KeyFilter:
    """The keys of the first `records` records of a collection. Grows with its tables; kept in memory alone.

    One thread at a time adds, any number ask meanwhile: whether `key_hash & mask in marks`.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.records = 0
        self.marks = Bloom(capacity, FALSE_POSITIVES)
        self._bulk: BulkFilter | None = None
        """The same marks for whoever asks for many at once, where numpy is there."""
        if is_bulk(capacity) and capacity <= _MOST_BULK_KEYS:
            from blockdb.lsm import bulk_filter  # here: see `bulk`

            self._bulk = bulk_filter.BulkFilter(capacity)
        bits = min(max(capacity.bit_length() - _BUCKET_KEYS_BITS, _LEAST_BUCKET_BITS), _MOST_BUCKET_BITS)
        self._buckets = 1 << bits
        self._shift = 64 - bits
        self.mask = (self._buckets - 1) << self._shift | FINGERPRINT_MASK
        """The bits of a key's hash that are its mark here."""

    def may_contain(self, key_hash: int) -> bool:
        """No, if no key with this hash was added; yes wrongly for about one key in fifty. O(1)."""
        return key_hash & self.mask in self.marks

    @property
    def is_crowded(self) -> bool:
        """Whether it has more keys than it was made for."""
        return self.records > self.capacity

    @property
    def is_outdated(self) -> bool:
        """Whether it was made without the part for many keys at once, and batches were written that are worth one."""
        may_have_one = is_bulk(self.capacity) and 2 * self.records <= _MOST_BULK_KEYS
        return self._bulk is None and may_have_one and WRITINGS.records > 2 * self.records

    def has_room_for(self, records: int) -> bool:
        """Whether so many more records may be added, if need be by crowding."""
        return self.records + records <= CROWDING * self.capacity

    def add(self, table: Table) -> Iterator[None]:
        """Add the keys of the table that follows, in steps, each of which looks at no more than a few parts of it.

        O(n). Raises Corruption where its slots are damaged.
        """
        yield from self._add(self._marks_at_home(table, buckets) for buckets in self._steps())
        words = table.words(0, table.header.slots)
        yield from self._add(self._marks_of_neighbours(table, words, buckets) for buckets in self._steps())
        self.records = table.header.first_sequence + len(table)

    def add_marks(self, table: Table, marks: bytes) -> Iterator[None]:
        """The same where the marks of its keys are known, as numbers of 64 bits. A third of the time. O(n)."""
        yield from self._add(self._masked(marks))
        self.records = table.header.first_sequence + len(table)

    def likely(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Those of these keys that may be there: `may_contain` of each. O(n)."""
        if self._bulk is not None:
            return self._bulk.likely(keys, self.mask)
        mask, marks = self.mask, self.marks
        return [key for key in keys if key_hash(key) & mask in marks]

    def _add(self, parts: Iterator[Marks]) -> Iterator[None]:
        """Add marks, some at a time."""
        waiting = array("Q")
        for marks in parts:
            self.marks.update(marks)  # no iterator: nobody gets a turn while the filter is changed
            if self._bulk is not None:
                waiting.extend(marks)
                if len(waiting) >= _STEP_MARKS:
                    self._bulk.add(waiting)
                    waiting = array("Q")
            yield
        if self._bulk is not None:
            self._bulk.add(waiting)

    def _masked(self, marks: bytes) -> Iterator[Marks]:
        """Those bits of marks that are kept here, some marks at a time."""
        kept = [bytes(byte & self.mask >> 8 * at for byte in range(256)) for at in _BUCKET_BYTES]
        for first in range(0, len(marks), _STEP_MARKS * WORD_BYTES):
            some = bytearray(marks[first : first + _STEP_MARKS * WORD_BYTES])
            for at, bits in zip(_BUCKET_BYTES, kept, strict=True):
                some[at::WORD_BYTES] = some[at::WORD_BYTES].translate(bits)
            yield array("Q", bytes(some))

    def _steps(self) -> Iterator[range]:
        """All buckets, some at a time."""
        return (range(first, first + _STEP_BUCKETS) for first in range(0, self._buckets, _STEP_BUCKETS))

    def _first_slot(self, bucket: int, table: Table) -> int:
        """The first slot whose home hashes all lie in this bucket or a later one; after the last bucket, the end."""
        header = table.header
        return -(-(bucket * header.home_slots) // self._buckets) if bucket < self._buckets else header.slots

    def _marks_at_home(self, table: Table, buckets: range) -> Marks:
        """The marks of the words of buckets, all taken to be at home. An empty slot leaves one, and little harm."""
        slots = [self._first_slot(bucket, table) for bucket in (*buckets, buckets.stop)]
        words = table.words(slots[0], slots[-1]).tobytes()
        marks = bytearray()
        for bucket, (first, stop) in zip(buckets, pairwise(slots), strict=True):
            marks += (bucket << self._shift).to_bytes(WORD_BYTES, "little") * (stop - first)
        marks[0::8], marks[1::8] = words[6::8], words[7::8]
        return array("Q", bytes(marks))

    def _marks_of_neighbours(self, table: Table, words: memoryview, buckets: range) -> Marks:
        """The marks that are in doubt at the borders of buckets."""
        slots = ((bucket, self._first_slot(bucket, table)) for bucket in buckets)
        return array("Q", [mark for bucket, slot in slots for mark in self._marks_about(words, bucket, slot)])

    def _marks_about(self, words: memoryview, bucket: int, slot: int) -> Iterator[int]:
        """The marks of words about a bucket's first slot whose key may lie in another bucket than their slot does."""
        if not slot or not words[slot - 1]:
            return
        yield bucket << self._shift | words[slot - 1] >> FINGERPRINT_SHIFT  # one home may have hashes of both
        while slot < len(words) and (word := words[slot]):  # these may have been at home before the bucket began
            yield (bucket - 1) << self._shift | word >> FINGERPRINT_SHIFT
            slot += 1
