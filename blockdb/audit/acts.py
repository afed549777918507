"""Auditing the audit log: every entry names the hash of the one before, and signed heads say how far it went.

Heads are the one beside the log and those that the journal keeps: none of what they cover can be changed, left out or
cut off, and the whole log cannot be put back to what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from blockdb.audit.findings import Findings
from blockdb.audit.watch import Watch
from blockdb.format import audit_log, sealed
from blockdb.format import mark as mark_format
from blockdb.format.audit_log import FIRST, HEADER_BYTES, FileHeader, Position, start_of, walk
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.mark import Mark
from blockdb.format.place import place_of
from blockdb.format.record import RecordFrame
from blockdb.format.sealed import Binding, Kind
from blockdb.format.walk import DamagedChain
from blockdb.layout import ACTS_SUFFIX, AuditLogFiles, number_of
from blockdb.ledger.act_log import AUDIT_LOG, EVENT, LogHead, head_of
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import BadNote, VerifierKey
from blockdb.ledger.state import BadState, decode_event
from blockdb.machine import boot_id

DATABASE: Final = "blockdb/"
"""What the names of databases begin with; the UUID of the first collection follows."""

_START: Final = Position(0, 0, FIRST)


@dataclass(frozen=True)
class Told:
    """How far the log was once, and who says so."""

    head: LogHead
    by: str


def heads_in(journal: Iterable[RecordFrame]) -> list[Told]:
    """The heads that a journal keeps of the log that there is: one of no entries says that a new one was begun.

    What is no event is told by others.
    """
    found: list[Told] = []
    for number, frame in enumerate(journal):
        try:
            event = decode_event(frame.value)
            if event["event"] == EVENT:
                told = Told(head_of(event), f"event {number} of the journal")
                found = [*found, told] if told.head.size else [told]
        except BadState:
            continue
    return found


def check_acts(
    files: AuditLogFiles,
    database: bytes | None,
    told: Sequence[Told],
    public_keys: Mapping[bytes, bytes],
    findings: Findings,
    keys: DataKeys | None,
    watch: Watch,
    *,
    restored: int | None = None,
) -> list[str]:
    """Check every entry, and the log against its heads; notes are returned. O(bytes).

    `database` is the UUID of the default collection, where that is known. `told` is what the journal said before.
    `restored` is how many entries there were when it was restored as of a moment: so many may have no signed head.
    """
    if not files.root.exists():
        for one in told[-1:]:
            if one.head.size:
                what = f"the audit log is gone; {one.by} says that it had {one.head.size} entries"
                findings.add(files.root, what)
        return begun_anew(told)
    problems, before = len(findings.problems), _state(files)
    notes = _Run(files, database, findings, keys, watch, restored).check(told, public_keys)
    if len(findings.problems) > problems and _state(files) != before:  # somebody opened or closed it meanwhile
        del findings.problems[problems:]
        notes = _Run(files, database, findings, keys, watch, restored).check(told, public_keys)
    return begun_anew(told) + notes


def begun_anew(told: Sequence[Told]) -> list[str]:
    """A note where the log is not the first one: that may be known, or be worth a question."""
    return [f"The audit log was begun anew ({one.by} tells it): do you know why?" for one in told if not one.head.size]


def _state(files: AuditLogFiles) -> list[bytes]:
    """What changes when the log is opened, written or closed."""
    return [path.read_bytes() for path in (files.mark, files.head) if path.exists()]


@dataclass
class _Run:
    files: AuditLogFiles
    database: bytes | None
    findings: Findings
    keys: DataKeys | None
    watch: Watch
    restored: int | None = None
    mark: Mark | None = None
    position: Position = _START
    number: int = 0
    wanted: dict[int, list[Told]] = field(default_factory=dict)

    def check(self, told: Sequence[Told], public_keys: Mapping[bytes, bytes]) -> list[str]:
        """The head is read before the mark, and the mark before the files: in the other order than they are written."""
        problems = len(self.findings.problems)
        head = self._head(public_keys)
        for one in [*told, *([] if head is None else [head])]:
            self.wanted.setdefault(one.head.size, []).append(one)
        numbers, self.mark = self._numbers(), None
        if numbers:
            self.mark = self._read_mark()
            numbers = self._numbers()
            if not self._is_begun(numbers[-1]):
                del numbers[-1]
        if not all(self._check_file(number, numbers[-1]) for number in numbers):
            return []
        self._check_sizes(head)
        size = self.position.sequence
        if head is None and size and size == self.restored:
            return [f"The audit log was cut when the database was restored; its {size} entries are not signed since."]
        if len(self.findings.problems) > problems or head is None or head.head.size == size:
            return []
        return [f"The last {size - head.head.size} of the audit log's {size} entries are not signed yet."]

    def _numbers(self) -> list[int]:
        found = [number_of(path.name, ACTS_SUFFIX) for path in self.files.root.iterdir()]
        return sorted(number for number in found if number is not None)

    # The entries.

    def _check_file(self, number: int, newest: int) -> bool:
        """Whether one can go on to the next file."""
        path = self.files.file(number)
        if number != self.number:
            self.findings.add(self.files.file(self.number), "the file is gone, and there are later ones")
            return False
        data = self._read(path, number)
        if data is None:
            return False
        self.number += 1
        try:
            header = audit_log.decode_header(data)
            self._check_header(header, number)
        except BadFrame as error:
            self.findings.add(path, str(error), offset=0)
            return False
        return self._check_entries(path, data, header, number == newest)

    def _is_begun(self, number: int) -> bool:
        """Whether the newest file counts: it may have been made, and the one before took more entries."""
        if not number or self.mark is None or self.mark.written >= place_of(number, HEADER_BYTES):
            return True
        aside = _Run(self.files, self.database, Findings(self.findings.root), self.keys, self.watch)
        data = aside._read(self.files.file(number), number)
        return data is None or len(data) > HEADER_BYTES

    def _check_header(self, header: FileHeader, number: int) -> None:
        """Raises BadFrame."""
        if self.database is None:
            self.database = header.database
        if (header.database, header.number) != (self.database, number):
            raise BadFrame("the file belongs to another audit log, or to another place in this one")
        if start_of(header)[1:] != self.position[1:]:
            raise BadFrame("the file does not go on where the one before it ends")

    def _check_entries(self, path: Path, data: bytes, header: FileHeader, is_newest: bool) -> bool:
        number, mark = header.number, self.mark
        went_down = mark is not None and not mark.clean and not mark.is_of(boot_id())
        vouched = 0 if mark is None else (mark.forced if went_down else mark.written)
        self.position = start_of(header)
        try:
            for _, position in walk(data, self.position):
                before, self.position = self.position, position
                self._compare(path, before.offset)
        except DamagedChain as error:
            is_vouched = not is_newest or place_of(number, error.offset) < vouched
            if is_vouched or not (error.torn or went_down):
                self.findings.add(path, str(error), offset=error.offset)
                return False
        if is_newest and place_of(number, self.position.offset) < vouched:
            what = "it was cut, or a later file is gone: the mark knows of more"
            self.findings.add(path, what, offset=self.position.offset)
            return False
        if mark is not None and mark.clean and is_newest and place_of(number, len(data)) != mark.written:
            self.findings.add(path, "it does not end where it did when it was closed", offset=self.position.offset)
            return False
        return True

    def _compare(self, path: Path, offset: int) -> None:
        """Hold the entry before the position against what is told of it."""
        for one in self.wanted.pop(self.position.sequence, ()):
            if one.head.hash != self.position.previous:
                what = f"an entry up to here was changed: {one.by} has another hash of the first {one.head.size}"
                expected, found = one.head.hash.hex(), self.position.previous.hex()
                self.findings.add(path, what, offset=offset, expected=expected, found=found)

    def _check_sizes(self, head: Told | None) -> None:
        size = self.position.sequence
        for told, ones in sorted(self.wanted.items()):
            if told:
                what = f"the audit log has {size} entries, and {ones[0].by} says that there were {told}"
                self.findings.add(self.files.root, what, expected=str(told), found=str(size))
        if head is None and size not in (0, self.restored) and not self.files.head.exists():
            self.findings.add(self.files.head, "the file is gone: nothing says how many entries there were")
        if head is not None and self.mark is not None and self.mark.clean and head.head.size < size:
            what = f"the log was closed with {size} entries, and the head that was signed has {head.head.size}"
            self.findings.add(self.files.head, what, expected=str(size), found=str(head.head.size))

    # What is read.

    def _read(self, path: Path, number: int) -> bytes | None:
        try:
            data = path.read_bytes()
            self.watch.read(len(data))
            self.watch.tell(0, 0)
            if self.keys is not None:
                data = sealed.open_file(data, Binding(Kind.ACTS, number=number), self.keys)
        except OSError as error:
            self.findings.add(path, f"the file cannot be read: {error.strerror}")
            return None
        except BadFrame as error:
            self.findings.add(path, str(error), offset=0)
            return None
        return data

    def _read_mark(self) -> Mark | None:
        path = self.files.mark
        try:
            mark = mark_format.decode(path.read_bytes())
            if self.database not in (None, mark.collection):
                raise BadFrame("the mark belongs to another audit log")
        except OSError as error:
            self.findings.add(path, f"the file cannot be read: {error.strerror}")
        except BadFrame as error:
            self.findings.add(path, str(error))
        else:
            return mark
        return None

    def _head(self, public_keys: Mapping[bytes, bytes]) -> Told | None:
        """The signed head; None after noting what is wrong with it, and where there is none."""
        path = self.files.head
        try:
            note = path.read_bytes().decode()
            origin = note.partition("\n")[0]
            if self.database is not None and origin != f"{DATABASE}{UUID(bytes=self.database)}{AUDIT_LOG}":
                raise BadNote("it is the head of another audit log")
            signed = open_checkpoint(note, [VerifierKey(origin, key) for key in public_keys.values()])
        except FileNotFoundError:
            return None
        except OSError as error:
            self.findings.add(path, f"the file cannot be read: {error.strerror}")
        except (BadNote, UnicodeDecodeError) as error:
            self.findings.add(path, f"what is signed there is not the head of this log: {error}")
        else:
            return Told(LogHead(signed.checkpoint.size, signed.checkpoint.root), "the signed head")
        return None
