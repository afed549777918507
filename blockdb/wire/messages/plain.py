"""The endpoints for plain HTTP, whose answers have exactly the fields that are documented for them."""

from __future__ import annotations

from typing import Any, Literal

from blockdb.types import CollectionStats
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import DEFAULT_COLLECTION, Message


class Told(Message, kw_only=True):
    """What was done, in words."""

    message: str


class Fetch(InCollection, kw_only=True):
    """Read a value."""

    key: bytes


class Fetched(Message, kw_only=True):
    """A key and its value."""

    key: bytes
    value: bytes


class FetchedDocument(Message, kw_only=True):
    """A key and its value, and in which collection they are."""

    collection_id: str
    key: bytes
    value: bytes


class ListDocuments(InCollection, kw_only=True):
    """Keys and values in the order of the keys."""

    prefix: bytes | None = None
    limit: int = 100
    offset: int = 0


class DocumentList(Message, kw_only=True):
    """A page of keys and values, and how many there are."""

    collection_id: str
    documents: list[Fetched]
    total_count: int
    has_more: bool


class BatchOperation(Message, kw_only=True):
    """One operation of a batch."""

    type: Literal["put"]
    key: bytes
    value: bytes


class Batch(Message, kw_only=True):
    """Operations that are done all of them or none."""

    operations: list[BatchOperation]
    collection: str = DEFAULT_COLLECTION


class BatchResult(Message, kw_only=True):
    """What became of one operation."""

    operation: int
    success: bool


class BatchDone(Message, kw_only=True):
    """What became of each operation."""

    results: list[BatchResult]


class ListedCollection(Message, kw_only=True):
    """A collection, as a list of them shows it."""

    id: str
    name: str
    description: str
    created_at: int
    created_by: str
    stats: CollectionStats


class CollectionList(Message, kw_only=True):
    """The collections that one may touch."""

    collections: list[ListedCollection]


class CollectionDetails(Message, kw_only=True):
    """All that is known of a collection."""

    id: str
    name: str
    description: str
    created_at: int
    created_by: str
    schema: dict[str, Any] | None
    settings: dict[str, Any]
    stats: CollectionStats


class CollectionShown(Message, kw_only=True):
    """A collection."""

    collection: CollectionDetails


class Verification(Message, kw_only=True):
    """Whether all hashes are as they should be."""

    blockchain_valid: bool
    blocks_verified: int
    verification_time_ms: int


class CollectionVerification(Message, kw_only=True):
    """Whether all hashes of a collection are as they should be."""

    collection_id: str
    blockchain_valid: bool
    blocks_verified: int
    verification_time_ms: int


class Health(Message, kw_only=True):
    """Whether the server is well."""

    status: str
    uptime: str
    version: str

    @property
    def http_status(self) -> int:
        """Programs that watch over servers look at nothing else."""
        return 200 if self.status == "healthy" else 503


class Live(Message, kw_only=True):
    """The server answers."""

    status: str


class Ready(Message, kw_only=True):
    """Whether requests should come to this server, and why not."""

    status: str
    reasons: list[str]

    @property
    def http_status(self) -> int:
        """Programs that hand out requests look at nothing else."""
        return 503 if self.reasons else 200


class Metrics(Message, kw_only=True):
    """What the server counts and times, in brief."""

    operations: dict[str, int]
    performance: dict[str, float]
    storage: dict[str, int]
    cluster: dict[str, str | int | None]


class Stats(Message, kw_only=True):
    """The settings of the database, and what it takes."""

    config: dict[str, str | int]
    storage: dict[str, int]
