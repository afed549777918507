"""Databases that somebody changed on the disk, an operator with the key among them; each with what finds it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import blockdb
from blockdb.database.proofs import keys
from blockdb.format import checked_toml, record, segment
from blockdb.format import mark as mark_format
from blockdb.format.frame import with_check
from blockdb.format.record import RecordFrame
from blockdb.format.segment import SegmentHeader
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.ledger.chain import signed
from blockdb.storage.door import Door
from tests.audit.forgery import Forger
from tests.ledger.forgeries import Found
from tests.storage.doors import copy_of

BLOCK: Final = 4
RECORDS: Final = 11
"""Two blocks and three records that no seal covers."""

CHUNKED: Final = 600
"""Enough for nodes that are kept: two chunks, and what is over."""


def fill(path: Path, first: int, stop: int, *, edited: int | None = None, sign: bool = True) -> list[str]:
    """Store records, one of them perhaps other than it was, and sign; the checkpoints."""
    with blockdb.open(path) as db:
        for number in range(first, stop):
            db.put(b"key%05d" % number, b"VALUE" if number == edited else b"value")
        if stop > RECORDS:
            db.flush()
        return [db.checkpoint("default"), db.checkpoint()] if sign else []


class Originals:
    """Databases as they were, at several moments; and what somebody kept outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        empty = directory / "empty"
        blockdb.open(empty, blockchain_batch_size=BLOCK).close()
        with blockdb.open(empty) as db:
            self.vkey = db.verifier_key()
        self.empty = empty
        self.wide = directory / "wide"
        blockdb.open(self.wide, blockchain_batch_size=100).close()
        self.old = copy_of(empty, directory / "old")
        self.old_notes = fill(self.old, 0, 7)
        self.now = copy_of(self.old, directory / "now")
        self.notes = fill(self.now, 7, RECORDS)
        self.fork = copy_of(self.old, directory / "fork")
        fill(self.fork, 7, RECORDS, edited=8)
        self.other = directory / "other"
        blockdb.open(self.other, blockchain_batch_size=BLOCK).close()
        fill(self.other, 0, RECORDS)

    def chunked(self, name: str, edited: int | None = None) -> Path:
        """A database with a node file; one of its records perhaps other than in the others. Made once."""
        path = self.directory / name
        if not path.exists():
            copy_of(self.wide, path)
            fill(path, 0, 512, edited=edited)
            fill(path, 512, CHUNKED, sign=False)
        return path


Forge = Callable[[Originals, Path], object]


@dataclass(frozen=True)
class ForgedDatabase:
    """A way to forge a database, given where the forged one goes."""

    name: str
    forge: Forge
    found: Found


FORGED: Final[list[ForgedDatabase]] = []


def found(by: Found, name: str) -> Callable[[Forge], Forge]:
    """Enter a forgery in the table."""

    def enter(forge: Forge) -> Forge:
        FORGED.append(ForgedDatabase(name, forge, by))
        return forge

    return enter


def on_copy(by: Found, name: str, change: Callable[[Forger], object]) -> None:
    """A forgery on a copy of the database as it is now, by somebody who makes every check match again."""

    def forge(originals: Originals, path: Path) -> None:
        copy_of(originals.now, path)
        change(DefaultForger(path))

    found(by, name)(forge)


def default_of(path: Path) -> CollectionFiles:
    return collection_named(path, "default")


def collection_named(path: Path, name: str) -> CollectionFiles:
    files = DatabaseFiles(path)
    return files.collection(checked_toml.decode(files.registry.read_bytes())["collections"][name])


class DefaultForger(Forger):
    """Works on the collection of plain put and get."""

    def splice(self, start: int, stop: int, frames: bytes) -> None:
        """Put frames in the place of bytes of the chain."""
        content = self.chain.read_bytes()
        self.chain.write_bytes(content[:start] + frames + content[stop:])
        self.end_at(self.chain.stat().st_size)

    def end_at(self, end: int) -> None:
        mark_of(self.files, end)

    def record(self, number: int) -> tuple[int, int, RecordFrame]:
        found = [(at, end, one) for at, end, one in self.frames() if isinstance(one, RecordFrame)]
        return found[number]


def mark_of(files: CollectionFiles, end: int) -> None:
    changed = mark_format.decode(files.mark.read_bytes())._replace(written=end, forced=end)
    files.mark.write_bytes(mark_format.encode(changed))


def edited(number: int) -> Callable[[Forger], object]:
    return lambda forger: forger.change_record(
        number, lambda frame: record.encode(frame.time_ms, frame.key, frame.value.upper())
    )


# ── by somebody who can write files ──────────────────────────────────────────────────────────────────────────────

on_copy(Found.VERIFY, "a sealed value edited", edited(2))
on_copy(
    Found.VERIFY,
    "a sealed record's time edited",
    lambda forger: forger.change_record(2, lambda frame: record.encode(frame.time_ms + 1, frame.key, frame.value)),
)
on_copy(
    Found.VERIFY,
    "a sealed record's key edited",
    lambda forger: forger.change_record(2, lambda frame: record.encode(frame.time_ms, b"key99999", frame.value)),
)
on_copy(Found.PROVER, "a value edited that no block covers yet, but a checkpoint", edited(9))


def delete(number: int) -> Callable[[Any], object]:
    return lambda forger: forger.splice(*forger.record(number)[:2], b"")


on_copy(Found.VERIFY, "a sealed record deleted", delete(2))
on_copy(Found.PROVER, "a record deleted that no block covers yet, but a checkpoint", delete(10))


def insert(forger: Any) -> None:
    at, _, frame = forger.record(2)
    forger.splice(at, at, with_check(record.encode(frame.time_ms, b"inserted", b"")))


def swap(first: int, second: int) -> Callable[[Any], object]:
    def change(forger: Any) -> None:
        bodies = [forger.record(number)[2].body for number in (first, second)]
        forger.change_record(first, lambda _: bodies[1])
        forger.change_record(second, lambda _: bodies[0])

    return change


on_copy(Found.VERIFY, "a record inserted into a sealed block", insert)
on_copy(Found.VERIFY, "two records of a block swapped", swap(1, 2))
on_copy(Found.VERIFY, "two records of different blocks swapped", swap(1, 5))
on_copy(Found.PROVER, "two records swapped that no block covers yet, but a checkpoint", swap(8, 9))
on_copy(
    Found.VERIFY,
    "a block signed with a key of the forger's",
    lambda forger: forger.change_seal(1, lambda seal: signed(seal, keys.new_signer())),
)
on_copy(
    Found.VERIFY,
    "a block's number of records edited",
    lambda forger: forger.change_seal(0, lambda seal: seal._replace(header=seal.header._replace(records=3))),
)


def adopt(forger: DefaultForger, chain: CollectionFiles) -> None:
    """Take the records and seals of another collection, in a file that says it is of this one."""
    own = segment.decode(forger.chain.read_bytes()[: segment.HEADER_BYTES])
    content = chain.segment(0).read_bytes()[segment.HEADER_BYTES :]
    forger.chain.write_bytes(segment.encode(SegmentHeader(own.collection, 0, 0)) + content)
    forger.end_at(forger.chain.stat().st_size)


@found(Found.VERIFY, "the chain of another database")
def chain_of_another(originals: Originals, path: Path) -> None:
    copy_of(originals.now, path)
    adopt(DefaultForger(path), default_of(originals.other))


@found(Found.VERIFY, "the chain of another collection of the same database")
def chain_of_the_journal(originals: Originals, path: Path) -> None:
    copy_of(originals.now, path)
    adopt(DefaultForger(path), collection_named(path, "_journal"))


@found(Found.VERIFY, "a table that leads from one key to another's record")
def table_elsewhere(originals: Originals, path: Path) -> None:
    copy_of(originals.now, path)
    with blockdb.open(path) as db:
        db.flush()

    def change(parts: Any) -> None:
        used = [slot for slot, word in enumerate(parts.words) if word]
        parts.words[used[0]], parts.words[used[1]] = parts.words[used[1]], parts.words[used[0]]

    DefaultForger(path).change_table(change)


# ── by somebody who puts back what was there, or has the key ─────────────────────────────────────────────────────


def replay(source: str, kept: str = "", sign: bool = False) -> Forge:
    """One of the originals, with the checkpoint files of now if they are `kept`, of none if they are not there."""

    def forge(originals: Originals, path: Path) -> None:
        copy_of(getattr(originals, source), path)
        for name in ("default", "_journal"):
            theirs = collection_named(path, name).checkpoint
            theirs.unlink(missing_ok=True)
            if kept and name in kept:
                shutil.copy(collection_named(originals.now, name).checkpoint, theirs)

    return forge


found(Found.OUTSIDE, "the whole directory put back to an older copy")(
    lambda originals, path: copy_of(originals.old, path)
)
found(Found.OUTSIDE, "the tail cut off, the last checkpoint removed")(replay("old"))
found(Found.PROVER, "the tail cut off, the last checkpoint forgotten in its place")(replay("old", "default"))
found(Found.OUTSIDE, "a fork: another history after a point, signed with the same key")(
    lambda originals, path: copy_of(originals.fork, path)
)
found(Found.PROVER, "a fork with the checkpoint of the other branch")(replay("fork", "default"))


@found(Found.OUTSIDE, "everything chained anew with the stolen key, one value edited")
def chained_anew(originals: Originals, path: Path) -> None:
    copy_of(originals.empty, path)
    fill(path, 0, RECORDS, edited=3)


@found(Found.PROVER, "everything chained anew with the stolen key, the last checkpoint left in its place")
def chained_anew_beside_it(originals: Originals, path: Path) -> None:
    chained_anew(originals, path)
    shutil.copy(default_of(originals.now).checkpoint, default_of(path).checkpoint)


@found(Found.OUTSIDE, "everything chained anew with another key under the same name")
def another_key(originals: Originals, path: Path) -> None:
    copy_of(originals.empty, path)
    shutil.rmtree(DatabaseFiles(path).keys)
    DatabaseFiles(path).keys.mkdir()
    keys.create(Door(), DatabaseFiles(path))
    fill(path, 0, RECORDS)


@found(Found.OUTSIDE, "a key of the forger's slipped in, and signed with from then on")
def key_slipped_in(originals: Originals, path: Path) -> None:
    copy_of(originals.now, path)
    files, signer = DatabaseFiles(path), keys.new_signer()
    keys.save_public_keys(Door(), files, [*keys.load_public_keys(Door(), files), signer.public_key])
    keys.save_signer(Door(), files, signer)
    fill(path, RECORDS, RECORDS + 1)


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────


def checkpoint(by: Found, name: str, change: Callable[[Originals, Path], object]) -> None:
    """A forgery of the checkpoint file alone."""

    def forge(originals: Originals, path: Path) -> None:
        copy_of(originals.now, path)
        change(originals, default_of(path).checkpoint)

    found(by, f"the last checkpoint {name}")(forge)


checkpoint(Found.HEALED, "replaced by an older one", lambda o, file: file.write_text(o.old_notes[0]))
checkpoint(Found.HEALED, "removed", lambda _, file: file.unlink())
checkpoint(Found.PROVER, "edited", lambda _, file: file.write_text(file.read_text().replace("\n11\n", "\n10\n")))
checkpoint(Found.PROVER, "cut short", lambda _, file: file.write_text(file.read_text()[:-20]))
checkpoint(Found.PROVER, "replaced by the journal's", lambda o, file: file.write_text(o.notes[1]))
checkpoint(Found.PROVER, "replaced by that of a fork", lambda o, file: shutil.copy(default_of(o.fork).checkpoint, file))
checkpoint(
    Found.PROVER, "replaced by another database's", lambda o, file: shutil.copy(default_of(o.other).checkpoint, file)
)


# ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────────


def old_journal(kept: bool) -> Forge:
    def forge(originals: Originals, path: Path) -> None:
        copy_of(originals.now, path)
        journal = collection_named(path, "_journal")
        note = journal.checkpoint.read_text()
        shutil.rmtree(journal.root)
        shutil.copytree(collection_named(originals.old, "_journal").root, journal.root)
        if kept:
            journal.checkpoint.write_text(note)

    return forge


found(Found.OUTSIDE, "the journal put back to an older copy")(old_journal(kept=False))
found(Found.PROVER, "the journal put back to an older copy, its last checkpoint left in its place")(
    old_journal(kept=True)
)


@found(Found.OUTSIDE, "the journal removed")
def no_journal(originals: Originals, path: Path) -> None:
    copy_of(originals.now, path)
    shutil.rmtree(collection_named(path, "_journal").root)
    forger, registry = DefaultForger(path), DatabaseFiles(path).registry
    forger.change_toml(registry, lambda values: values["collections"].pop("_journal"))


# ── the node file ────────────────────────────────────────────────────────────────────────────────────────────────


def nodes(by: Found, name: str, change: Callable[[Originals, Path], object]) -> None:
    """A forgery of the node file of a database that has one."""

    def forge(originals: Originals, path: Path) -> None:
        copy_of(originals.chunked("chunked"), path)
        change(originals, default_of(path).nodes)

    found(by, f"the node file {name}")(forge)


def flip(at: int) -> Callable[[Originals, Path], object]:
    def change(_: Originals, file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[at] ^= 1
        file.write_bytes(data)

    return change


nodes(Found.REPAIRED, "edited", flip(-40))
nodes(Found.REPAIRED, "edited in its first node", flip(70))
nodes(Found.REPAIRED, "edited in its header", flip(20))
nodes(Found.HEALED, "removed", lambda _, file: file.unlink())
nodes(Found.HEALED, "cut short", lambda _, file: file.write_bytes(file.read_bytes()[:-33]))
nodes(Found.HEALED, "made longer", lambda _, file: file.write_bytes(file.read_bytes() + bytes(320)))
nodes(
    Found.REPAIRED,
    "replaced by that of a fork",
    lambda o, file: shutil.copy(default_of(o.chunked("forked", edited=3)).nodes, file),
)


@found(Found.PROVER, "a fork with the node file and the checkpoint of the other branch")
def fork_in_disguise(originals: Originals, path: Path) -> None:
    copy_of(originals.chunked("forked", edited=3), path)
    for name in ("nodes", "checkpoint"):
        shutil.copy(getattr(default_of(originals.chunked("chunked")), name), getattr(default_of(path), name))
