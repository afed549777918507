"""The audit log on the disk: writing entries, one `write(2)` each, and reading them, also beside who writes.

It is a log like that of a collection: a mark says how far it is good, a file that is full is followed by a new one,
whose header names the last entry of the file before. `audit/head` has its signed head.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from threading import Lock
from typing import Final

from blockdb.errors import Corruption, StorageError
from blockdb.format.audit_log import (
    FIRST,
    HEADER_BYTES,
    FileHeader,
    Position,
    decode_header,
    encode,
    encode_header,
    start_of,
    walk,
)
from blockdb.format.frame import BadFrame
from blockdb.format.limits import MAX_SEGMENTS
from blockdb.format.place import place_of, split_place
from blockdb.format.walk import DamagedChain
from blockdb.layout import ACTS_SUFFIX, AuditLogFiles, DatabaseFiles, number_of
from blockdb.ledger.act_log import LogHead
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked
from blockdb.storage.marked_log import MarkedLog
from blockdb.storage.metadata import RESTORED
from blockdb.storage.recovery import Trust, read_mark, trust_in
from blockdb.types import Act

FILE_BYTES: Final = 8 * 1024 * 1024
"""Once it has so many bytes a file takes no more entries: some 60,000 of them."""

Sign = Callable[[LogHead], str]
"""Gives the signed note that says how far the log is."""


class ActReader:
    """Reads an audit log forward, from the entry after `after` on. For one thread.

    Where it came to the end, `take` goes on with what was appended since.
    """

    def __init__(self, door: Door, files: AuditLogFiles, database: bytes, after: int = -1) -> None:
        """A log that is not there has no entries. Raises Corruption, StorageError."""
        self._door = door
        self._files = files
        self._database = database
        self._after = after
        self.number = 0
        """The number of the file that it is in,"""
        self.position = Position(0, -1, FIRST)
        """and the place there; offset 0: before the header, sequence -1: wherever the log may begin."""
        self.torn_bytes = 0
        """How many bytes follow there that are no entry: what a write that was cut short left behind."""
        if after >= 0:
            with guarded("reading the audit log"):
                count = len(file_numbers(door, files))
                count -= count > 1 and not self._goes_on(count - 1, self.trust())
                self.number = max(0, bisect_right(range(count), after + 1, key=self._first_sequence) - 1)

    def take(self) -> Iterator[Act]:
        """The entries that are there. Raises Corruption, StorageError."""
        with guarded("reading the audit log"):
            while (yield from self.take_file()):
                self.number += 1
                self.position = self.position._replace(offset=0)

    def take_file(self) -> Generator[Act, None, bool]:
        """The entries of this file; whether there is another one after it. Raises Corruption, OSError."""
        trust = self.trust()
        is_full = self._goes_on(self.number + 1, trust)
        try:
            data = self._door.read(self._files.file(self.number))
        except FileNotFoundError:
            data = b""
        if data:
            yield from self._take(data, trust, is_full)
        if not is_full:
            self._check_end(trust)
        return is_full

    def trust(self) -> Trust:
        """What the mark lets one believe. It is to be read before the files: a writer tells it last."""
        mark = read_mark(self._door, self._files.mark, self._database)
        return trust_in(mark, self._door.boot_id(), 0)

    def _take(self, data: bytes, trust: Trust, is_full: bool) -> Iterator[Act]:
        if not self.position.offset:
            self._begin(data)
        try:
            for act, position in walk(data, self.position):
                self.position = position
                if act.sequence > self._after:
                    yield act
        except DamagedChain as error:
            is_vouched = is_full or place_of(self.number, error.offset) < trust.place
            if is_vouched or not (error.torn or trust.rubbish):
                raise self._corruption(error.offset, str(error)) from None
        self.torn_bytes = len(data) - self.position.offset

    def _check_end(self, trust: Trust) -> None:
        number, offset = split_place(trust.place)
        if number == self.number and self.position.offset < offset:
            raise self._corruption(self.position.offset, "it was cut: more was written to it")
        if number > self.number and number not in file_numbers(self._door, self._files):
            raise Corruption(str(self._files.file(number)), None, "the file is gone, and something was written to it")

    def _begin(self, data: bytes) -> None:
        start = start_of(self._header(data, self.number))
        if self.position.sequence >= 0 and start[1:] != self.position[1:]:
            raise self._corruption(0, "it does not go on where the file before it ends")
        self.position = start

    def _header(self, data: bytes, number: int) -> FileHeader:
        path = str(self._files.file(number))
        try:
            header = decode_header(data)
        except BadFrame as error:
            raise Corruption(path, 0, str(error)) from None
        if (header.database, header.number) != (self._database, number):
            raise Corruption(path, 0, "the file belongs to another audit log, or to another place in this one")
        return header

    def _first_sequence(self, number: int) -> int:
        return self._header(self._door.read(self._files.file(number)), number).first_sequence

    def _goes_on(self, number: int, trust: Trust) -> bool:
        """Whether the log goes on in this file: a new one may be there while the one before still takes entries."""
        path = self._files.file(number)
        if self._door.inode(path) is None:
            return False
        return trust.place >= place_of(number, HEADER_BYTES) or len(self._door.read(path)) > HEADER_BYTES

    def _corruption(self, offset: int, what: str) -> Corruption:
        return Corruption(str(self._files.file(self.number)), offset, what)


def newest_first(door: Door, files: AuditLogFiles, database: bytes) -> Iterator[Act]:
    """All entries from the last one back, a file in memory at a time. Raises Corruption, StorageError."""
    with guarded("reading the audit log"):
        for number in reversed(file_numbers(door, files)):
            reader = ActReader(door, files, database)
            reader.number = number
            yield from reversed(list(reader.take_file()))


def file_numbers(door: Door, files: AuditLogFiles) -> list[int]:
    """The numbers of the files, in order. Raises Corruption where one is missing."""
    try:
        names = door.names(files.root)
    except FileNotFoundError:
        return []
    found = [number_of(name, ACTS_SUFFIX) for name in names]
    numbers = sorted(number for number in found if number is not None)
    if numbers != list(range(len(numbers))):
        gone = next(number for number in range(MAX_SEGMENTS) if number not in numbers)
        raise Corruption(str(files.file(gone)), None, "the file is gone, and there are later ones")
    return numbers


class AuditLog:
    """The writing end, of which there is one: it belongs to who writes the database. Safe for threads."""

    def __init__(
        self, door: Door, files: AuditLogFiles, database: bytes, sign: Sign, known: Sequence[LogHead] = ()
    ) -> None:
        """Go on with the log, or begin it where there is none.

        `known` are heads that it had: nothing is signed before it was seen to have them still. Raises Corruption,
        StorageError.
        """
        self._door = door
        self._files = files
        self._database = database
        self._sign = sign
        self._appending = Lock()
        self._signing = Lock()
        with guarded("opening the audit log"):
            if not file_numbers(door, files) and not any(head.size for head in known):
                self._begin()
            reader = _read_to_the_end(door, files, database, known)
        self.head = LogHead(*reader.position[1:])
        """How many entries there are, and the hash of the last."""
        self._signed: LogHead | None = None
        self._number = reader.number
        self._log = self._marked_log(reader)
        self.sign()

    def _marked_log(self, reader: ActReader) -> MarkedLog:
        door, files, database = self._door, self._files, self._database
        path, base = files.file(self._number), place_of(self._number, 0)
        end = base + reader.position.offset
        with guarded("opening the audit log"):
            mark = read_mark(door, files.mark, database)
        trust = trust_in(mark, door.boot_id(), 0)
        if trust.end is not None and (trust.end != end or reader.torn_bytes):
            raise Corruption(str(path), None, "it does not end where it did when it was closed")
        forced = min(base + HEADER_BYTES if isinstance(mark, str) else mark.forced, end)
        return MarkedLog(door, path, files.mark, database, base, end, forced, reader.torn_bytes)

    def _begin(self) -> None:
        self._door.make_directory(self._files.root)
        self._door.replace(self._files.file(0), encode_header(FileHeader(self._database, 0, 0, FIRST)))

    @property
    def is_forced(self) -> bool:
        """Whether the disk has everything."""
        return self._log.forced >= self._log.end

    def append(self, act: Act) -> int:
        """Write an entry, and return its number. It survives a killed process once this returns. O(bytes).

        Raises StorageError where the system refuses; the log is then as it was before. WritesStopped where a force
        failed earlier.
        """
        return self.append_all((act,)) - 1

    def append_all(self, acts: Sequence[Act]) -> int:
        """Write entries with one call, all of them or none. Gives how many there are then. Raises as `append`."""
        with self._appending:
            log, (size, previous) = self._log, self.head
            if log.end - place_of(self._number, 0) >= FILE_BYTES:
                self._next_file()
            frames = []
            for sequence, act in enumerate(acts, size):
                frame, previous = encode(Act(*act[:-1], sequence), previous)
                frames.append(frame)
            log.append(b"".join(frames))
            self.head = LogHead(size + len(frames), previous)
            return self.head.size

    def force(self) -> None:
        """Have all entries on the disk. Raises WritesStopped."""
        self._log.force()

    def sign(self) -> LogHead:
        """Sign how far it is, unless that was done, once the disk has it. Raises StorageError."""
        with self._signing:
            with self._appending:
                head, end = self.head, self._log.end
            if head != self._signed:
                self._log.force(end)
                with guarded("signing the audit log"):
                    self._door.replace(self._files.head, self._sign(head).encode())
                self._signed = head
            return head

    def close(self) -> None:
        """Sign it, and leave a mark that says that it was closed. Raises StorageError."""
        try:
            self.sign()
        finally:
            self._log.close()

    def _next_file(self) -> None:
        number = self._number + 1
        if number == MAX_SEGMENTS:
            raise StorageError("the audit log has as many files as it can have; move the database to a new directory.")
        header = encode_header(FileHeader(self._database, number, *self.head))
        full = self._files.file(self._number)
        self._log.begin_file(self._files.file(number), header, place_of(number, 0))
        self._number = number
        self._door.forget(full)


def _is_restored(door: Door, files: AuditLogFiles, reader: ActReader) -> bool:
    """Whether it is as it was when the database was restored as of a moment, of which no head was signed."""
    path = DatabaseFiles(files.root.parent).restored
    acts = load_checked(door, path, RESTORED).get("acts") if door.inode(path) is not None else None
    return acts == reader.position.sequence


def _read_to_the_end(door: Door, files: AuditLogFiles, database: bytes, known: Sequence[LogHead]) -> ActReader:
    """A reader that stands at the end of a log which has all these heads. Raises Corruption, StorageError."""
    wanted = {head for head in known if head.size}
    reader = ActReader(door, files, database, min((head.size for head in wanted), default=1) - 2)
    sizes = {head.size for head in wanted}
    for act in reader.take():
        if act.sequence + 1 in sizes:
            wanted.discard(LogHead(*reader.position[1:]))
    for head in sorted(wanted):
        what = "does not have" if head.size > reader.position.sequence else "has others than"
        raise Corruption(str(files.root), None, f"the audit log {what} the {head.size} entries that were signed")
    if reader.position.sequence and door.inode(files.head) is None and not _is_restored(door, files, reader):
        raise Corruption(str(files.head), None, "the file is gone: nothing says how many entries there were")
    return reader
