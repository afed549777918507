"""Reading the chain files: records and seals by place, or in order. Every record is checked as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from struct import error as StructError
from threading import Lock
from typing import Final, NamedTuple, TypeVar

from blockdb.errors import CollectionNotFound, Corruption
from blockdb.format import record, segment
from blockdb.format.block import Seal, decode_seal
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK, place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.reserved import end_of
from blockdb.format.walk import DamagedChain, Decided, Run, Step, bodies, run_at, skip, walk, walk_part
from blockdb.layout import CollectionFiles, segment_numbers
from blockdb.lsm.merge import Item
from blockdb.storage.cache import Cache, CacheRoom
from blockdb.storage.door import Door, guarded
from blockdb.storage.packed import PackedFile

T = TypeVar("T")
Located = tuple[int, int, RecordFrame | Seal]
"""The place of a frame, the place after it, and what it is."""


CHUNK_CACHE_BYTES: Final = 1024 * 1024
"""What a chain keeps of packed files where it is given no cache: enough to walk along them."""


class Stretch(NamedTuple):
    """A part of a chain file: the bytes of `buffer` from `first` to `last`, whose first byte is at place `base`."""

    base: int
    buffer: mmap | bytes
    first: int
    last: int

    def walk(self, is_whole: bool = False, decided: Decided | None = None) -> Iterator[Step]:
        """Its records and seals, the records of a batch once all of them were checked; not where `is_whole` says that
        nothing was cut short. What was packed is whole, but batches may have been cut at the ends of chunks.
        """
        if is_whole or isinstance(self.buffer, bytes):
            return walk_part(self.buffer, self.first, self.last)
        return walk(self.buffer, self.first, self.last, decided)

    def runs(self, decided: Decided | None = None) -> Iterator[Run | Step]:
        """The same, with plain records that follow each other taken together."""
        offset = self.first
        while offset < self.last:
            run = run_at(self.buffer, offset, self.last, None if isinstance(self.buffer, bytes) else decided)
            if run.keys:
                yield run
            offset = run.end
            for step in self._replace(first=offset).walk(decided=decided):
                yield step
                offset = step[1]
                if isinstance(step[2], Seal):
                    break  # behind it there are likely plain records


class Chain:
    """The chain of one collection, mapped into memory segment by segment; it follows as the files grow.

    A place means the same whether its segment is packed or not. Safe for threads. Methods raise Corruption where the
    bytes at a place are not what was written.
    """

    def __init__(self, door: Door, files: CollectionFiles, collection: bytes, cache: Cache | None = None) -> None:
        self._door = door
        self._files = files
        self._collection = collection
        self._cache = cache or Cache(CacheRoom(CHUNK_CACHE_BYTES))
        self._maps: list[mmap | bytes] = []
        """Empty bytes stand for a segment that is packed: nothing is found in them, and `_packed` is looked at."""
        self._packed: dict[int, PackedFile] = {}
        self._inodes: dict[int, int | None] = {}
        """The files that are mapped: as long as they are, no other has the same number."""
        self._mapping = Lock()
        self._renewals = 0
        """How often a file was mapped anew because another one took its place."""
        self.fetches = 0
        """How often many records were read at once."""

    def segments(self) -> int:
        """How many chain files there are. Raises Corruption where one of them is missing."""
        names = self._door.names(self._files.chain)
        numbers = segment_numbers(names)
        for expected, number in enumerate(numbers):
            if number != expected:
                raise Corruption(str(self._files.segment(expected)), None, "the chain file is missing")
        if numbers and self._files.segment(numbers[-1]).name not in names:  # none is packed before the next is begun
            raise Corruption(str(self._files.segment(len(numbers))), None, "the chain file is missing")
        return len(numbers)

    def size(self, number: int) -> int:
        """How many bytes a chain file has, or had before it was packed."""
        if number not in self._packed:
            with guarded("reading the chain"):
                try:
                    return self._door.size(self._files.segment(number))
                except FileNotFoundError:
                    self.repacked(number)
        return self._packed[number].size

    def filled(self, number: int) -> int:
        """How many bytes the newest chain file has before the zeros at its end: they may be reserved, or a value's."""
        with guarded("reading the chain"):
            return self._door.filled(self._files.segment(number))

    def used(self, number: int) -> int:
        """Where the commits of a chain file end, whose writer may have gone without a word. O(records)."""
        size = self.size(number)
        buffer = self.segment(number, size)
        return end_of(buffer) if buffer else size

    def disk_size(self, number: int) -> int:
        """How many bytes a chain file takes on the disk."""
        with guarded("reading the chain"):
            try:
                return self._door.disk_size(self._files.segment(number))
            except FileNotFoundError:  # it is packed, perhaps since a moment ago
                return self._door.disk_size(self._files.packed(number))

    def repacked(self, number: int) -> None:
        """Read a chain file from its packed form from now on. Raises Corruption where there is none."""
        with self._mapping, guarded("reading the chain"):
            while len(self._maps) < number:
                self._maps.append(self._checked(len(self._maps)))
            self._maps[number : number + 1] = [self._checked(number, is_packed=True)]
        self._door.forget(self._files.segment(number))

    def follow_packing(self) -> None:
        """Read from its packed form what another process has packed: so what was mapped is given back.

        Raises Corruption where there is none.
        """
        with guarded("reading the chain"):
            names = set(self._door.names(self._files.chain))
        for number in range(len(self._maps)):
            if number not in self._packed and self._files.segment(number).name not in names:
                self.repacked(number)

    def renew(self, number: int) -> bool:
        """Map a chain file anew if another one took its place, as where a value was redacted, and say whether.

        Raises Corruption.
        """
        with self._mapping:
            is_other = number < len(self._maps) and self._inode(number) != self._inodes[number]
            if is_other:
                self._maps[number] = self._checked(number)
                self._renewals += 1
            return is_other

    def renew_all(self) -> bool:
        """The same for every chain file that is mapped. O(files)."""
        renewed = list(map(self.renew, range(len(self._maps))))
        return any(renewed)

    def _is_renewed_since(self, seen: int) -> bool:
        """Whether what was read since then may have been of a file whose place another one took. O(files)."""
        self.renew_all()
        return self._renewals > seen

    def first_sequence(self, number: int) -> int:
        """The sequence number of the first record of a chain file."""
        first = next(iter(self.stretches(place_of(number, 0), place_of(number, segment.HEADER_BYTES))))
        return segment.decode(first.buffer).first_sequence

    def item_at(self, place: int) -> Item:
        """The key and the value of the record at `place`. O(1)."""
        try:
            return record.item_at(self._maps[place >> 32], place & OFFSET_MASK)
        except (IndexError, BadFrame):
            pass
        return self._reading(record.item_at, place)

    def items_at(self, places: Sequence[int]) -> list[Item]:
        """`item_at` for many places. O(bytes)."""
        self.fetches += 1
        try:
            return record.items_at(self._maps, places)
        except (IndexError, BadFrame):
            return list(map(self.item_at, places))

    def record_at(self, place: int) -> RecordFrame:
        """The whole record at `place`. O(1)."""
        return self._reading(record.decode, place)

    def seal_at(self, place: int) -> Seal:
        """The block seal at `place`. O(1)."""
        return self._reading(decode_seal, place)[0]

    def records(self, start: int, stop: int) -> Iterator[tuple[int, int, RecordFrame]]:
        """The place of each record from one place to another, the place after it, and the record.

        One at a time, however large a batch is: for what is known to be whole.
        """
        for place, end, frame in self.walk(start, stop, is_whole=True):
            if isinstance(frame, RecordFrame):
                yield place, end, frame

    def walk(self, start: int, stop: int, is_whole: bool = False) -> Iterator[Located]:
        """All records and seals from one place to another, in commit order. For `is_whole` see `Stretch.walk`."""
        at = start
        while True:
            seen = self._renewals
            try:
                for located in self._walk(at, stop, is_whole):
                    at = located[1]
                    yield located
                return
            except Corruption:
                if not self._is_renewed_since(seen):
                    raise

    def _walk(self, start: int, stop: int, is_whole: bool) -> Iterator[Located]:
        for stretch in self.stretches(start, stop):
            try:
                for offset, end, frame in stretch.walk(is_whole):
                    yield stretch.base + offset, stretch.base + end, frame
            except DamagedChain as error:
                raise self.corruption(stretch.base + error.offset, str(error)) from None

    def bodies(self, start: int, stop: int) -> tuple[list[bytes], list[int]]:
        """The bodies of the records from one place to another, and their places, unchecked. O(records)."""
        found: list[bytes] = []
        places: list[int] = []
        for stretch in self.stretches(start, stop):
            some, offsets = bodies(stretch.buffer, stretch.first, stretch.last)
            found.extend(some)
            places.extend(map(stretch.base.__add__, offsets))
        return found, places

    def bodies_from(self, start: int, stop: int, skipped: int, count: int) -> list[bytes]:
        """The bodies of `count` records after the first `skipped` ones from one place on, before another one.

        Unchecked. O(records). Raises Corruption where they cannot be taken apart.
        """
        while True:
            seen = self._renewals
            try:
                return self._bodies_from(start, stop, skipped, count)
            except Corruption:  # perhaps in a file whose place another one took
                if not self._is_renewed_since(seen):
                    raise

    def _bodies_from(self, start: int, stop: int, skipped: int, count: int) -> list[bytes]:
        found: list[bytes] = []
        with self._explained(start, stop):
            for stretch in self.stretches(start, stop):
                records, offset = skip(stretch.buffer, stretch.first, stretch.last, skipped)
                skipped -= records
                found += bodies(stretch.buffer, offset, stretch.last, count - len(found))[0]
                if len(found) >= count:
                    break
        return found

    def count(self, start: int, stop: int) -> int:
        """How many records there are from one place to another, unchecked. O(records). Raises Corruption."""
        with self._explained(start, stop):
            return sum(skip(stretch.buffer, stretch.first, stretch.last)[0] for stretch in self.stretches(start, stop))

    @contextmanager
    def _explained(self, start: int, stop: int) -> Iterator[None]:
        """Where what was not checked cannot be taken apart, have it checked, which says where the damage is."""
        try:
            yield
        except (BadFrame, IndexError, StructError):
            for _ in self.walk(start, stop):
                pass
            raise

    def stretches_of(self, number: int, first: int, last: int) -> Iterator[Stretch]:
        """What of a chain file lies between two offsets."""
        buffer = self.segment(number, last)
        if buffer:
            yield Stretch(place_of(number, 0), buffer, first, last)
            return
        for start, chunk, from_, to in self._packed[number].stretches(first, last):
            yield Stretch(place_of(number, start), chunk, from_, to)

    def stretches(self, start: int, stop: int) -> Iterator[Stretch]:
        """What of each chain file lies between two places."""
        for number in range(start >> 32, (stop >> 32) + 1):
            first = start & OFFSET_MASK if number == start >> 32 else segment.HEADER_BYTES
            last = stop & OFFSET_MASK if number == stop >> 32 else self.size(number)
            yield from self.stretches_of(number, first, last)

    def corruption(self, place: int, what: str) -> Corruption:
        """The error that names the file and the offset of `place`."""
        number, offset = split_place(place)
        if number in self._packed:
            return Corruption(str(self._files.packed(number)), None, f"{what}, at byte {offset} of what it holds")
        path = self._files.segment(number)
        return Corruption(str(path), offset, self._door.damage(path, offset) or what)

    def segment(self, number: int, size: int) -> mmap | bytes:
        """A chain file, mapped at least up to `size` where it has so many bytes; no bytes where it is packed."""
        with self._mapping:
            while len(self._maps) <= number:
                self._maps.append(self._checked(len(self._maps)))
            if number not in self._packed and len(self._maps[number]) < size:
                self._maps[number] = self._checked(number)
            return self._maps[number]

    def _inode(self, number: int, is_packed: bool = False) -> int | None:
        with guarded("reading the chain"):
            plain = None if is_packed else self._door.inode(self._files.segment(number))
            return plain or self._door.inode(self._files.packed(number))

    def _checked(self, number: int, is_packed: bool = False) -> mmap | bytes:
        """A chain file, mapped, and it is noted which one it is: another may take its place at any moment."""
        while True:
            inode = self._inode(number, is_packed)
            try:
                buffer = self._open_packed(number) if is_packed else self._map(number)
            except Corruption:
                if self._inode(number, is_packed) == inode:
                    raise
                continue  # another one took its place, and it was overwritten while it was looked at
            if self._inode(number, is_packed) == inode:
                self._inodes[number] = inode
                return buffer

    def _map(self, number: int) -> mmap | bytes:
        path = self._files.segment(number)
        with guarded("reading the chain"):
            try:
                buffer = self._door.map_read(path)
            except FileNotFoundError:
                return self._open_packed(number)
            except ValueError:
                raise Corruption(str(path), 0, "the chain file is empty") from None
        self._check_header(buffer, path, number)
        return buffer

    def _open_packed(self, number: int) -> bytes:
        path = self._files.packed(number)
        try:
            buffer = self._door.slices(path)
        except FileNotFoundError:
            if self._door.inode(self._files.root) is None:
                raise CollectionNotFound(self._files.root.name) from None
            raise Corruption(str(self._files.segment(number)), None, "the chain file is missing") from None
        except ValueError:
            raise Corruption(str(path), 0, "the packed chain file is empty") from None
        packed = PackedFile(buffer, path, self._collection, number, self._cache)
        self._check_header(packed.at(0)[0], path, number)
        self._packed[number] = packed
        return b""

    def _check_header(self, buffer: mmap | bytes, path: Path, number: int) -> None:
        try:
            header = segment.decode(buffer)
        except BadFrame as error:
            raise Corruption(str(path), 0, str(error)) from None
        if header[:2] != (self._collection, number):
            raise Corruption(str(path), 0, "the chain file belongs elsewhere")

    def _reading(self, decode: Callable[[mmap | bytes, int], T], place: int) -> T:
        while True:
            seen = self._renewals
            try:
                return self._decoded(decode, place)
            except Corruption:  # perhaps in a file whose place another one took
                self.renew(place >> OFFSET_BITS)
                if self._renewals == seen:
                    raise

    def _decoded(self, decode: Callable[[mmap | bytes, int], T], place: int) -> T:
        number, offset = split_place(place)
        try:
            try:
                return decode(*self._at(number, offset, offset))
            except TornFrame:  # the file may have grown since it was mapped
                return decode(*self._at(number, offset, self.size(number)))
        except BadFrame as error:
            raise self.corruption(place, str(error)) from None

    def _at(self, number: int, offset: int, size: int) -> tuple[mmap | bytes, int]:
        """Where the byte at an offset of a chain file is: a buffer, and an offset in it."""
        buffer = self.segment(number, size)
        return (buffer, offset) if buffer else self._packed[number].at(offset)
