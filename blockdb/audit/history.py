"""States of the past that somebody kept outside: whether a collection still has them in its history.

A state is the root of a tree of so many records. A chain whose seals hold has one at each size, and each of the states
has to be that. None is left out because a later one fits: who forks a history may go on to have its states kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from blockdb.audit.seals import SealAudit
from blockdb.format.walk import DamagedChain
from blockdb.ledger.checkpoint import Checkpoint, open_checkpoint
from blockdb.ledger.note import BadNote, Note, VerifierKey
from blockdb.ledger.range_receipt import JOURNAL

JOURNAL_COLLECTION: Final = "_journal"
"""The name of the collection whose checkpoints are those of the whole database."""


@dataclass(frozen=True)
class Trusted:
    """A state of a collection that is known from elsewhere."""

    name: str
    """Where it comes from, for whoever reads of it."""
    origin: str
    """Whose state it is."""
    size: int
    root: bytes


@dataclass(frozen=True)
class Unfit:
    """The first of several states that is none of the collection's history."""

    size_before: int
    """How many records the last state that fits has; 0 where none does."""
    what: str
    expected: str
    found: str


def is_of(state: Trusted, collection_id: str, name: str) -> bool:
    """Whether a state is of this collection: its origin ends with the collection's UUID, or is the journal's."""
    if state.origin.endswith(JOURNAL):
        return name == JOURNAL_COLLECTION
    last = state.origin.rpartition("/")[2].removeprefix("col_").replace("-", "")
    return last.lower() == collection_id.removeprefix("col_").replace("-", "").lower()


def first_unfit(seals: SealAudit, states: Sequence[Trusted]) -> Unfit | None:
    """The first of some states, in the order of their sizes, that is none of a chain whose seals hold.

    None where all are. O(states · records in a block).
    """
    fits = (root_at(seals, state.size) == state.root for state in states)
    low = next((number for number, is_fit in enumerate(fits) if not is_fit), None)
    if low is None:
        return None
    unfit, root = states[low], root_at(seals, states[low].size)
    after = f"after that of {states[low - 1].size} records, which fits, " if low else ""
    found = f"only {seals.size} records in blocks" if root is None else f"root {root.hex()}"
    what = (
        f"the history was rewritten or cut: {after}the checkpoint of {unfit.size} records ({unfit.name}) does not fit"
    )
    return Unfit(states[low - 1].size if low else 0, what, f"root {unfit.root.hex()}", found)


def root_at(seals: SealAudit, size: int) -> bytes | None:
    """The root of the first so many records; None where there are fewer, or some cannot be read."""
    try:
        return seals.root_at(size)
    except DamagedChain:
        return None


def own_state(note: bytes, public_keys: Iterable[bytes]) -> Trusted:
    """The state in the checkpoint that a collection keeps, signed by one of the database's keys. Raises BadNote."""
    try:
        text = note.decode()
        checkpoint = Checkpoint.parse(Note.parse(text).text)
    except UnicodeDecodeError:
        raise BadNote("the checkpoint is no signed note") from None
    open_checkpoint(text, [VerifierKey(checkpoint.origin, key) for key in public_keys])
    return Trusted("the collection's own", checkpoint.origin, checkpoint.size, checkpoint.root)


def read_checkpoints(text: str, name: str, keys: Sequence[VerifierKey]) -> list[Trusted]:
    """The states in a text with signed checkpoints, one after the other. Raises BadNote.

    With `keys`, each has to be signed by one of them; without, the file is trusted for the place where it was kept.
    """
    found = []
    for number, note in enumerate(split_notes(text), 1):
        try:
            checkpoint = open_checkpoint(note, keys).checkpoint if keys else Checkpoint.parse(Note.parse(note).text)
        except BadNote as error:
            raise BadNote(f"{name}: checkpoint {number}: {error}") from None
        found.append(Trusted(name, checkpoint.origin, checkpoint.size, checkpoint.root))
    if not found:
        raise BadNote(f"{name}: there is no checkpoint in it")
    return found


def split_notes(text: str) -> list[str]:
    """The notes of a text that has several: each ends with its signatures, which begin with a dash."""
    notes: list[str] = []
    lines: list[str] = []
    signed = False
    for line in text.split("\n"):
        if signed and not line.startswith("— "):
            notes.append("\n".join(lines) + "\n")
            lines, signed = [], False
        signed = signed or line.startswith("— ")
        if line or lines:
            lines.append(line)
    if any(lines):
        notes.append("\n".join(lines))
    return notes
