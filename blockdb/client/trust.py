"""What a client knows of a database by itself: whose signatures it takes, and the last checkpoints that it saw."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import Final

import msgspec

from blockdb.client.addresses import Node
from blockdb.errors import HistoryConflict, InvalidData, StorageError
from blockdb.ledger.checkpoint import Checkpoint, open_checkpoint
from blockdb.ledger.note import BadNote, Note, VerifierKey, keys_of

__all__ = ["Trust", "state_files"]

HANDOVER: Final = "blockdb/key-rotation@v1"


class State(msgspec.Struct, forbid_unknown_fields=True):
    """What is kept in a file."""

    keys: list[str]
    checkpoints: dict[str, str] = {}
    """Signed notes, by their origins."""


def state_files(nodes: Collection[Node]) -> list[Path]:
    """Where what is known of each server is kept: in the user's state directory (XDG_STATE_HOME)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    state = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state"
    names = [hashlib.sha256(str(node).encode()).hexdigest()[:32] for node in nodes]
    return [state / "blockdb" / "servers" / f"{name}.json" for name in names]


class Trust:
    """The keys that are trusted and the newest checkpoints that were found to be theirs. Safe for threads.

    What the files keep, which may be one for each of several addresses of the same database, is read when it is made
    and written whenever a newer checkpoint was seen.
    """

    def __init__(self, files: Sequence[Path], keys: Iterable[str] = ()) -> None:
        """`keys` are verifier keys that were got in another way. Raises InvalidData, HistoryConflict, StorageError."""
        self._files = files
        self._lock = RLock()
        self._keys = _parsed(keys)
        self._notes: dict[str, str] = {}
        self._seen: dict[str, Checkpoint] = {}
        for path in files:
            self._take_over(path, bool(self._keys))

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Whose signatures are taken; none while nothing is known."""
        return tuple(self._keys)

    @property
    def database(self) -> str:
        """The name of the database: that of its key."""
        return self._keys[0].name

    def pin(self, key: str) -> None:
        """Trust the key of a database of which nothing is known yet. Raises InvalidData, StorageError."""
        with self._lock:
            if not self._keys:
                self._keys = _parsed([key])
                self._save()

    def follow(self, notes: Iterable[str]) -> None:
        """Trust keys to which a trusted one has handed over; `notes` are the newest first. Raises StorageError."""
        with self._lock:
            known = len(self._keys)
            for note in reversed(list(notes)):
                new = _handed_over(note, self._keys)
                if new is not None and new not in self._keys:
                    self._keys.append(new)
            if len(self._keys) > known:
                self._save()

    def opened(self, note: str) -> Checkpoint:
        """What a checkpoint says that a trusted key signed. Raises BadNote."""
        return open_checkpoint(note, self._keys).checkpoint

    def seen(self, origin: str) -> Checkpoint | None:
        """The newest checkpoint of an origin that was kept."""
        with self._lock:
            return self._seen.get(origin)

    def keep(self, note: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint that was found to extend what was seen, unless a newer one was kept meanwhile.

        Raises StorageError.
        """
        with self._lock:
            last = self._seen.get(checkpoint.origin)
            if last is not None and last.size >= checkpoint.size:
                return
            self._notes[checkpoint.origin], self._seen[checkpoint.origin] = note, checkpoint
            self._save()

    def _take_over(self, path: Path, are_given: bool) -> None:
        state = _load(path)
        if state is None:
            return
        kept = _parsed(state.keys)
        if self._keys and not {key.public_key for key in kept} & {key.public_key for key in self._keys}:
            what = "the key that was given is not" if are_given else "the addresses do not belong to one database:"
            raise HistoryConflict(f"{path}: {what} the one under which its server was known until now ({kept[0]}).")
        self._keys += [key for key in kept if key not in self._keys]
        for origin, note in state.checkpoints.items():
            try:
                checkpoint = self.opened(note)
            except BadNote as error:
                raise InvalidData(f"{path}: the checkpoint of {origin} is damaged: {error}. {_ADVICE}") from None
            last = self._seen.get(origin)
            if last is None or checkpoint.size > last.size:
                self._notes[origin], self._seen[origin] = note, checkpoint

    def _save(self) -> None:
        data = msgspec.json.format(msgspec.json.encode(State([*map(str, self._keys)], self._notes))) + b"\n"
        for path in self._files:
            _replace(path, data)


_ADVICE: Final = "Without the file, everything that was seen until now is forgotten: think, before you remove it."


def _parsed(keys: Iterable[str]) -> list[VerifierKey]:
    try:
        return list(dict.fromkeys(keys_of(list(keys))))
    except BadNote as error:
        raise InvalidData(f"This is no verifier key: {error}.") from None


def _load(path: Path) -> State | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path} is damaged: {error}. {_ADVICE}") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from None


def _replace(path: Path, data: bytes) -> None:
    """Put a file in the place of another one, as a whole or not at all; others may not read it."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}. What was seen has to be kept.") from None


def _handed_over(note: str, keys: Sequence[VerifierKey]) -> VerifierKey | None:
    """The key that one of these keys handed over to, if this is such a note."""
    try:
        parsed = Note.parse(note)
        title, old, new = parsed.text.split("\n")[:3]
        parsed.verified_by([key for key in keys if str(key) == old])
        made = VerifierKey.parse(new)
    except (BadNote, ValueError):
        return None
    return made if title == HANDOVER and made.name == keys[0].name else None
