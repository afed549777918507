"""What is sent to a witness: the size it is thought to know, a consistency proof, and the new checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from blockdb.ledger.checkpoint import Checkpoint, parse_size
from blockdb.ledger.note import BadNote, Note, decode_base64, encode_base64

ADD_CHECKPOINT: Final = "/add-checkpoint"
CHECKPOINT: Final = "/checkpoint/"
"""Not of the protocol: where a witness of ours shows the last checkpoint that it cosigned, by `log_id`."""

SIZE_TYPE: Final = "text/x.tlog.size"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_PROOF_LINES: Final = 63
MAX_TEXT_CHARACTERS: Final = 16 * 1024
"""Of a checkpoint's text, whose extension lines may be of any length: with its signatures it has to be a note."""

_OLD: Final = "old "
_HASH_BYTES: Final = 32


def log_id(origin: str) -> str:
    """The name under which a witness keeps what it knows of a log: safe whatever the origin is."""
    return sha256(origin.encode()).hexdigest()


def read_checkpoint(text: str) -> Checkpoint:
    """What the text of a note says, whatever extension lines follow. Raises BadNote."""
    lines = text.split("\n")
    if len(text) > MAX_TEXT_CHARACTERS or not all(lines[:-1]):
        raise BadNote("the text of a checkpoint has lines that are not empty, and is not that long")
    return Checkpoint.parse("".join(f"{line}\n" for line in lines[:3]))


@dataclass(frozen=True)
class Submission:
    """A checkpoint for a witness, with the proof that it extends the tree of `old_size`."""

    old_size: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Read the body of a request. Raises ValueError, which says what is wrong with it."""
        try:
            head, mark, signed = body.decode().partition("\n\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"byte {error.start} is not UTF-8") from None
        first, *proof = head.split("\n")
        if not mark or not first.startswith(_OLD):
            raise ValueError("expected are a line 'old SIZE', the lines of a proof, an empty line and a checkpoint")
        if len(proof) > MAX_PROOF_LINES:
            raise ValueError(f"the proof has more than {MAX_PROOF_LINES} lines")
        note = Note.parse(signed)
        return cls(parse_size(first.removeprefix(_OLD)), _hashes(proof), note, read_checkpoint(note.text))


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(map(decode_base64, lines))
    if any(len(node) != _HASH_BYTES for node in hashes):
        raise ValueError(f"a line of the proof is not a hash of {_HASH_BYTES} bytes")
    return hashes


def encode_submission(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of a request."""
    lines = [f"{_OLD}{old_size}", *map(encode_base64, proof), "", note]
    return "\n".join(lines).encode()
