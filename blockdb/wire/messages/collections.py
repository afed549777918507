"""Collections, their schemas and indexes."""

from __future__ import annotations

from typing import Any, ClassVar

from blockdb.types import CollectionInfo, CollectionStats, IndexInfo
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import Message


class CreateCollection(Message, kw_only=True):
    """Make a collection; schema and settings are as in the documentation of collections."""

    name: str
    description: str = ""
    schema: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    created_by: str | None = None


class Created(Message, kw_only=True):
    """The collection that was made."""

    collection_id: str
    message: str


class Located(Message, kw_only=True):
    """What a collection is called."""

    id: str
    name: str


class Described(Message, kw_only=True):
    """A collection."""

    collection: CollectionInfo


class Catalogue(Message, kw_only=True):
    """The collections that one may touch."""

    collections: list[CollectionInfo]


class Dropped(Message, kw_only=True):
    """The collection that there was."""

    collection: CollectionInfo
    message: str


class Totals(Message, kw_only=True):
    """All collections of users together."""

    collections: int
    documents: int
    size_bytes: int


class CreateIndex(InCollection, kw_only=True):
    """Make an index over fields of documents."""

    name: str
    fields: list[str]
    unique: bool = False
    sparse: bool = False


class ByIndex(InCollection, kw_only=True):
    """A request about one index."""

    index: str


class Indexed(Message, kw_only=True):
    """An index."""

    index: IndexInfo


class Indexes(Message, kw_only=True):
    """The indexes of a collection."""

    indexes: list[IndexInfo]


class SetSchema(InCollection, kw_only=True):
    """Have documents from now on be as a schema says."""

    schema: dict[str, Any]


class SchemaVersionInfo(Message, kw_only=True):
    """A version of a schema, and from which record on it is in force."""

    version: int
    first_sequence: int
    time_ms: int
    by: str
    schema: dict[str, Any]


class Schemas(Message, kw_only=True):
    """All versions, the oldest first."""

    schemas: list[SchemaVersionInfo]


class BySequence(InCollection, kw_only=True):
    """A request about one record, by its place in commit order."""

    sequence: int


class Version(Message, kw_only=True):
    """A version, or None."""

    version: int | None


class CollectionStatistics(Message, kw_only=True, omit_defaults=True):
    """How much a collection holds."""

    leaves_out: ClassVar[bool] = True

    collection_id: str
    stats: CollectionStats
    record_counts: list[int] | None = None
    """How many records each partition has, where there are several."""
