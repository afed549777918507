"""The checks that a tampered database is put to. Each is what anybody can run, and says which command that is."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.config import DatabaseConfig
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption
from blockdb.format import record
from blockdb.format.frame import BadFrame, with_check
from blockdb.format.walk import DamagedChain
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import Frontier
from blockdb.ledger.signature import is_signed, key_id_of
from blockdb.tampering.forger import Forger
from blockdb.types import Problem

PORTION_RECORDS = 10_000
CHAIN = "chain"
"""Names the history where no single file can be named."""


@dataclass(frozen=True)
class Kept:
    """What somebody outside keeps, out of reach of whoever tampers: the public key and some checkpoints."""

    public_key: bytes
    verifier_key: str
    """The same, as one gives it to others (C2SP)."""
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


def _block(_: Case, answer: Answer) -> tuple[str, ...]:
    """Shows the key that signed the first block that is not as it should be, or the first one."""
    return ("block", str(next((place.block for place in answer.places if place.block is not None), 0)))


def _verifying(case: Case) -> Answer:
    report = audit(case.path)
    if report.valid:
        return Answer(False, f"{report.blocks} blocks and {report.records} records: every hash and signature holds")
    return Answer(True, report.problems[0].what, report.problems)


def _known_key(case: Case) -> Answer:
    """Whether each block is signed with the key that is known from elsewhere, whatever the database lists."""
    forger, blocks, public_key = Forger(case.path), 0, case.kept.public_key
    for span, seal in forger.seals():
        number, hash_ = seal.header.number, seal.header.hash()
        if not is_signed(public_key, hash_, seal.signature):
            known = seal.key_id == key_id_of(public_key)
            what = "the signature is not over its hash" if known else f"it is signed with key {seal.key_id.hex()}"
            name = forger.files.segment(span.number).relative_to(case.path).as_posix()
            place = Problem(name, span.at, number, None, None, what)
            return Answer(True, f"block {number} is not signed with the key that is known", (place,))
        blocks += 1
    return Answer(False, f"all {blocks} blocks are signed with it")


def _kept_checkpoint(case: Case) -> Answer:
    """Whether the history still leads to the checkpoints, and from which one on it does not."""
    frontier, first = Frontier(), 0
    leaves = map(_leaf, Forger(case.path).bodies())
    for checkpoint in case.kept.checkpoints:
        try:
            missing = _extend(frontier, leaves, checkpoint.size)
        except (BadFrame, DamagedChain) as error:
            what = f"the chain cannot be read so far: {error}"
        else:
            what = f"{missing} of them are missing" if missing else "they have another root"
            if not missing and frontier.root() == checkpoint.root:
                first = checkpoint.size
                continue
        said = f"not what the checkpoint over {checkpoint.size} records says: {what}"
        within = f"the first difference is among records {first} to {checkpoint.size - 1}"
        return Answer(True, said, (Problem(CHAIN, None, None, first, None, within),))
    return Answer(False, f"the history leads to all {len(case.kept.checkpoints)} of them")


def _leaf(body: bytes) -> bytes:
    """The leaf hash of a record; that of a redactable one covers a digest, and so its value has to have that."""
    if body[1] != record.PLAIN:
        record.decode(with_check(body), 0)
    return sha256(record.leaf_of(body)).digest()


def _extend(frontier: Frontier, leaves: Iterator[bytes], size: int) -> int:
    """Add leaves up to a size. Returns how many were missing."""
    while frontier.size < size:
        portion = list(islice(leaves, min(PORTION_RECORDS, size - frontier.size)))
        if not portion:
            return size - frontier.size
        frontier.extend(portion)
    return 0


CHECKS: tuple[Check, ...] = (
    Check("open", "Opening it", _opening, lambda *_: ("stats",)),
    Check("read", "Reading the record", _reading, _get),
    Check("verify", "Verification", _verifying, lambda *_: ("verify",)),
    Check("key", "The key that is known outside", _known_key, _block),
    Check("checkpoint", "A checkpoint kept outside", _kept_checkpoint, lambda *_: ("verify",)),
)
"""All checks, from the one that everybody runs without knowing to the one that nothing deceives."""
