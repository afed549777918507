"""The checks that a tampered database is put to. Each is what anybody can run, and says which command that is."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blockdb.audit.door import audit_location
from blockdb.config import DatabaseConfig
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.types import Problem, Report


@dataclass(frozen=True)
class Kept:
    """What somebody outside keeps, out of reach of whoever tampers: the public key and some checkpoints."""

    verifier_key: str
    """The public key as one gives it to others (C2SP)."""
    checkpoints: tuple[Checkpoint, ...]
    """The oldest first. Signed, they stand in the file beside the copy that `kept_beside` names."""


def kept_beside(path: Path) -> Path:
    """Where the signed checkpoints are that belong to the copy at a path."""
    return path.with_name(f"{path.name}.checkpoints")


@dataclass(frozen=True)
class Case:
    """A tampered copy, and what is known of it. What was changed is told to no check but for a key to read."""

    path: Path
    kept: Kept
    changes: tuple[Problem, ...]
    """What is no longer as it was written."""

    @property
    def key(self) -> bytes | None:
        """The key of a record that was changed, if it was one."""
        return next((change.key for change in self.changes if change.key is not None), None)


@dataclass(frozen=True)
class Answer:
    """What a check said."""

    caught: bool
    said: str
    places: tuple[Problem, ...] = ()
    """Where exactly, as far as it tells."""


@dataclass(frozen=True)
class Check:
    """One check: `ask` makes it; `words` are the command that shows the same, after `blockdb -d DIR`."""

    name: str
    title: str
    ask: Callable[[Case], Answer]
    words: Callable[[Case, Answer], tuple[str, ...]]

    def command(self, case: Case, answer: Answer) -> str:
        """The command as it is typed into a shell."""
        return shlex.join(("blockdb", "-d", str(case.path), *self.words(case, answer)))


def _open(path: Path) -> Database:
    return Database(DatabaseConfig(data_dir=str(path)), read_only=True, create=False)


def _opening(case: Case) -> Answer:
    try:
        with _open(case.path) as database:
            return Answer(False, f"it opens, with {database.stats().records} records")
    except BlockDBError as error:
        return _refused(error, case.path)


def _refused(error: BlockDBError, path: Path) -> Answer:
    if not isinstance(error, Corruption):
        return Answer(True, str(error))
    name = error.path.removeprefix(f"{path}/")
    return Answer(True, error.what, (Problem(name, error.offset, None, None, None, error.what),))


def _reading(case: Case) -> Answer:
    try:
        with _open(case.path) as database:
            if case.key is None:
                return Answer(False, f"it lists {database.count()} keys, and misses none")
            value = database.get(case.key)
    except BlockDBError as error:
        return _refused(error, case.path)
    return Answer(False, "it finds no such key" if value is None else f"it serves a value of {len(value)} bytes")


def _get(case: Case, _: Answer) -> tuple[str, ...]:
    if case.key is None:
        return ("scan", "--keys-only")
    text = case.key.decode("utf-8", "replace")
    if text.encode() == case.key and text.isprintable() and not text.startswith("-"):
        return ("get", text)
    return ("get", "--key-base64", base64.b64encode(case.key).decode())


def _verifying(case: Case) -> Answer:
    return _told(audit_location(str(case.path)), "every hash, link and signature holds")


def _knowing_the_key(case: Case) -> Answer:
    """Whatever key the database lists, nobody but the one that is known may have signed."""
    report = audit_location(str(case.path), first=True, keys=[case.kept.verifier_key])
    return _told(report, "the key that is known signed every block")


def _with_the_key(case: Case, _: Answer) -> tuple[str, ...]:
    return ("audit", "--first", "--key", case.kept.verifier_key)


def _knowing_checkpoints(case: Case) -> Answer:
    """The history has to have every state that was noted outside."""
    report = audit_location(str(case.path), first=True, checkpoints=[kept_beside(case.path)])
    return _told(report, "the history has all states that were kept")


def _with_checkpoints(case: Case, _: Answer) -> tuple[str, ...]:
    return ("audit", "--first", "--checkpoint", str(kept_beside(case.path)))


def _told(report: Report, good: str) -> Answer:
    if report.valid:
        return Answer(False, f"{report.blocks} blocks and {report.records} records: {good}")
    return Answer(True, report.problems[0].what, report.problems)


CHECKS: tuple[Check, ...] = (
    Check("open", "Opening it", _opening, lambda *_: ("stats",)),
    Check("read", "Reading the record", _reading, _get),
    Check("verify", "Verification", _verifying, lambda *_: ("verify",)),
    Check("key", "An audit that knows the key", _knowing_the_key, _with_the_key),
    Check("checkpoint", "An audit that knows checkpoints", _knowing_checkpoints, _with_checkpoints),
)
"""All checks, from the one that everybody runs without knowing to the one that nothing deceives."""
