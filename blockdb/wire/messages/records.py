"""Records: storing them, and reading them by key and in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from blockdb.errors import InvalidData
from blockdb.types import AsOf, Block, Record
from blockdb.wire.operation import DEFAULT_COLLECTION, Message


class InCollection(Message, kw_only=True):
    """A request about one collection, by its name or id."""

    collection: str = DEFAULT_COLLECTION


class Past(InCollection, kw_only=True):
    """A request about one collection that may go back to a moment of the past: at most one of the three is given."""

    as_of_block: int | None = None
    as_of_sequence: int | None = None
    as_of_time_ms: int | None = None

    @property
    def as_of(self) -> AsOf | None:
        """The moment. Raises InvalidData."""
        given = (self.as_of_block, self.as_of_sequence, self.as_of_time_ms)
        if given == (None, None, None):
            return None
        try:
            return AsOf(block=given[0], sequence=given[1], time_ms=given[2])
        except InvalidData:
            raise InvalidData("One of as_of_block, as_of_sequence and as_of_time_ms is given, from 0 up.") from None


class Item(Message, kw_only=True):
    """A key and its value."""

    key: bytes
    value: bytes


class Put(InCollection, kw_only=True):
    """Store a record."""

    key: bytes
    value: bytes
    sync: bool = False


class PutMany(InCollection, kw_only=True):
    """Store a batch, all of it or nothing."""

    items: list[Item]
    sync: bool = False


class Stored(Message, kw_only=True, omit_defaults=True):
    """Where records were stored in commit order."""

    leaves_out: ClassVar[bool] = True

    first_sequence: int
    count: int
    sequences: list[int] | None = None
    """Their numbers one by one, in the order of the request, where these do not follow on each other: where they are of
    several partitions."""


class Run(Protocol):
    """What an answer says of the numbers of records."""

    first_sequence: int
    count: int
    sequences: list[int] | None


def run_of(sequences: Sequence[int]) -> dict[str, Any]:
    """What an answer says of the numbers of records, member by member. O(1) where they follow on each other."""
    if isinstance(sequences, range) and sequences.step == 1:
        return {"first_sequence": sequences.start, "count": len(sequences)}
    first = sequences[0] if sequences else 0
    return {"first_sequence": first, "count": len(sequences), "sequences": list(sequences)}


def sequences_of(run: Run) -> Sequence[int]:
    """The numbers of records of which an answer says so much."""
    if run.sequences is not None:
        return tuple(run.sequences)
    return range(run.first_sequence, run.first_sequence + run.count)


class ByKey(InCollection, kw_only=True):
    """A request about one key."""

    key: bytes


class Get(Past, kw_only=True):
    """Read a value."""

    key: bytes


class Found(Message, kw_only=True):
    """What is stored under a key. `redacted` and no value: it was erased."""

    found: bool
    key: bytes
    value: bytes | None = None
    redacted: bool = False


class Existence(Message, kw_only=True):
    """Whether a key is stored."""

    exists: bool


class RecordFound(Message, kw_only=True):
    """A record with all that is known of it, or None."""

    record: Record | None


class Range(InCollection, kw_only=True):
    """Keys with a prefix, from `start` on, before `end`."""

    prefix: bytes | None = None
    start: bytes | None = None
    end: bytes | None = None


class PastRange(Past, kw_only=True):
    """Keys of a range, as they were."""

    prefix: bytes | None = None
    start: bytes | None = None
    end: bytes | None = None


class Scan(PastRange, kw_only=True):
    """Keys and values in key order; `cursor` goes on behind the page that gave it, in the same snapshot."""

    limit: int = 100
    offset: int = 0
    reverse: bool = False
    keys_only: bool = False
    cursor: str | None = None


class ScannedItem(Message, kw_only=True):
    """A key and its value; no value where keys alone were asked for, or where it was redacted."""

    key: bytes
    value: bytes | None = None
    redacted: bool = False


class Page(Message, kw_only=True):
    """A part of a scan; without a cursor it is the last one."""

    items: list[ScannedItem]
    cursor: str | None = None


class Count(PastRange, kw_only=True):
    """Count keys of a range, or the documents that a filter lets through."""

    where: str | None = None
    parameters: dict[str, Any] | None = None


class Counted(Message, kw_only=True):
    """How many there are."""

    count: int


class InCommitOrder(InCollection, kw_only=True):
    """Some, from a number on."""

    first: int = 0
    limit: int = 100


class Records(Message, kw_only=True):
    """Records in commit order."""

    records: list[Record]


class Blocks(InCommitOrder, kw_only=True):
    """Sealed blocks, upwards or downwards."""

    reverse: bool = False


class BlockList(Message, kw_only=True):
    """Sealed blocks."""

    blocks: list[Block]


class ByNumber(InCollection, kw_only=True):
    """A request about one block."""

    number: int


class BlockFound(Message, kw_only=True):
    """A sealed block."""

    block: Block


class Leaves(Message, kw_only=True):
    """Leaf hashes (RFC 6962)."""

    leaves: list[bytes]


class Redact(InCollection, kw_only=True):
    """Erase the values of keys for good."""

    keys: list[bytes]
    reason: str


class Redacted(Message, kw_only=True):
    """What was erased."""

    sequences: list[int]
    files: int
    quarantined: bool


class Import(InCollection, kw_only=True):
    """A piece of what is to be stored; the first one says how."""

    items: list[Item]
    skip_duplicates: bool = False
    batch_size: int = 1000


class Imported(Message, kw_only=True):
    """How many records were stored, and how many were left out because their keys were there."""

    stored: int
    skipped: int
