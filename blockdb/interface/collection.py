"""What a collection is to whoever uses it, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from blockdb.documents.document import Document
    from blockdb.documents.schema import Schema, SchemaVersion
    from blockdb.ledger.checkpoint import Checkpoint
    from blockdb.ledger.range_receipt import RangeReceipt
    from blockdb.ledger.receipt import Receipt, RunReceipt
    from blockdb.query.explanation import Explanation
    from blockdb.statistics import Statistics
    from blockdb.types import (
        AsOf,
        Block,
        Change,
        CollectionInfo,
        CollectionStats,
        IndexInfo,
        Progress,
        Record,
        Redaction,
        Report,
    )

    Given = bytes | Mapping[str, Any]
    Source = Schema | Mapping[str, Any]


__all__ = ["AnyCollection", "AnyFeed", "AnyResults"]


class AnyResults(Protocol):
    """What `find` gives: `blockdb.Results`, here or over the network."""

    def __iter__(self) -> AnyResults: ...

    def __next__(self) -> Document: ...

    @property
    def cursor(self) -> str | None:
        """See `blockdb.Results.cursor`."""


class AnyFeed(Protocol):
    """A change stream: `blockdb.Feed`, here or over the network."""

    @property
    def position(self) -> int | str:
        """See `blockdb.Feed.position`."""

    def __iter__(self) -> AnyFeed: ...

    def __next__(self) -> Change: ...

    def take(self, timeout_s: float | None = None) -> Change | None:
        """See `blockdb.Feed.take`."""

    def stop(self) -> None:
        """See `blockdb.Feed.stop`."""

    def is_over(self) -> bool:
        """See `blockdb.Feed.is_over`."""


class AnyCollection(Protocol):
    """A collection: `blockdb.Collection`, here or over the network."""

    read_only: bool

    @property
    def name(self) -> str:
        """See `blockdb.Collection.name`."""

    @property
    def id(self) -> str:
        """See `blockdb.Collection.id`."""

    def put(self, key: bytes, value: Given, *, sync: bool = False) -> int:
        """See `blockdb.Collection.put`."""

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, sync: bool = False) -> Sequence[int]:
        """See `blockdb.Collection.put_many`."""

    def delete(self, key: bytes) -> None:
        """See `blockdb.Collection.delete`."""

    def flush(self) -> None:
        """See `blockdb.Collection.flush`."""

    def compact(self) -> None:
        """See `blockdb.Collection.compact`."""

    def redact(self, key: bytes, *, reason: str, by: str | None = None) -> Redaction:
        """See `blockdb.Collection.redact`."""

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """See `blockdb.Collection.redact_many`."""

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        """See `blockdb.Collection.get`."""

    def exists(self, key: bytes) -> bool:
        """See `blockdb.Collection.exists`."""

    def __contains__(self, key: bytes) -> bool: ...

    def record(self, key: bytes) -> Record | None:
        """See `blockdb.Collection.record`."""

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """See `blockdb.Collection.scan`."""

    def keys(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[bytes]:
        """See `blockdb.Collection.keys`."""

    def count(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        as_of: AsOf | None = None,
    ) -> int:
        """See `blockdb.Collection.count`."""

    def document(self, key: bytes) -> Document | None:
        """See `blockdb.Collection.document`."""

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        after: str | None = None,
        fields: str | Iterable[str] | None = None,
        as_of: AsOf | None = None,
    ) -> AnyResults:
        """See `blockdb.Collection.find`."""

    def explain(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        as_of: AsOf | None = None,
    ) -> Explanation:
        """See `blockdb.Collection.explain`."""

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        """See `blockdb.Collection.records`."""

    def block(self, number: int) -> Block:
        """See `blockdb.Collection.block`."""

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        """See `blockdb.Collection.blocks`."""

    def block_records(self, number: int) -> list[Record]:
        """See `blockdb.Collection.block_records`."""

    def block_leaves(self, number: int) -> list[bytes]:
        """See `blockdb.Collection.block_leaves`."""

    def watch(
        self, *, prefix: bytes | None = None, after: int | str | None = None, timeout_s: float | None = None
    ) -> AnyFeed:
        """See `blockdb.Collection.watch`."""

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """See `blockdb.Collection.create_index`."""

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """See `blockdb.Collection.drop_index`."""

    def indexes(self) -> tuple[IndexInfo, ...]:
        """See `blockdb.Collection.indexes`."""

    @property
    def schema(self) -> Schema | None:
        """See `blockdb.Collection.schema`."""

    def schemas(self) -> tuple[SchemaVersion, ...]:
        """See `blockdb.Collection.schemas`."""

    def schema_version(self, sequence: int) -> int | None:
        """See `blockdb.Collection.schema_version`."""

    def set_schema(self, schema: Source, *, by: str | None = None) -> SchemaVersion:
        """See `blockdb.Collection.set_schema`."""

    def prove(self, key: bytes) -> Receipt:
        """See `blockdb.Collection.prove`."""

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """See `blockdb.Collection.prove_run`."""

    def prove_range(
        self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None
    ) -> RangeReceipt:
        """See `blockdb.Collection.prove_range`."""

    def prove_absent(self, key: bytes) -> RangeReceipt:
        """See `blockdb.Collection.prove_absent`."""

    def checkpoint(self) -> str:
        """See `blockdb.Collection.checkpoint`."""

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """See `blockdb.Collection.consistency_proof`."""

    def root_at(self, size: int) -> bytes:
        """See `blockdb.Collection.root_at`."""

    def tile(self, path: str) -> bytes:
        """See `blockdb.Collection.tile`."""

    def export_tiles(
        self, directory: str | Path, *, entries: bool = True, progress: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """See `blockdb.Collection.export_tiles`."""

    @property
    def next_sequence(self) -> int:
        """See `blockdb.Collection.next_sequence`."""

    def record_counts(self) -> tuple[int, ...]:
        """See `blockdb.Collection.record_counts`."""

    def describe(self) -> CollectionInfo:
        """See `blockdb.Collection.describe`."""

    def collection_stats(self) -> CollectionStats:
        """See `blockdb.Collection.collection_stats`."""

    def stats(self) -> Statistics:
        """See `blockdb.Collection.stats`."""

    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        """See `blockdb.Collection.verify`."""
