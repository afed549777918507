"""The mark: how far the log is in the database. It is on the disk when all that it says is.

The outcomes stand in files of their own, which are sealed where the database is encrypted: each has those that came
since the one before, and now and then one takes the place of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from blockdb.cluster.machine.outcomes import Outcomes
from blockdb.cluster.machine.pending import Pending
from blockdb.database.creation import make_root
from blockdb.errors import Corruption
from blockdb.format.applied import (
    Applied,
    Outcome,
    Unfinished,
    decode_applied,
    decode_outcomes,
    decode_unfinished,
    encode_applied,
    encode_outcomes,
    encode_unfinished,
)
from blockdb.format.frame import BadFrame
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door, guarded

__all__ = ["Marks", "read_mark"]

T = TypeVar("T")

MOST_FILES: Final = 16
"""With more files of outcomes than that, they become one."""


def read_mark(door: Door, files: DatabaseFiles) -> Applied | None:
    """The mark, if there is one. Raises Corruption, StorageError."""
    path = files.raft.applied
    with guarded(f"reading {path}"):
        try:
            return decode_applied(door.read(path))
        except FileNotFoundError:
            return None
        except BadFrame as error:
            raise Corruption(str(path), None, str(error)) from None


class Marks:
    """Writes marks. Used by the thread that applies commands."""

    def __init__(self, files: DatabaseFiles, last: Applied | None, outcomes: Outcomes, pending: Pending) -> None:
        """`last` is what `read_mark` gave."""
        self._files = files
        self._outcomes = outcomes
        self._pending = pending
        self._saved = Unfinished()
        self.last = last

    def load(self, door: Door) -> None:
        """Read the files that the mark names. Raises Corruption, StorageError."""
        self._outcomes.restore(self._kept(door))
        if self.last is not None and self.last.pending:
            self._saved = _decoded(door, self._files.raft.pending(self.last.pending), decode_unfinished)
        self._pending.restore(self._saved)

    def _kept(self, door: Door) -> Iterator[Outcome]:
        for number in self.last.outcomes if self.last is not None else ():
            yield from _decoded(door, self._files.raft.outcomes(number), decode_outcomes)

    def write(self, door: Door, applied: Applied) -> None:
        """Say that everything up to an index is on the disk, which it is. Raises StorageError."""
        with guarded("writing how far the log was applied"):
            if not self._files.raft.root.is_dir():
                make_root(door, self._files.raft.root)
            kept, pending = self._write_outcomes(door), self._write_pending(door)
            before = self.last or Applied(0, 0, {})
            self.last = msgspec.structs.replace(applied, outcomes=kept, pending=pending)
            door.replace(self._files.raft.applied, encode_applied(self.last))
            for number in set(before.outcomes) - set(kept):
                door.remove(self._files.raft.outcomes(number))
            if before.pending not in (0, pending):
                door.remove(self._files.raft.pending(before.pending))

    def _write_pending(self, door: Door) -> int:
        """The number of the file that has what is pending now."""
        before = self.last.pending if self.last is not None else 0
        unfinished = self._pending.all()
        if unfinished == self._saved:
            return before
        number = before + 1 if unfinished != Unfinished() else 0
        if number:
            door.replace(self._files.raft.pending(number), encode_unfinished(unfinished))
        self._saved = unfinished
        return number

    def _write_outcomes(self, door: Door) -> tuple[int, ...]:
        kept = self.last.outcomes if self.last is not None else ()
        fresh = self._outcomes.take_fresh()
        if not fresh:
            return kept
        number = max(kept, default=0) + 1
        if len(kept) >= MOST_FILES:
            kept, fresh = (), self._outcomes.all()
        door.replace(self._files.raft.outcomes(number), encode_outcomes(fresh))
        return (*kept, number)


def _decoded(door: Door, path: Path, decode: Callable[[bytes], T]) -> T:
    """What a file holds that has to be there. Raises Corruption, StorageError."""
    with guarded(f"reading {path}"):
        try:
            return decode(door.read(path))
        except FileNotFoundError:
            raise Corruption(str(path), None, "the file is missing") from None
        except BadFrame as error:
            raise Corruption(str(path), None, str(error)) from None
