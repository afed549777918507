"""The checks that a tampered database is put to. Each is what anybody can run, and says which command that is."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.config import DatabaseConfig
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption
from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain
from blockdb.ledger.merkle import Frontier
from blockdb.ledger.signature import is_signed, key_id_of
from blockdb.tampering.forger import Forger
from blockdb.types import Problem

PORTION_RECORDS = 10_000
CHAIN = "chain"
"""Names the history where no single file can be named."""


@dataclass(frozen=True)
class Checkpoint:
    """How many records a history had, and the root of the tree over them."""

    size: int
    root: bytes


@dataclass(frozen=True)
class Kept:
    """What somebody outside keeps, out of reach of whoever tampers: the public key and some checkpoints."""

    public_key: bytes
    checkpoints: tuple[Checkpoint, ...]
    """The oldest first."""


@dataclass(frozen=True)
class Answer:
    """What a check said."""

    caught: bool
    said: str
    places: tuple[Problem, ...] = ()
    """Where exactly, as far as it tells."""


@dataclass(frozen=True)
class Check:
    """One check: `ask` runs it on the copy at a path; `words` are its command, after `blockdb -d DIR`."""

    name: str
    title: str
    ask: Callable[[Path, Kept, Sequence[Problem]], Answer]
    words: Callable[[Sequence[Problem], Answer], tuple[str, ...]]


def command_line(path: Path, words: Sequence[str]) -> str:
    """A command as it is typed into a shell."""
    return shlex.join(("blockdb", "-d", str(path), *words))


def _open(path: Path) -> Database:
    return Database(DatabaseConfig(data_dir=str(path)), read_only=True, create=False)


def _opening(path: Path, _: Kept, __: Sequence[Problem]) -> Answer:
    try:
        with _open(path) as database:
            return Answer(False, f"it opens, with {database.stats().records} records")
    except BlockDBError as error:
        return _refused(error, path)


def _refused(error: BlockDBError, path: Path) -> Answer:
    if not isinstance(error, Corruption):
        return Answer(True, str(error))
    name = error.path.removeprefix(f"{path}/")
    return Answer(True, error.what, (Problem(name, error.offset, None, None, None, error.what),))


def _reading(path: Path, _: Kept, changes: Sequence[Problem]) -> Answer:
    key = _key_of(changes)
    try:
        with _open(path) as database:
            if key is None:
                return Answer(False, f"it lists {database.count()} keys, and misses none")
            value = database.get(key)
    except BlockDBError as error:
        return _refused(error, path)
    return Answer(False, "it finds no such key" if value is None else f"it serves a value of {len(value)} bytes")


def _key_of(changes: Sequence[Problem]) -> bytes | None:
    return next((change.key for change in changes if change.key is not None), None)


def _get(changes: Sequence[Problem], _: Answer) -> tuple[str, ...]:
    key = _key_of(changes)
    if key is None:
        return ("scan", "--keys-only")
    text = key.decode("utf-8", "replace")
    if text.encode() == key and text.isprintable() and not text.startswith("-"):
        return ("get", text)
    return ("get", "--key-base64", base64.b64encode(key).decode())


def _block(_: Sequence[Problem], answer: Answer) -> tuple[str, ...]:
    """Shows the key that signed the first block that is not as it should be, or the first one."""
    return ("block", str(next((place.block for place in answer.places if place.block is not None), 0)))


def _verifying(path: Path, _: Kept, __: Sequence[Problem]) -> Answer:
    report = audit(path)
    if report.valid:
        return Answer(False, f"{report.blocks} blocks and {report.records} records: every hash and signature holds")
    return Answer(True, report.problems[0].what, report.problems)


def _known_key(path: Path, kept: Kept, _: Sequence[Problem]) -> Answer:
    """Whether each block is signed with the key that is known from elsewhere, whatever the database lists."""
    forger, blocks = Forger(path), 0
    try:
        for frame, seal in forger.seals():
            hash_ = seal.header.hash()
            if not is_signed(kept.public_key, hash_, seal.signature):
                known = seal.key_id == key_id_of(kept.public_key)
                what = "the signature is not over its hash" if known else f"it is signed with key {seal.key_id.hex()}"
                name = forger.files.segment(frame.number).relative_to(path).as_posix()
                place = Problem(name, frame.at, seal.header.number, None, None, what)
                return Answer(True, f"block {seal.header.number} is not signed with the key that is known", (place,))
            blocks += 1
    except DamagedChain as error:
        return Answer(True, f"{blocks} blocks are signed with it; then the chain cannot be read: {error}")
    return Answer(False, f"all {blocks} blocks are signed with it")


def _kept_checkpoint(path: Path, kept: Kept, _: Sequence[Problem]) -> Answer:
    """Whether the history still leads to the checkpoints, and from which one on it does not."""
    frontier, first = Frontier(), 0
    frames = (frame.content for frame in Forger(path).walk())
    leaves = (sha256(frame.leaf).digest() for frame in frames if isinstance(frame, RecordFrame))
    for checkpoint in kept.checkpoints:
        try:
            missing = _extend(frontier, leaves, checkpoint.size)
        except DamagedChain as error:
            what = f"the chain cannot be read so far: {error}"
        else:
            what = f"{missing} of them are missing" if missing else "they have another root"
            if not missing and frontier.root() == checkpoint.root:
                first = checkpoint.size
                continue
        said = f"not what the checkpoint over {checkpoint.size} records says: {what}"
        within = f"the first difference is among records {first} to {checkpoint.size - 1}"
        return Answer(True, said, (Problem(CHAIN, None, None, first, None, within),))
    return Answer(False, f"the history leads to all {len(kept.checkpoints)} of them")


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
