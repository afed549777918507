"""What came between two moments of a collection, and the proof that nothing else changed: one core for all faces.

Records are only ever added. So a later state holds the earlier one whole: the consistency proof between the two trees
says that, and it is recomputed here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockdb.errors import InvalidData
from blockdb.ledger.proof import BadProof, check_consistency
from blockdb.types import AsOf

from .display import human_count, plural
from .standing import Standing, standing_at
from .trust import FAILED, PROVEN, READ, Degree

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, Record
    from blockdb.documents.schema import SchemaVersion

__all__ = ["Comparison", "Consistency", "added", "compare"]

MOST_COUNTED = 20_000
"""Of more records than that between the two moments so many are looked at, evenly spread."""
STRETCH_RECORDS = 200
MOST_BLOCKS = 20_000
_SEPARATOR = re.compile(rb"[:/|#.@ _-]")


@dataclass(frozen=True)
class Consistency:
    """Whether the tree of the later moment begins with that of the earlier one, as recomputed here.

    The roots are those of the two trees.
    """

    degree: Degree
    """Proven, failed, or just read, where there is nothing to prove it with."""
    words: str
    proof: tuple[bytes, ...] = ()
    old_root: bytes | None = None
    root: bytes | None = None

    def __str__(self) -> str:
        return f"{self.degree}: {self.words}"


@dataclass(frozen=True)
class Comparison:
    """What there is to say of the time between two moments of a collection."""

    older: Standing
    newer: Standing
    newer_is_now: bool
    consistency: Consistency
    groups: tuple[tuple[bytes, int], ...]
    """The beginnings of the keys that came, the most frequent first, with how many records: about, if `is_sample`."""
    looked_at: int
    """How many of the records that came were looked at for that."""
    data_bytes: int
    """Keys and values of the records that came: about, if there are too many blocks to be added up."""
    bytes_are_counted: bool
    first_ms: int | None
    last_ms: int | None
    """When the first and the last of them were stored; None where none came."""
    schemas: tuple[SchemaVersion, ...] = field(default=())
    """The versions of the schema that were set between."""

    @property
    def records(self) -> int:
        """How many records came."""
        return self.newer.records - self.older.records

    @property
    def blocks(self) -> int:
        """How many blocks were filled."""
        return self.newer.blocks - self.older.blocks

    @property
    def is_sample(self) -> bool:
        """Whether the groups are worked out from some of the records."""
        return self.looked_at < self.records

    @property
    def older_words(self) -> str:
        """The earlier moment as it is told."""
        return self.older.words

    @property
    def newer_words(self) -> str:
        """The later one."""
        return "now" if self.newer_is_now else self.newer.words


def compare(
    database: AnyDatabase, collection: AnyCollection, one: AsOf | None, other: AsOf | None, prefix: bytes = b""
) -> Comparison:
    """Compare two moments of a collection, whichever is the earlier; None is now. `prefix` narrows the groups down.

    O(blocks between + MOST_COUNTED): waits for the disk or the network. Raises BlockNotFound, and InvalidData for a
    record that is not there yet and for a collection of several partitions, each of which has a chain of its own.
    """
    partitions = len(collection.record_counts())
    if partitions > 1:
        name = collection.name
        raise InvalidData(
            f"{name} has {partitions} partitions, each with a chain of its own: compare {name}:0 to "
            f"{name}:{partitions - 1} one by one."
        )
    now = _now(collection)
    found = [now if moment is None else standing_at(collection, moment) for moment in (one, other)]
    older, newer = sorted(found, key=lambda standing: standing.records)
    counted, looked_at = _groups(collection, older.records, newer.records, prefix)
    data_bytes, bytes_are_counted = _data_bytes(collection, older, newer)
    came = newer.records > older.records
    return Comparison(
        older=older,
        newer=newer,
        newer_is_now=newer is now,
        consistency=_consistency(database, collection, older, newer),
        groups=counted,
        looked_at=looked_at,
        data_bytes=data_bytes,
        bytes_are_counted=bytes_are_counted,
        first_ms=_one(collection, older.records).time_ms if came else None,
        last_ms=_one(collection, newer.records - 1).time_ms if came else None,
        schemas=tuple(it for it in collection.schemas() if _was_set_by(it, newer) and not _was_set_by(it, older)),
    )


def added(collection: AnyCollection, comparison: Comparison, prefix: bytes = b"") -> Iterator[Record]:
    """The records that came between, in the order in which they were stored, those whose keys begin with `prefix`."""
    if comparison.records:
        for record in collection.records(comparison.older.records, comparison.records):
            if record.key.startswith(prefix):
                yield record


def _now(collection: AnyCollection) -> Standing:
    [count] = collection.record_counts()
    return standing_at(collection, AsOf(sequence=count - 1) if count else AsOf(time_ms=0))


def _one(collection: AnyCollection, sequence: int) -> Record:
    return next(iter(collection.records(sequence, 1)))


def _was_set_by(version: SchemaVersion, standing: Standing) -> bool:
    return version.first_sequence < standing.next_sequence or version.time_ms <= standing.time_ms


def _consistency(database: AnyDatabase, collection: AnyCollection, older: Standing, newer: Standing) -> Consistency:
    """The proof between two trees, recomputed. O(log records) hashes."""
    old_size, size = older.records, newer.records
    try:
        if collection.name == database.name:  # asked without a name, the database tells of its journal
            name = collection.name
            old_root, root = database.root_at(old_size, name), database.root_at(size, name)
            proof = database.consistency_proof(old_size, size, name)
        else:
            old_root, root = collection.root_at(old_size), collection.root_at(size)
            proof = collection.consistency_proof(old_size, size)
    except InvalidData as error:
        return Consistency(READ, str(error))
    try:
        check_consistency(old_size, size, old_root, root, proof)
    except BadProof as error:
        return Consistency(FAILED, str(error), proof, old_root, root)
    for standing, told in ((older, old_root), (newer, root)):
        head = standing.head
        if head is not None and head.size == standing.records and head.root != told:
            words = f"block {human_count(head.number)} names another root than the tree of its records has"
            return Consistency(FAILED, words, proof, old_root, root)
    return Consistency(PROVEN, _proven(old_size, size, len(proof)), proof, old_root, root)


def _proven(old_size: int, size: int, hashes: int) -> str:
    if not old_size:
        return "there was nothing yet, and any tree begins with that."
    if old_size == size:
        return "it is the same tree: nothing came, no record changed, none went."
    told = "1 hash" if hashes == 1 else f"{human_count(hashes)} hashes"
    return (
        f"the tree of {plural(size, 'record')} begins with the tree of {human_count(old_size)}, recomputed here from "
        f"the {told} of the proof. No record changed, none went."
    )


def _groups(
    collection: AnyCollection, first: int, end: int, prefix: bytes
) -> tuple[tuple[tuple[bytes, int], ...], int]:
    """How many keys of each beginning came, and how many records were looked at for that."""
    count = end - first
    counted: Counter[bytes] = Counter()
    looked_at = 0
    for start, length in _stretches(first, count):
        for record in collection.records(start, length):
            looked_at += 1
            if record.key.startswith(prefix):
                counted[_group(record.key, len(prefix))] += 1
    scale = count / looked_at if looked_at else 1.0
    return tuple((group, round(number * scale)) for group, number in counted.most_common()), looked_at


def _stretches(first: int, count: int) -> Iterator[tuple[int, int]]:
    """The records to look at, as first ones and how many: all, or stretches evenly spread."""
    if count <= MOST_COUNTED:
        if count:
            yield first, count
        return
    several = MOST_COUNTED // STRETCH_RECORDS
    for number in range(several):
        yield first + number * (count - STRETCH_RECORDS) // (several - 1), STRETCH_RECORDS


def _group(key: bytes, known: int) -> bytes:
    """The beginning of a key up to the first separator behind the part that is known; all of it without one."""
    found = _SEPARATOR.search(key, known)
    return key if found is None else key[: found.end()]


def _data_bytes(collection: AnyCollection, older: Standing, newer: Standing) -> tuple[int, bool]:
    """The bytes of the records that came, and whether they were added up."""
    if newer.blocks - older.blocks <= MOST_BLOCKS:
        return _up_to(collection, newer, older.blocks) - _up_to(collection, older, older.blocks), True
    looked_at = list(_looked_at(collection, older.records, newer.records - older.records))
    mean = sum(looked_at) / max(1, len(looked_at))
    return round(mean * (newer.records - older.records)), False


def _up_to(collection: AnyCollection, standing: Standing, first_block: int) -> int:
    """The bytes from the beginning of a block to a moment."""
    whole = sum(block.data_bytes for block in collection.blocks(first_block, standing.blocks - first_block))
    rest = collection.records(standing.covered, standing.records - standing.covered)
    return whole + sum(len(record.key) + len(record.value) for record in rest)


def _looked_at(collection: AnyCollection, first: int, count: int) -> Iterator[int]:
    for start, length in _stretches(first, count):
        for record in collection.records(start, length):
            yield len(record.key) + len(record.value)
