"""Checkpoints (C2SP `tlog-checkpoint`): the size and root of a tree at one moment, as a signed note.

The text has three lines: the origin, which says whose tree it is; the size in decimal; the root in base64.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blockdb.ledger.note import BadNote, Note, VerifierKey, decode_base64, encode_base64
from blockdb.ledger.proof import MAX_SIZE


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines, which are what is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note. Raises BadNote."""
        lines = text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]) or lines[-1]:
            raise BadNote("a checkpoint has three lines: origin, size and root")
        origin, size, root = lines[:3]
        if len(lines) > 4:
            raise BadNote("the checkpoint has more lines than origin, size and root")
        try:
            found = cls(origin, parse_size(size), decode_base64(root))
        except ValueError as error:
            raise BadNote(f"the checkpoint is malformed: {error}") from None
        if len(found.root) != 32:
            raise BadNote("the checkpoint's root is not a SHA-256 hash")
        return found


def parse_size(text: str) -> int:
    """A number as it stands in checkpoints and proofs: decimal, no leading zeros. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0") or len(text) > 19:
        raise ValueError(f"{text[:40]!r} is no number")
    size = int(text)
    if size >= MAX_SIZE:
        raise ValueError(f"{text} is too large")
    return size


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with the note that it came in, and by whose keys it was found to be signed."""

    checkpoint: Checkpoint
    note: str
    keys: tuple[VerifierKey, ...]


def open_checkpoint(note: str, keys: Iterable[VerifierKey]) -> SignedCheckpoint:
    """Read a signed checkpoint and check that one of these keys, which has to speak for its origin, signed it.

    Raises BadNote.
    """
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    speaking = [key.of(checkpoint.origin) for key in keys if key.speaks_for(checkpoint.origin)]
    if not speaking:
        raise BadNote(f"none of the keys that were given speaks for {checkpoint.origin}")
    return SignedCheckpoint(checkpoint, note, tuple(parsed.verified_by(speaking)))
