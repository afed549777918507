"""The database handle's anchors: adding them, giving them each checkpoint, and holding the database against them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

from blockdb.database.proofs import keys
from blockdb.database.proofs.anchors import (
    Fault,
    FileAnchor,
    checked,
    client_of,
    file_path,
    is_witness,
    load_anchors,
    save_anchors,
    signed_checkpoint,
)
from blockdb.database.proofs.prover import Prover
from blockdb.database.proofs.trail import Trail, first_fault
from blockdb.database.signing import SigningDatabase
from blockdb.errors import (
    AnchorFailed,
    BlockDBError,
    Corruption,
    HistoryConflict,
    InvalidData,
    ReadOnly,
    StorageError,
    UnsupportedFormat,
)
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.cosignature import seen_by
from blockdb.ledger.note import Note, Signature, VerifierKey
from blockdb.storage.door import guarded
from blockdb.storage.metadata import uuid_of
from blockdb.types import Anchor, Problem, Publication, Report
from blockdb.witness.protocol import read_checkpoint

NO_JOURNAL: Final = "the database has no journal, so none of its checkpoints can be held against it"

_one_at_a_time = Lock()
"""Whoever changes or uses anchors: a file anchor's lock tells processes apart, not threads."""


class AnchoringDatabase(SigningDatabase):
    """What of a database handle has to do with anchors. `Database` has the rest."""

    path: Path

    def anchors(self) -> tuple[Anchor, ...]:
        """The files and witnesses that are given each checkpoint which is published. Raises Corruption."""
        self._refreshed()
        with guarded(f"reading {self._core.files.anchors}"):
            return load_anchors(self._core.door, self._core.files)

    def add_anchor(self, where: str | Path, key: str | None = None) -> Anchor:
        """Give each checkpoint to a file outside the directory, or to a witness (its URL and verifier key), too.

        It is given the present one at once. Raises InvalidData, ReadOnly, StorageError; AnchorFailed or
        HistoryConflict where it does not take that, and is not added.
        """
        self._check_writable()
        anchor = checked(Anchor(str(where), key), self.path)
        with _one_at_a_time:
            anchors = self.anchors()
            if any(anchor.where == other.where for other in anchors):
                raise InvalidData(f"{anchor.where} is an anchor already.")
            try:
                publisher = _Publisher(self)
                publisher.give(anchor, may_make=True)
            except (AnchorFailed, HistoryConflict) as error:
                kind = HistoryConflict if isinstance(error, HistoryConflict) else AnchorFailed
                raise kind(f"{anchor.where}: {error}. It was not added.") from error
            publisher.keep()
            self._save((*anchors, anchor))
        return anchor

    def remove_anchor(self, where: str | Path) -> Anchor:
        """Take an anchor off the list. What it keeps stays. Raises InvalidData where there is none, ReadOnly."""
        self._check_writable()
        names = {str(where), str(where).rstrip("/")}
        with suppress(InvalidData):
            names.add(str(file_path(str(where))))
        with _one_at_a_time:
            anchors = self.anchors()
            found = next((anchor for anchor in anchors if anchor.where in names), None)
            if found is None:
                raise InvalidData(f"{where} is no anchor of this database; `blockdb anchor list` shows them.")
            self._save([anchor for anchor in anchors if anchor != found])
        return found

    def _save(self, anchors: Sequence[Anchor]) -> None:
        with guarded(f"writing {self._core.files.anchors}"):
            save_anchors(self._core.door, self._core.files, anchors)

    def publish(self) -> Publication:
        """Sign the checkpoint of the whole database and give it to every anchor, witnesses first.

        What fails at one is told, and the others have it all the same. Raises as `checkpoint`.
        """
        anchors = self.anchors()
        if not anchors:
            return Publication(self.checkpoint(), {})
        with _one_at_a_time:
            publisher, failures = _Publisher(self), dict[str, str]()
            for anchor in sorted(anchors, key=is_witness, reverse=True):
                try:
                    publisher.give(anchor)
                except BlockDBError as error:
                    failures[anchor.where] = str(error)
            publisher.keep()
        return Publication(publisher.note, failures)

    def anchored(self, sequence: int, collection: str | None = None) -> tuple[str, ...]:
        """The anchors that have a checkpoint which covers a record, as far as files and the last note tell.

        No witness is asked. O(states of the journal). Raises AnchorFailed, Corruption, CollectionNotFound.
        """
        if not (anchors := self.anchors()):
            return ()
        prover, trail = self._trail()
        note = prover.last_note()
        uuid = uuid_of(self._core.catalog.resolve(self.name if collection is None else collection))
        covering = []
        for anchor in anchors:
            if is_witness(anchor):
                size = 0 if note is None else _cosigned_size(note, client_of(anchor).key)
            else:
                size = max((kept.size for kept in self._file(anchor, prover.origin).kept()), default=0)
            if trail.records_at(size, uuid) > sequence:
                covering.append(anchor.where)
        return tuple(covering)

    def check_anchors(self, further: Iterable[Anchor] = ()) -> tuple[Problem, ...]:
        """Hold the database against what its anchors, and `further` ones, keep. Raises InvalidData, DatabaseClosed.

        A witness that does not show what it keeps is sent the last checkpoint that was signed. O(what they keep).
        """
        self._refreshed()
        listed, problems = self._listed()
        anchors = {anchor.where: anchor for anchor in (*listed, *(self._known(anchor, listed) for anchor in further))}
        if not anchors:
            return problems
        try:
            return (*problems, *_Inquiry(self).problems(list(anchors.values())))
        except BlockDBError as error:
            return (*problems, *(_problem(where, str(error)) for where in anchors))

    def _listed(self) -> tuple[tuple[Anchor, ...], tuple[Problem, ...]]:
        """The anchors, and what is wrong with the list of them."""
        try:
            return self.anchors(), ()
        except (Corruption, UnsupportedFormat, StorageError) as error:
            return (), (_problem(str(self._core.files.anchors.relative_to(self.path)), str(error)),)

    def with_anchors(self, report: Report, further: Iterable[Anchor]) -> Report:
        """A report, with what the anchors contradict."""
        if report.cancelled:
            return report
        found = self.check_anchors(further)
        return replace(report, valid=report.valid and not found, problems=(*report.problems, *found))

    def _known(self, anchor: Anchor, listed: Sequence[Anchor]) -> Anchor:
        """An anchor that was named, with the key that the list has for it. Raises InvalidData."""
        if is_witness(anchor) and anchor.key is None:
            anchor = next((other for other in listed if other.where == anchor.where.rstrip("/")), anchor)
        return checked(anchor, self.path)

    def _check_writable(self) -> None:
        self._refreshed()
        if self.read_only:
            raise ReadOnly(f"{self.path} is open for reading only; open it without read_only=True to change anchors.")

    def _trail(self) -> tuple[Prover, Trail]:
        journal, prover = self._core.notary.journal(make=False), self._core.notary.journal_prover()
        if journal is None or prover is None:
            raise HistoryConflict(NO_JOURNAL)
        return prover, Trail(journal, prover, self._core.notary.prover_named)

    def _file(self, anchor: Anchor, origin: str) -> FileAnchor:
        return FileAnchor(self._core.door, Path(anchor.where), origin, self._note_keys(origin))

    def _note_keys(self, origin: str) -> list[VerifierKey]:
        return keys.note_keys(self._core.door, self._core.files, origin)


class _Publisher:
    """Gives one checkpoint to anchors, and gathers the cosignatures."""

    def __init__(self, database: AnchoringDatabase) -> None:
        """Make the checkpoint."""
        self._database = database
        before = database._core.notary.journal_prover()
        self._before = None if before is None else before.last_note()
        self.note = self._signed = database.checkpoint()
        self._prover, trail = database._trail()
        self._fault: Fault = trail.fault

    def give(self, anchor: Anchor, *, may_make: bool = False) -> None:
        if is_witness(anchor):
            size = Checkpoint.parse(Note.parse(self.note).text).size
            client = client_of(anchor)
            before = _cosigned_size(self._before or self._signed, client.key)
            cosignature = client.submit(self.note, lambda old: self._prover.consistency_proof(old, size), before)
            self.note = _with_signature(self.note, cosignature)
        else:
            self._database._file(anchor, self._prover.origin).append(self.note, self._fault, may_make=may_make)

    def keep(self) -> None:
        """Keep the note with its cosignatures, where it may be kept."""
        if self.note != self._signed and not self._database.read_only:
            self._prover.keep(self.note)


class _Inquiry:
    """Asks anchors what they keep, and holds the database against it."""

    def __init__(self, database: AnchoringDatabase) -> None:
        self._database = database
        self._prover, self._trail = database._trail()

    def problems(self, anchors: Sequence[Anchor]) -> tuple[Problem, ...]:
        kept: dict[str, list[Checkpoint]] = {}
        seen: dict[str, tuple[int, str]] = {}
        problems: list[Problem] = []
        for anchor in anchors:
            try:
                kept[anchor.where] = self._kept(anchor)
            except BlockDBError as error:
                what = str(error)
                if isinstance(error, HistoryConflict) and error.size is not None:
                    seen[anchor.where] = error.size, what
                else:
                    problems.append(_problem(anchor.where, what))
        everything = [checkpoint for found in kept.values() for checkpoint in found]
        for where, found in kept.items():
            bad = first_fault(self._trail, found)
            if bad is not None:
                what = f"{self._trail.fault(bad)}; {self._trail.between(everything, bad.size)}"
                problems.append(_problem(where, what))
        for where, (size, what) in seen.items():
            problems.append(_problem(where, f"{what}; {self._trail.between(everything, size)}"))
        return tuple(problems)

    def _kept(self, anchor: Anchor) -> list[Checkpoint]:
        """The checkpoints of this database that an anchor keeps: one at least. Raises AnchorFailed, HistoryConflict."""
        if is_witness(anchor):
            return [self._witnessed(anchor)]
        kept = self._database._file(anchor, self._prover.origin).kept()
        if not kept:
            raise HistoryConflict(f"it keeps no checkpoint of this database ({self._prover.origin})")
        return kept

    def _witnessed(self, anchor: Anchor) -> Checkpoint:
        client, origin, note = client_of(anchor), self._prover.origin, self._prover.last_note()
        before = 0 if note is None else _cosigned_size(note, client.key)
        shown = client.last(origin, before)
        if shown is not None:
            return signed_checkpoint(shown.encode(), self._database._note_keys(origin))
        if note is None:
            raise AnchorFailed("it does not show what it has seen, and no checkpoint was signed yet to ask it about")
        checkpoint = Checkpoint.parse(Note.parse(note).text)
        if checkpoint.size <= self._trail.size:  # else there is nothing that could be proven
            client.submit(note, self._proof_to(checkpoint.size), before)
        return checkpoint

    def standing_to_file(self, anchor: Anchor) -> Standing:
        size = self._trail.size
        kept, newest = self._database._file(anchor, self._prover.origin).kept_up_to(size)
        if newest < 0:
            raise HistoryConflict(f"it keeps no checkpoint of this database ({self._prover.origin})")
        return Standing(size, newest, self._fault(kept))

    def standing_to_witness(self, anchor: Anchor) -> Standing:
        size = self._trail.size
        try:
            client, note = client_of(anchor), self._prover.last_note()
            shown = client.last(self._prover.origin, 0 if note is None else _cosigned_size(note, client.key))
            newest = 0 if shown is None else read_checkpoint(shown.text).size
            if newest > size:
                return Standing(size, newest)
            kept = self._witnessed(anchor)
        except HistoryConflict as error:
            if error.size is None or error.size <= size:
                return Standing(size, error.size or 0, str(error))
            return Standing(size, error.size)
        return Standing(size, kept.size, self._fault([kept]))

    def _fault(self, kept: Sequence[Checkpoint]) -> str | None:
        bad = first_fault(self._trail, kept)
        return None if bad is None else self._trail.fault(bad)

    def _proof_to(self, size: int) -> Callable[[int], Sequence[bytes]]:
        return lambda old: self._prover.consistency_proof(old, size)


@dataclass(frozen=True)
class Standing:
    """How a database stands to an anchor."""

    size: int
    """How many entries its journal has,"""
    newest: int
    """and of how many the newest checkpoint is that the anchor keeps."""
    fault: str | None = None
    """What contradicts one of those that are not newer; None: nothing."""


def standing(database: AnchoringDatabase, anchor: Anchor) -> Standing:
    """How a database stands to an anchor, which may be newer. Raises AnchorFailed, HistoryConflict, InvalidData."""
    known, inquiry = database._known(anchor, database.anchors()), _Inquiry(database)
    return inquiry.standing_to_witness(known) if is_witness(known) else inquiry.standing_to_file(known)


def _cosigned_size(note: str, witness: VerifierKey) -> int:
    """How large the tree of a checkpoint is that a witness cosigned; 0 where it did not."""
    parsed = Note.parse(note)
    return Checkpoint.parse(parsed.text).size if seen_by(parsed.text, parsed.signatures, [witness]) else 0


def _with_signature(note: str, added: Signature) -> str:
    """A note with one signature more, in the place of an older one by the same key."""
    parsed = Note.parse(note)
    others = [one for one in parsed.signatures if (one.name, one.key_id) != (added.name, added.key_id)]
    return Note(parsed.text, (*others, added)).encode()


def _problem(where: str, what: str) -> Problem:
    return Problem(where, None, None, None, None, what)
