"""What the database tells its callers: immutable values, the same embedded and remote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from blockdb.errors import InvalidData, Violation
from blockdb.settings import CollectionSettings

__all__ = [
    "REDACTED",
    "Act",
    "AsOf",
    "Block",
    "Change",
    "GoodBlock",
    "IndexInfo",
    "Problem",
    "Progress",
    "Record",
    "Redaction",
    "Report",
    "Violation",
]


class _Redacted(bytes):
    """Bytes of which there is one object alone, also after it was copied or pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REDACTED"

    def __reduce__(self) -> str:
        return "REDACTED"


REDACTED: Final = _Redacted()
"""What stands for the value of a redacted record: no bytes, and `value is REDACTED` tells it from an empty value."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `sequence` is its place in commit order, from 0; `block` is None while it is unsealed."""

    sequence: int
    key: bytes
    value: bytes
    time_ms: int
    """When it was written: Unix time in milliseconds, never earlier than that of the record before."""
    block: int | None
    redacted: bool = False
    """Whether the value was erased; it is `REDACTED` then."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What became of a wish to redact."""

    sequences: tuple[int, ...]
    """The records whose values were erased, in commit order."""
    files: int
    """How many chain files were written anew for that."""
    quarantined: bool
    """Whether there are files in `quarantine/`, which earlier repairs set aside and which may still hold the values."""


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block: a run of records in commit order, bound to the block before it and signed."""

    number: int
    hash: bytes
    """SHA-256 of the block's header: a function of the records and their order alone."""
    previous_hash: bytes
    """The hash of the block before; 32 zero bytes for the first."""
    root: bytes
    """RFC 6962 root of the tree over all records of the collection up to the last of this block."""
    first_sequence: int
    count: int
    data_bytes: int
    """Keys and values."""
    first_time_ms: int
    last_time_ms: int
    signature: bytes
    """Ed25519, 64 bytes, over the hash."""
    key_id: bytes
    """Which key signed: the first 8 bytes of the SHA-256 of the public key."""
    step: int = 1
    """How far apart the numbers of its records are: over how many partitions the collection is spread, in a cluster."""

    @property
    def last_sequence(self) -> int:
        """The sequence number of its last record."""
        return self.first_sequence + (self.count - 1) * self.step

    @property
    def size(self) -> int:
        """How many leaves the tree has after this block."""
        return self.first_sequence // self.step + self.count


@dataclass(frozen=True, slots=True)
class Change:
    """A record that was stored, and its place in the chain."""

    record: Record
    """`record.block` is None if no seal covered it when it was read."""
    block: int
    """The block that has the record, or will have it."""
    index: int
    """Which record of that block it is, from 0."""
    leaf: bytes
    """Its leaf hash (RFC 6962), which receipts are about."""

    @property
    def sequence(self) -> int:
        """Where to go on after: `watch(after=change.sequence)` begins with the next one."""
        return self.record.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """A moment of the past that a read goes back to; exactly one of them is given. Raises InvalidData."""

    block: int | None = None
    """When this block was sealed: its last record is the newest one seen."""
    sequence: int | None = None
    """When this record was stored: it is the newest one seen."""
    time_ms: int | None = None
    """At this time (Unix, in milliseconds): what was stored then or earlier is seen."""
    sequences: tuple[int, ...] | None = field(default=None, repr=False)
    """When these records were stored, the newest one seen of each partition; -1 where none of it is (in a cluster)."""

    def __post_init__(self) -> None:
        given = [value for value in (self.block, self.sequence, self.time_ms) if value is not None]
        if self.sequences is not None and not given:
            return
        if self.sequences is not None or len(given) != 1 or type(given[0]) is not int or given[0] < 0:
            raise InvalidData("as_of is one of AsOf(block=...), AsOf(sequence=...), AsOf(time_ms=...), from 0 up.")


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """How much a collection holds; exact, since all of it is counted from the chain."""

    document_count: int
    total_size_bytes: int
    """Keys and values."""
    index_size_bytes: int
    last_updated: int
    """Unix time in seconds of the newest record, or of the collection's creation."""
    operations_count: int
    """Writes that the chain has."""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection is, and what it holds."""

    id: str
    name: str
    description: str
    created_at: int
    """Unix time in seconds."""
    created_by: str
    settings: CollectionSettings
    stats: CollectionStats
    schema: Mapping[str, Any] | None = None
    """What its documents have to be like, in JSON; None where values are any bytes."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index of a collection."""

    name: str
    fields: tuple[str, ...]
    """Paths into documents, the first of which rules the order."""
    unique: bool
    """Whether no two documents may have the same values there."""
    sparse: bool
    """Whether documents that lack one of the fields are left out."""
    entries: int
    size_bytes: int
    """What its files take on the disk; the newest entries are in memory alone."""
    state: str
    """`building` or `ready`."""
    lookups: int
    """How often it was asked since the collection was opened."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is."""

    records_done: int
    records_total: int
    blocks_done: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. Fields that do not apply are None."""

    path: str
    """The file, relative to the database directory."""
    offset: int | None
    block: int | None
    sequence: int | None
    key: bytes | None
    what: str
    expected: str | None = None
    """What should be there, as text (hashes and signatures in hexadecimal): what the chain vouches for,"""
    found: str | None = None
    """and what is there, or what its bytes were recomputed to."""

    def __str__(self) -> str:
        places = [self.path if self.offset is None else f"{self.path} at byte {self.offset}"]
        if self.block is not None:
            places.append(f"block {self.block}")
        if self.sequence is not None:
            places.append(f"record {self.sequence}")
        if self.key is not None:
            places.append(f"key {self.key!r}")
        compared = f" (expected {self.expected}, found {self.found})" if self.expected and self.found else ""
        return f"{', '.join(places)}: {self.what}{compared}"


@dataclass(frozen=True, slots=True)
class GoodBlock:
    """The last block of a collection before anything that is wrong with its chain: up to there it can be trusted."""

    collection: str
    number: int
    size: int
    """How many records there are up to the end of this block."""
    root: bytes
    hash: bytes
    time_ms: int
    """When its last record was written."""
    recomputed: bool
    """Whether root and signature were held against the records, or seals alone were looked at."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `records` and `blocks` are how many were recomputed."""

    valid: bool
    blocks: int
    records: int
    problems: tuple[Problem, ...]
    elapsed_ms: float
    cancelled: bool
    last_good: tuple[GoodBlock, ...] = ()
    """For each collection with a block that holds, the last one before the damage, or the last of all."""
    read_bytes: int = 0
    """How many bytes of chain and tables were looked at."""
    notes: tuple[str, ...] = ()
    """What else there is to say of how the audit came to its answer."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Something outside the database that remembers its checkpoints."""

    where: str
    """The path of a file to which each is appended, or the URL of a witness."""
    key: str | None = None
    """The verifier key of the witness; None for a file."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A checkpoint that was given to the anchors: its note, with what witnesses added, and what failed, by anchor."""

    note: str
    failures: Mapping[str, str]


class Act(NamedTuple):
    """What somebody did or tried to do: an entry of the audit log. It has no values, and no secrets.

    Texts are shortened to 200 characters; they and the key are whatever was sent, so make them printable to show them.
    """

    time_ms: int
    """When it was answered: Unix time in milliseconds."""
    principal: str
    """Who: the name of a token, `anonymous`, `local:<login name>`, `nobody` where that is not known."""
    token_id: str
    """Which token, or, of what was done locally to one, to which; empty where there was none."""
    peer: str
    """The address that it came from; empty where it came over no network."""
    door: str
    """`http`, `grpc` or `local`."""
    operation: str
    collection: str | None
    """The name of the collection; None where it was about the database as a whole."""
    key: bytes
    """The first key; empty where there was none. Of one of more than 64 bytes the first 48 and 16 of its SHA-256."""
    key_bytes: int
    """How long that key is."""
    keys: int
    """How many keys there were."""
    outcome: str
    """`ok`, or the kind of the error."""
    request_id: str
    sequence: int = -1
    """Which entry it is, from 0; -1 before it is one."""
