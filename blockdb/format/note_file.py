"""A file of signed notes, as a FILE anchor keeps them. Format page: docs/formats/note-file.md."""

from __future__ import annotations

from typing import NamedTuple

from blockdb.format.frame import BadFrame

_GAP = b"\n\n"


class NoteFile(NamedTuple):
    """The notes of a file, and how many of its bytes they take; what follows was never written to its end."""

    notes: list[str]
    good_bytes: int


def decode(data: bytes) -> NoteFile:
    """Take a file apart. O(n). Raises BadFrame where it is no file of notes."""
    notes: list[str] = []
    start = good_bytes = 0
    while start < len(data):
        below = data.find(_GAP, start)
        end = data.find(_GAP, below + len(_GAP)) if below >= 0 else -1
        stop = end + 1 if end >= 0 else len(data)
        if below < 0 or stop <= below + len(_GAP) or data[stop - 1 : stop] != b"\n":
            break
        try:
            notes.append(data[start:stop].decode())
        except UnicodeDecodeError as error:
            raise BadFrame(f"byte {start + error.start} is not UTF-8") from None
        good_bytes, start = stop, stop + 1
    return NoteFile(notes, good_bytes)


def encode_next(note: str, good_bytes: int) -> bytes:
    """What is to be appended to a file with so many bytes."""
    return (b"\n" if good_bytes else b"") + note.encode()
