"""Reading the log of consensus: what is intact, what a write that was cut short left behind, and what is damaged.

The mark tells the one from the other, as for every log. Damage before it is never cut off: those entries were
acknowledged, and a node that forgot them would break what the majority was promised. They are set aside under another
name, and the log says from where on it has lost entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from blockdb.cluster.consensus.papers import Beginning
from blockdb.cluster.consensus.places import Places
from blockdb.errors import Corruption
from blockdb.format.consensus import HardState
from blockdb.format.frame import BadFrame
from blockdb.format.raft_log import FIRST, HEADER_BYTES, FileHeader, decode_header, encode_header, vouched, walk
from blockdb.format.walk import DamagedChain
from blockdb.layout import RAFT_SUFFIX, RaftFiles, number_of
from blockdb.storage.door import Door
from blockdb.storage.erasure import keep_as
from blockdb.storage.recovery import Trust, read_mark, trust_in

DAMAGED: Final = ".damaged-"
"""What the names of files end with that were set aside, and a number."""


class Segment(NamedTuple):
    """A file of the log, and how many bytes of the log come before it."""

    number: int
    base: int


class Damage(NamedTuple):
    """Where the log is not what it was: from this offset of this file on."""

    number: int
    offset: int
    what: str


@dataclass
class Loaded:
    """What there is of a log."""

    places: Places
    segments: list[Segment] = field(default_factory=list)
    end: int = 0
    """Where the next batch goes."""
    forced: int = 0
    torn_bytes: int = 0
    state: HardState = field(default_factory=HardState)
    check: bytes = FIRST
    """That of the last head,"""
    place: int = 0
    """and its place."""
    damage: Damage | None = None


def load(door: Door, files: RaftFiles, owner: bytes, beginning: Beginning) -> Loaded:
    """Read the log. O(bytes). Raises OSError."""
    mark = read_mark(door, files.mark, owner)
    trust = trust_in(mark, door.boot_id(), 0)
    loading = _Loading(door, files, owner, beginning, trust, is_marked=not isinstance(mark, str))
    loading.load()
    found = loading.found
    found.forced = 0 if isinstance(mark, str) else min(mark.forced, found.end)
    return found


def file_numbers(door: Door, files: RaftFiles) -> list[int]:
    """The numbers of the files that are there, in order."""
    found = (number_of(name, RAFT_SUFFIX) for name in door.names(files.root))
    return sorted(number for number in found if number is not None)


class _Loading:
    """A log while it is read."""

    def __init__(
        self, door: Door, files: RaftFiles, owner: bytes, beginning: Beginning, trust: Trust, *, is_marked: bool
    ) -> None:
        self._door = door
        self._files = files
        self._owner = owner
        self._head = beginning.head
        self._first = beginning.first_file
        self._trust = trust
        self._is_marked = is_marked
        self.found = Loaded(Places(self._head.index + 1))

    def load(self) -> None:
        """Read file after file, as far as they are intact."""
        found = self.found
        numbers = [number for number in file_numbers(self._door, self._files) if number >= self._first]
        last = max(numbers, default=self._first)
        for number in range(self._first, last + 1):
            try:
                if not self._take(number, is_last=number == last):
                    break
            except BadFrame as error:
                found.damage = Damage(number, 0, str(error))
                break
        if found.damage is None and found.end < self._trust.place:
            [*_, segment] = found.segments
            found.damage = Damage(segment.number, found.end - segment.base, "it was cut: more was written to it")
        if found.places.last < self._head.index:
            found.places.clear(self._head.index + 1)

    def _take(self, number: int, *, is_last: bool) -> bool:
        """Read a file; whether it goes on in the next one. Raises BadFrame where none of it can be used."""
        data = self._read(number)
        header = self._header(data, number)
        found = self.found
        if found.segments and (header.base, header.previous) != (found.end, found.check):
            if is_last and len(data) == HEADER_BYTES and header.base < found.end:
                return False  # it was begun, but then the file before it took some more after all
            raise BadFrame("it does not go on where the file before it ends")
        found.segments.append(Segment(number, header.base))
        found.end, found.check = header.base + HEADER_BYTES, header.previous
        try:
            self._take_batches(data, header)
        except DamagedChain as error:
            if self._is_torn(error, data, header, is_last=is_last):
                found.torn_bytes = len(data) - error.offset
            else:
                found.damage = Damage(number, error.offset, str(error))
            return False
        return True

    def _take_batches(self, data: bytes, header: FileHeader) -> None:
        found, base = self.found, header.base
        for batch in walk(data, header):
            head = batch.head
            if batch.entries and not self._follows(batch.entries[0][0]):
                raise DamagedChain(head.place - base, BadFrame("entries are missing before it"))
            found.places.put(batch.entries, [base + offset for offset in batch.offsets])
            found.state, found.check, found.place, found.end = head.state, head.check, head.place, base + batch.end

    def _follows(self, index: int) -> bool:
        """Whether an entry may come next: what is before the head, or was replaced later, may begin anywhere."""
        places = self.found.places
        return index <= max(places.last, self._head.index) + 1 or places.last < places.first

    def _read(self, number: int) -> bytes:
        try:
            return self._door.read(self._files.file(number))
        except FileNotFoundError:
            raise BadFrame("the file is gone") from None
        except Corruption as error:
            raise BadFrame(str(error)) from None

    def _header(self, data: bytes, number: int) -> FileHeader:
        header = decode_header(data)
        if (header.owner, header.number) != (self._owner, number):
            raise BadFrame("the file belongs to another log, or to another place in this one")
        return header

    def _is_torn(self, error: DamagedChain, data: bytes, header: FileHeader, *, is_last: bool) -> bool:
        """Whether this is what a write leaves behind that was cut short: nobody was told that it was done."""
        place, trust = header.base + error.offset, self._trust
        return (
            self._is_marked
            and place >= trust.place
            and (is_last or place >= self._forced_by_next(header.number))
            and (error.torn or trust.rubbish)
            and vouched(data, error.offset, header.base) <= place
        )

    def _forced_by_next(self, number: int) -> float:
        """Before a file is begun, all before it is forced. As long as it is empty, the one before may have gone on."""
        try:
            data = self._read(number + 1)
            base = self._header(data, number + 1).base
        except BadFrame:
            return inf
        return base if len(data) == HEADER_BYTES else inf


def set_aside(door: Door, files: RaftFiles, owner: bytes, found: Loaded) -> None:
    """Give what is damaged, and all after it, other names, so that the log ends before it. Raises OSError.

    The last file goes first: whoever comes after a crash finds the same damage, or that files are missing.
    """
    assert found.damage is not None
    number, offset, _ = found.damage
    for later in reversed([other for other in file_numbers(door, files) if other > number]):
        door.rename(files.file(later), _aside(door, files.file(later)))
    path = files.file(number)
    if not offset and door.inode(path) is not None:
        door.rename(path, _aside(door, path))
    if offset:
        good = door.read(path)[:offset]
        keep_as(door, path, _aside(door, path))
        door.replace(path, good)
    elif not found.segments:
        door.replace(path, encode_header(FileHeader(owner, number, found.end, found.check)))
        found.segments, found.end = [Segment(number, found.end)], found.end + HEADER_BYTES
    door.forget(path)


def _aside(door: Door, path: Path) -> Path:
    names = set(door.names(path.parent))
    number = next(number for number in range(len(names) + 1) if f"{path.name}{DAMAGED}{number}" not in names)
    return path.with_name(f"{path.name}{DAMAGED}{number}")
