"""A collection of a database on a server: the same interface as `blockdb.Collection`, method by method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from blockdb.client.auditing import run_audit
from blockdb.client.feed import RemoteFeed
from blockdb.client.link import Link
from blockdb.client.plans.database import refuse
from blockdb.client.plans.documents import Source
from blockdb.client.plans.plan import Ask, Given, Pages
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.client.results import RemoteResults
from blockdb.documents.document import Details, Document
from blockdb.documents.schema import Schema, SchemaVersion
from blockdb.errors import AppendOnly
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.query.explanation import Explanation
from blockdb.statistics import Statistics
from blockdb.types import (
    AsOf,
    Block,
    CollectionInfo,
    CollectionStats,
    IndexInfo,
    Progress,
    Record,
    Redaction,
    Report,
)
from blockdb.wire.messages.records import InCollection
from blockdb.wire.messages.server import Watch, asked_as

__all__ = ["RemoteCollection"]


class RemoteCollection:
    """One collection, over the network. Safe for threads.

    Everything is as `blockdb.Collection` says. Besides what is named there, every method raises Unavailable where no
    server answers, RequestTimeout, Unauthenticated, Forbidden and RateLimited.
    """

    def __init__(self, link: Link, plans: CollectionPlans, name: str, *, read_only: bool = False) -> None:
        """Use `RemoteDatabase.collection`."""
        self._link = link
        self._run = link.run
        self._plans = plans
        self._name = name
        self.read_only = read_only

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def id(self) -> str:
        """Its id: `col_` and a UUID."""
        return self._plans.collection

    @property
    def proven_records(self) -> int | None:
        """How far its history was proven to be one and the same: so many records; None without `verified=True`."""
        return self._plans.proven_records

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._link!r}>"

    # Writing.

    def put(self, key: bytes, value: Given, *, sync: bool = False) -> int:
        """See `blockdb.Collection.put`. It is sent again under the same idempotency key where that is needed."""
        return self._run(self._plans.put(key, value, sync))

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, sync: bool = False) -> Sequence[int]:
        """See `blockdb.Collection.put_many`. What does not fit into one request goes in pieces, in a transaction."""
        return self._run(self._plans.put_many(items, sync))

    def delete(self, key: bytes) -> None:
        """See `blockdb.Collection.delete`."""
        raise AppendOnly("BlockDB is append-only: nothing that was stored is deleted or changed.")

    def flush(self) -> None:
        """See `blockdb.Collection.flush`."""
        self._run(self._plans.flush())

    def compact(self) -> None:
        """See `blockdb.Collection.compact`."""
        self._run(self._plans.compact())

    def redact(self, key: bytes, *, reason: str, by: str | None = None) -> Redaction:
        """See `blockdb.Collection.redact`. `by` is whom the token names, and cannot be given."""
        return self.redact_many([key], reason=reason, by=by)

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """See `blockdb.Collection.redact_many`. `by` is whom the token names, and cannot be given."""
        return self._run(self._plans.redact(keys, reason, by))

    # Reading in key order.

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        """See `blockdb.Collection.get`."""
        return self._run(self._plans.get(key, as_of))

    def exists(self, key: bytes) -> bool:
        """See `blockdb.Collection.exists`."""
        return self._run(self._plans.exists(key))

    __contains__ = exists

    def record(self, key: bytes) -> Record | None:
        """See `blockdb.Collection.record`."""
        return self._run(self._plans.record(key))

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
        """See `blockdb.Collection.scan`: a page at a time, all of them of the moment of the call."""
        return self._link.all_of(self._plans.scan(prefix, start, end, limit, offset, reverse, as_of))

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
        """See `blockdb.Collection.keys`. Values are not sent."""
        pages = self._plans.scan(prefix, start, end, limit, offset, reverse, as_of, keys_only=True)
        return (key for key, _ in self._link.all_of(pages))

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
        return self._run(self._plans.count(prefix, start, end, where, parameters, as_of))

    # Queries.

    def document(self, key: bytes) -> Document | None:
        """See `blockdb.Collection.document`."""
        return self._run(self._plans.document(key))

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
    ) -> RemoteResults:
        """See `blockdb.Collection.find`: a page at a time, all of them of the moment of the call."""

        def again(cursor: str | None, most: int | None) -> Pages[Document]:
            first = 0 if cursor is not None and cursor != after else offset
            return self._plans.find(where, parameters, order, most, first, cursor, fields, as_of, self._details)

        return RemoteResults(self._link, again(after, limit), again)

    def _find_detailed(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        after: str | None = None,
        fields: Iterable[str] | None = None,
        as_of: AsOf | None = None,
    ) -> RemoteResults:
        """As `find`, and all that is known of a document comes along with it: for whoever asks for that of each."""

        def again(cursor: str | None, most: int | None) -> Pages[Document]:
            return self._plans.find(where, parameters, order, most, 0, cursor, fields, as_of, None)

        return RemoteResults(self._link, again(after, limit), again)

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
        return self._run(self._plans.explain(where, parameters, order, limit, offset, as_of))

    def _details(self, key: bytes) -> Details:
        return self._run(self._plans.details(key))

    # Reading in commit order.

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        """See `blockdb.Collection.records`: a page at a time, with what is stored meanwhile."""
        return self._link.all_of(self._plans.records(first, limit))

    def block(self, number: int) -> Block:
        """See `blockdb.Collection.block`."""
        return self._run(self._plans.block(number))

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        """See `blockdb.Collection.blocks`: a page at a time."""
        return self._link.all_of(self._plans.blocks(first, limit, reverse))

    def block_records(self, number: int) -> list[Record]:
        """See `blockdb.Collection.block_records`."""
        return self._run(self._plans.block_records(number))

    def block_leaves(self, number: int) -> list[bytes]:
        """See `blockdb.Collection.block_leaves`: as the server recomputed them."""
        return self._run(self._plans.block_leaves(number))

    def watch(
        self, *, prefix: bytes | None = None, after: int | str | None = None, timeout_s: float | None = None
    ) -> RemoteFeed:
        """See `blockdb.Collection.watch`. Where the connection breaks, it goes on behind the last change."""
        return RemoteFeed(self._link, Watch(collection=self.id, prefix=prefix, **asked_as(after)), timeout_s)

    # Indexes and schemas.

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """See `blockdb.Collection.create_index`. `by` is whom the token names, and cannot be given."""
        return self._run(self._plans.create_index(name, fields, unique, sparse, by))

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """See `blockdb.Collection.drop_index`. `by` is whom the token names, and cannot be given."""
        return self._run(self._plans.drop_index(name, by))

    def indexes(self) -> tuple[IndexInfo, ...]:
        """See `blockdb.Collection.indexes`."""
        return self._run(self._plans.indexes())

    @property
    def schema(self) -> Schema | None:
        """See `blockdb.Collection.schema`."""
        return self._run(self._plans.schema())

    def schemas(self) -> tuple[SchemaVersion, ...]:
        """See `blockdb.Collection.schemas`."""
        return self._run(self._plans.schemas())

    def schema_version(self, sequence: int) -> int | None:
        """See `blockdb.Collection.schema_version`."""
        return self._run(self._plans.schema_version(sequence))

    def set_schema(self, schema: Source, *, by: str | None = None) -> SchemaVersion:
        """See `blockdb.Collection.set_schema`. `by` is whom the token names, and cannot be given."""
        return self._run(self._plans.set_schema(schema, by))

    # Proofs.

    def prove(self, key: bytes) -> Receipt:
        """See `blockdb.Collection.prove`. Check what it proves with `blockdb.verify_receipt`."""
        return self._run(self._plans.prove(key))

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """See `blockdb.Collection.prove_run`."""
        return self._run(self._plans.prove_run(first, count))

    def prove_range(
        self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None
    ) -> RangeReceipt:
        """See `blockdb.Collection.prove_range`."""
        return self._run(self._plans.prove_range(prefix, start, end))

    def prove_absent(self, key: bytes) -> RangeReceipt:
        """See `blockdb.Collection.prove_absent`."""
        return self._run(self._plans.prove_absent(key))

    def checkpoint(self) -> str:
        """See `blockdb.Collection.checkpoint`."""
        return self._run(self._plans.checkpoint())

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """See `blockdb.Collection.consistency_proof`."""
        return self._run(self._plans.consistency_proof(old_size, size))

    def root_at(self, size: int) -> bytes:
        """See `blockdb.Collection.root_at`."""
        return self._run(self._plans.root_at(size))

    def tile(self, path: str) -> bytes:
        """See `blockdb.Collection.tile`."""
        return self._run(self._plans.tile(path))

    def export_tiles(
        self, directory: str | Path, *, entries: bool = True, progress: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """Refuse: raises InvalidData. The server gives tiles as they are asked for: see `tile`."""
        raise refuse("Exporting tiles into a directory")

    def part(self) -> NoReturn:
        """Refuse: raises InvalidData. What a transaction has to do with a collection is the server's affair."""
        raise refuse("Taking part in a transaction by hand")

    # About the collection.

    @property
    def next_sequence(self) -> int:
        """See `blockdb.Collection.next_sequence`."""
        return self._run(self._plans.next_sequence())

    def record_counts(self) -> tuple[int, ...]:
        """See `blockdb.Collection.record_counts`."""
        return self._run(self._plans.record_counts())

    def sequence_at(self, as_of: AsOf) -> int:
        """Refuse: raises InvalidData. Reads take the moment itself, as `as_of`."""
        raise refuse("Looking up the record of a moment")

    def moment(self, as_of: AsOf | None = None) -> AsOf | None:
        """Refuse: raises InvalidData. Pages are of one moment by their cursors."""
        raise refuse("Looking up a moment")

    def describe(self) -> CollectionInfo:
        """See `blockdb.Collection.describe`."""
        return self._run(self._plans.describe())

    def collection_stats(self) -> CollectionStats:
        """See `blockdb.Collection.collection_stats`."""
        return self._run(self._plans.collection_stats())

    def stats(self) -> Statistics:
        """See `blockdb.Collection.stats`: of the handle that the server has."""
        return self._run(self._plans.stats())

    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        """See `blockdb.Collection.verify`: it is the server that verifies; to trust nobody, see `verified=True`."""
        return run_audit(self._link, Ask("audit_collection", InCollection(collection=self.id)), progress, cancel)
