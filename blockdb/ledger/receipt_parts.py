"""What receipts are made of: lines above a checkpoint, records, and what is proven by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from blockdb.format import record
from blockdb.format.frame import BadFrame, with_check
from blockdb.format.record import RecordFrame
from blockdb.ledger.checkpoint import open_checkpoint, parse_size
from blockdb.ledger.cosignature import Seen, seen_by
from blockdb.ledger.note import COSIGNATURE, BadNote, Note, VerifierKey, decode_base64, encode_base64
from blockdb.ledger.proof import BadProof


@dataclass(frozen=True)
class ProvenRecord:
    """A record that a receipt shows. Its time is what the database said when it stored it."""

    index: int | None
    """Its place in commit order; None in a receipt for a range, which proves where it stands among the keys."""
    key: bytes
    value: bytes
    """`REDACTED` (see blockdb.types) where it was erased: what is proven then is that there was one."""
    time_ms: int


@dataclass(frozen=True)
class Verified:
    """What a receipt was found to prove."""

    kind: str
    """`record`, `run` or `range`."""
    origin: str
    """Whose tree it is."""
    size: int
    """How many records the collection had."""
    records: tuple[ProvenRecord, ...]
    signed_by: tuple[str, ...]
    """The verifier keys by which the checkpoint is signed."""
    witnessed: tuple[Seen, ...] = ()
    """Which of the witnesses that were asked about saw the checkpoint, and when."""
    start: bytes | None = None
    end: bytes | None = None
    """Of a range: these are all records with keys from `start` on and before `end`; there is no other."""
    as_of_ms: int | None = None
    """Of a range: when the database had `size` records, by its own clock. It may have more at the checkpoint."""


class Body:
    """A record's bytes as a receipt carries them: its body in the chain, without the type."""

    def __init__(self, data: bytes) -> None:
        """Raises BadProof for what is no record."""
        self.data = data
        try:
            self.frame: RecordFrame = record.decode(with_check(b"\0" + data), 0)
        except BadFrame as error:
            raise BadProof(f"the receipt holds no record: {error}") from None
        if len(self.frame.body) != len(data) + 1:
            raise BadProof("there is more behind the record")
        self.leaf_hash = sha256(self.frame.leaf).digest()

    @classmethod
    def of(cls, frame: RecordFrame) -> Body:
        """The bytes of a record as it was read from the chain."""
        return cls(frame.body[1:])

    def proven(self, index: int | None) -> ProvenRecord:
        """The record, once its hash was found in a tree."""
        return ProvenRecord(index, self.frame.key, self.frame.value, self.frame.time_ms)

    @property
    def line(self) -> str:
        """The bytes as they stand in a receipt."""
        return encode_base64(self.data)


class Lines:
    """The lines of a receipt above its checkpoint, taken one after the other. Methods raise BadProof."""

    def __init__(self, text: str, title: str) -> None:
        head, _, self.note = text.partition("\n\n")
        self._lines = head.split("\n")[::-1]
        if self._lines.pop() != title or not self.note:
            raise BadProof(f"this is no receipt: it should begin with {title} and end with a checkpoint")

    def word(self, name: str) -> str | None:
        """What stands behind a name, if the next line has that name."""
        if self._lines and self._lines[-1].startswith(name + " "):
            return self._lines.pop()[len(name) + 1 :]
        return None

    def number(self, name: str) -> int:
        """The number in the next line, which has to have that name."""
        try:
            return parse_size(self.word(name) or "")
        except ValueError:
            raise BadProof(f"the line with the {name} is missing or no number") from None

    def data(self, name: str) -> bytes | None:
        """The bytes in the next line, if it has that name."""
        word = self.word(name)
        return None if word is None else bytes_of(word)

    def all(self, name: str) -> Iterator[bytes]:
        """The bytes in all lines with that name that come next."""
        while (found := self.data(name)) is not None:
            yield found

    def hashes(self) -> tuple[bytes, ...]:
        """The lines up to the next one that is no hash."""
        found: list[bytes] = []
        while self._lines and " " not in self._lines[-1]:
            found.append(bytes_of(self._lines.pop()))
        return tuple(found)

    def end(self) -> None:
        """There must be nothing left."""
        if self._lines:
            raise BadProof("the receipt has a line that does not belong there")


def bytes_of(text: str) -> bytes:
    """What a word of base64 stands for. Raises BadProof."""
    try:
        return decode_base64(text)
    except ValueError as error:
        raise BadProof(f"a line of the receipt is damaged: {error}") from None


def compose(lines: Iterable[str], note: str) -> str:
    """The text of a receipt."""
    return "\n".join(lines) + "\n\n" + note


@dataclass(frozen=True)
class Checked:
    """A checkpoint whose signature was checked."""

    origin: str
    size: int
    root: bytes
    signed_by: tuple[str, ...]
    witnessed: tuple[Seen, ...]

    def verified(self, kind: str, records: Sequence[ProvenRecord]) -> Verified:
        """What a proof that leads to its root proves."""
        return Verified(kind, self.origin, self.size, tuple(records), self.signed_by, self.witnessed)


def opened(note: str, keys: Sequence[VerifierKey]) -> Checked:
    """The checkpoint of a receipt, signed by one of these keys; those of witnesses must all have cosigned it.

    Raises BadNote.
    """
    found = open_checkpoint(note, [key for key in keys if key.type != COSIGNATURE])
    checkpoint, witnesses = found.checkpoint, [key for key in keys if key.type == COSIGNATURE]
    seen = seen_by(checkpoint.text, Note.parse(note).signatures, witnesses)
    missing = set(witnesses) - {one.witness for one in seen}
    if missing:
        raise BadNote(f"the checkpoint does not have a good signature of the witness {min(m.name for m in missing)}")
    signed_by = tuple(map(str, found.keys))
    return Checked(checkpoint.origin, checkpoint.size, checkpoint.root, signed_by, tuple(seen))
