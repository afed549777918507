"""The witness itself: a key, the logs that it trusts, and the last checkpoint of each that it cosigned.

What it promises with a cosignature is that it never cosigned, and never will cosign, a checkpoint of that log which is
not consistent with this one. So the new state is on the disk before the signature leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import urandom
from pathlib import Path
from threading import Lock
from time import time
from typing import Final

from blockdb.errors import Corruption, DatabaseLocked, InvalidData, StorageError
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.cosignature import Cosigner, seen_by
from blockdb.ledger.merkle import EMPTY_ROOT
from blockdb.ledger.note import ED25519, BadNote, Note, Signature, VerifierKey, keys_of
from blockdb.ledger.proof import BadProof, check_consistency
from blockdb.storage.door import Door, guarded, storage_error
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.witness.layout import WitnessFiles
from blockdb.witness.protocol import SIZE_TYPE, Submission, log_id, read_checkpoint

WITNESS: Final = "witness"
LOG: Final = "trusted log"
DEEPEST: Final = 4
"""How many names an origin may have below the one that is trusted, itself included."""
TEXT_TYPE: Final = "text/plain; charset=utf-8"
SEED_BYTES: Final = 32


@dataclass(frozen=True)
class Answer:
    """What a witness answers: an HTTP status, a text and its type."""

    status: int
    body: str
    content_type: str = TEXT_TYPE


def create(root: Path, name: str, door: Door | None = None) -> VerifierKey:
    """Make a witness in a directory, with a new key, and give the key that others verify with.

    Raises InvalidData where there is one or the name cannot be one, StorageError.
    """
    door, files, seed = door or Door(), WitnessFiles(root), urandom(SEED_BYTES)
    try:
        key = Cosigner(name, seed).key
    except BadNote as error:
        raise InvalidData(f"{error}; a name looks like witness.example.org/w1") from None
    with guarded(f"making the witness {root}"):
        if files.witness.exists():
            raise InvalidData(f"There is a witness in {root} already, and its key is not replaced.")
        if root.is_dir() and any(root.iterdir()) and not files.logs.is_dir():
            raise InvalidData(f"{root} is not empty and no witness's. Choose an empty or a new directory.")
        root.parent.mkdir(parents=True, exist_ok=True)
        for directory in (root, files.logs, files.checkpoints):
            door.make_directory(directory)
        save_checked(door, files.witness, WITNESS, {"name": name, "seed": seed.hex()})
    return key


class Witness:
    """A witness that was made by `create`. Safe for threads; one process at a time may let it cosign (`lock`)."""

    def __init__(self, root: Path, door: Door | None = None, clock: Callable[[], float] = time) -> None:
        """Read it. Raises InvalidData where there is none, StorageError where its file is damaged."""
        self._door = door or Door()
        self._clock = clock
        self._files = WitnessFiles(root)
        self._locks: dict[str, Lock] = {}
        self._stopped: StorageError | None = None
        if not self._files.witness.exists():
            raise InvalidData(f"There is no witness in {root}; `blockdb witness init {root} --name NAME` makes one.")
        with guarded(f"reading the witness {root}"):
            try:
                values = load_checked(self._door, self._files.witness, WITNESS)
                self._cosigner = Cosigner(values["name"], bytes.fromhex(values["seed"]))
            except (Corruption, KeyError, TypeError, ValueError) as error:
                raise _damaged(self._files.witness, error) from None

    @property
    def key(self) -> VerifierKey:
        """The key that others verify its cosignatures with."""
        return self._cosigner.key

    def lock(self) -> int:
        """Keep other processes from cosigning for it; gives what `unlock` takes. Raises DatabaseLocked."""
        with guarded(f"locking {self._files.lock}"):
            try:
                return self._door.lock(self._files.lock)
            except DatabaseLocked as error:
                holder = str(error).partition(" is held by ")[2].partition(",")[0]
                raise DatabaseLocked(f"{self._files.root} is served by {holder}; stop that first.") from None

    def unlock(self, lock: int) -> None:
        """Let other processes in again."""
        self._door.unlock(lock)

    def trust(self, verifier_key: str, origin: str | None = None) -> str:
        """Accept checkpoints of an origin (by itself, the key's name) that this key signed; gives the origin.

        Origins below it (`name/...`) are accepted with it: a database's key speaks for all that it signs. Further keys
        of an origin are added to those that it has. Raises InvalidData, StorageError.
        """
        try:
            key = VerifierKey.parse(verifier_key)
        except BadNote as error:
            raise InvalidData(f"{error}.") from None
        if key.type != ED25519:
            raise InvalidData(f"{key.name} is the key of a witness, not of a log.")
        origin = key.name if origin is None else origin
        if not origin or not origin.isprintable():
            raise InvalidData("An origin is a line of text, the first of a checkpoint.")
        with guarded(f"writing to {self._files.logs}"):
            keys = dict.fromkeys((*map(str, self._keys_of(origin) or ()), str(key)))
            values = {"origin": origin, "keys": list(keys)}
            save_checked(self._door, self._files.log(log_id(origin)), LOG, values)
        return origin

    def _keys(self, origin: str) -> list[VerifierKey] | None:
        """The keys that are trusted for an origin, or for what it lies below; None where there are none."""
        for _ in range(DEEPEST):
            keys = self._keys_of(origin)
            if keys is not None:
                return keys
            origin, _, _ = origin.rpartition("/")
        return None

    def _keys_of(self, origin: str) -> list[VerifierKey] | None:
        """The keys that are trusted for this very origin; None where there are none."""
        path = self._files.log(log_id(origin))
        if not path.exists():
            return None
        try:
            values = load_checked(self._door, path, LOG)
            if values["origin"] != origin:
                raise ValueError("it is that of another origin")
            return keys_of(values["keys"])
        except (Corruption, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from None

    def add(self, body: bytes) -> Answer:
        """Answer the body of a request to cosign a checkpoint. Raises StorageError."""
        try:
            submission = Submission.parse(body)
        except ValueError as error:
            return Answer(400, f"{error}\n")
        origin = submission.checkpoint.origin
        with guarded(f"reading what is known of {origin}"):
            keys = self._keys(origin)
        if keys is None:
            return Answer(404, "the origin of this checkpoint is not known here\n")
        try:
            note = _signed_by(submission.note, keys, origin)
        except BadNote as error:
            return Answer(403, f"{error}\n")
        if submission.old_size > submission.checkpoint.size:
            return Answer(400, "the old size is larger than the checkpoint's\n")
        with self._locks.setdefault(origin, Lock()):
            return self._compare_and_store(submission, note)

    def _compare_and_store(self, submission: Submission, note: Note) -> Answer:
        new = submission.checkpoint
        last = self._last(new.origin) or Checkpoint(new.origin, 0, EMPTY_ROOT)
        if submission.old_size != last.size or (new.size == last.size and new.root != last.root):
            return Answer(409, f"{last.size}\n", SIZE_TYPE)
        try:
            check_consistency(last.size, new.size, last.root, new.root, submission.proof)
        except BadProof as error:
            return Answer(422, f"{error}\n")
        cosignature = self._cosigner.cosign(note.text, int(self._clock()))
        self._store(new.origin, Note(note.text, (*note.signatures, cosignature)).encode())
        return Answer(200, cosignature.encode())

    def _store(self, origin: str, note: str) -> None:
        if self._stopped is not None:
            raise self._stopped
        try:
            self._door.replace(self._files.checkpoint(log_id(origin)), note.encode())
        except OSError as error:  # nobody knows what the disk has now: no more is signed before somebody looked
            self._stopped = storage_error(f"keeping the checkpoint of {origin}", error)
            raise self._stopped from error

    def _last(self, origin: str) -> Checkpoint | None:
        """The last checkpoint of an origin that was cosigned here. Raises StorageError where it was changed since."""
        note = self.last_note(log_id(origin))
        if note is None:
            return None
        try:
            parsed = Note.parse(note)
            checkpoint = read_checkpoint(parsed.text)
            if checkpoint.origin != origin or not seen_by(parsed.text, parsed.signatures, [self.key]):
                raise BadNote("this witness has not signed it")
        except BadNote as error:
            raise _damaged(self._files.checkpoint(log_id(origin)), error) from None
        return checkpoint

    def last_note(self, name: str) -> str | None:
        """The last checkpoint, cosigned, of the log of this `log_id`; None where there is none."""
        with guarded(f"reading what is known of {name}"):
            try:
                return self._door.read(self._files.checkpoint(name)).decode("utf-8", "replace")
            except FileNotFoundError:
                return None


def _signed_by(note: Note, keys: list[VerifierKey], origin: str) -> Note:
    """The note with the signatures of these keys alone, under their own names or the origin's. Raises BadNote."""
    good = note.verified_by(dict.fromkeys(named for key in keys for named in (key, key.of(origin))))
    ours: dict[tuple[str, bytes], Signature] = {}
    for signature in note.signatures:
        ours.setdefault((signature.name, signature.key_id), signature)
    return Note(note.text, tuple(ours[key.name, key.key_id] for key in dict.fromkeys(good)))


def _damaged(path: Path, error: Exception) -> StorageError:
    what = error.what if isinstance(error, Corruption) else str(error)
    return StorageError(f"{path}: {what}. Nothing is signed because of it; an older copy of it must not be put back.")
