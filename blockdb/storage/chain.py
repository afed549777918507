"""Reading the chain files: records and seals by place, or in order. Every record is checked as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import mmap
from threading import Lock
from typing import TypeVar

from blockdb.errors import Corruption
from blockdb.format import record, segment
from blockdb.format.block import Seal, decode_seal
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.place import OFFSET_MASK, place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain, bodies, walk
from blockdb.layout import SEGMENT_SUFFIX, CollectionFiles, number_of
from blockdb.lsm.merge import Item
from blockdb.storage.door import Door, guarded

T = TypeVar("T")
Located = tuple[int, int, RecordFrame | Seal]
"""The place of a frame, the place after it, and what it is."""


class Chain:
    """The chain of one collection, mapped into memory segment by segment; it follows as the files grow.

    Safe for threads. Methods raise Corruption where the bytes at a place are not what was written.
    """

    def __init__(self, door: Door, files: CollectionFiles, collection: bytes) -> None:
        self._door = door
        self._files = files
        self._collection = collection
        self._maps: list[mmap] = []
        self._mapping = Lock()

    def segments(self) -> int:
        """How many chain files there are. Raises Corruption where one of them is missing."""
        names = self._door.names(self._files.chain)
        numbers = [number for name in names if (number := number_of(name, SEGMENT_SUFFIX)) is not None]
        for expected, number in enumerate(numbers):
            if number != expected:
                raise Corruption(str(self._files.segment(expected)), None, "the chain file is missing")
        return len(numbers)

    def size(self, number: int) -> int:
        """The size of a chain file in bytes."""
        with guarded("reading the chain"):
            return self._door.size(self._files.segment(number))

    def first_sequence(self, number: int) -> int:
        """The sequence number of the first record of a chain file."""
        return segment.decode(self.segment(number, 0)).first_sequence

    def item_at(self, place: int) -> Item:
        """The key and the value of the record at `place`. O(1)."""
        try:
            return record.item_at(self._maps[place >> 32], place & OFFSET_MASK)
        except (IndexError, BadFrame):
            pass
        return self._reading(record.item_at, place)

    def record_at(self, place: int) -> RecordFrame:
        """The whole record at `place`. O(1)."""
        return self._reading(record.decode, place)

    def seal_at(self, place: int) -> Seal:
        """The block seal at `place`. O(1)."""
        return self._reading(decode_seal, place)[0]

    def walk(self, start: int, stop: int) -> Iterator[Located]:
        """All records and seals from one place to another, in commit order."""
        for base, buffer, first, last in self._stretches(start, stop):
            try:
                for offset, end, frame in walk(buffer, first, last):
                    yield base + offset, base + end, frame
            except DamagedChain as error:
                raise self.corruption(base + error.offset, str(error)) from None

    def bodies(self, start: int, stop: int) -> tuple[list[bytes], list[int]]:
        """The bodies of the records from one place to another, and their places, unchecked. O(records)."""
        found: list[bytes] = []
        places: list[int] = []
        for base, buffer, first, last in self._stretches(start, stop):
            some, offsets = bodies(buffer, first, last)
            found.extend(some)
            places.extend(map(base.__add__, offsets))
        return found, places

    def _stretches(self, start: int, stop: int) -> Iterator[tuple[int, mmap, int, int]]:
        """What of each chain file lies between two places: the place of its first byte, the file, two offsets."""
        for number in range(start >> 32, (stop >> 32) + 1):
            first = start & OFFSET_MASK if number == start >> 32 else segment.HEADER_BYTES
            last = stop & OFFSET_MASK if number == stop >> 32 else self.size(number)
            yield place_of(number, 0), self.segment(number, last), first, last

    def corruption(self, place: int, what: str) -> Corruption:
        """The error that names the file and the offset of `place`."""
        number, offset = split_place(place)
        return Corruption(str(self._files.segment(number)), offset, what)

    def segment(self, number: int, size: int) -> mmap:
        """A chain file, mapped at least up to `size` where it has so many bytes. Checks its header at first."""
        with self._mapping:
            while len(self._maps) <= number:
                self._maps.append(self._checked(len(self._maps)))
            if len(self._maps[number]) < size:
                self._maps[number] = self._checked(number)
            return self._maps[number]

    def _checked(self, number: int) -> mmap:
        path = self._files.segment(number)
        with guarded("reading the chain"):
            try:
                buffer = self._door.map_read(path)
                header = segment.decode(buffer)
            except FileNotFoundError:
                raise Corruption(str(path), None, "the chain file is missing") from None
            except ValueError as error:  # an empty file cannot be mapped; BadFrame is a ValueError too
                raise Corruption(str(path), 0, str(error)) from None
        if header.collection != self._collection or header.number != number:
            raise Corruption(str(path), 0, "the chain file belongs elsewhere")
        return buffer

    def _reading(self, decode: Callable[[mmap, int], T], place: int) -> T:
        number, offset = split_place(place)
        try:
            try:
                return decode(self.segment(number, offset), offset)
            except TornFrame:  # the file may have grown since it was mapped
                return decode(self.segment(number, self.size(number)), offset)
        except BadFrame as error:
            raise self.corruption(place, str(error)) from None
