"""A collection of a cluster's database: what it stores, all nodes store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from blockdb.cluster.database.committing import ConfirmedReads
from blockdb.cluster.database.context import of_this_node, reading
from blockdb.cluster.database.front import Front
from blockdb.cluster.machine.commands import (
    CreateIndex,
    DropIndex,
    Items,
    Put,
    PutMany,
    Redact,
    SetSchema,
)
from blockdb.cluster.machine.holding import key_of
from blockdb.database.collection import Collection
from blockdb.database.core import Core
from blockdb.database.documents import Given
from blockdb.database.preparation import Preparation
from blockdb.database.redaction import login_name
from blockdb.database.schemas import Source, schema_of
from blockdb.database.transactions.part import Part
from blockdb.documents.schema import SchemaVersion
from blockdb.documents.values import encode, plain
from blockdb.errors import BlockDBError, InvalidData
from blockdb.format.checks import check_key, check_records, check_value, unzipped
from blockdb.statistics import Statistics
from blockdb.storage.attachment import Attachment
from blockdb.storage.commit import Held
from blockdb.storage.door import guarded
from blockdb.storage.store import Store
from blockdb.types import CollectionInfo, CollectionStats, IndexInfo, Progress, Redaction, Report

__all__ = ["ReplicatedCollection", "locally"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


def locally(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Have a method be about this node alone."""

    @wraps(method)
    def local(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with of_this_node():
            return method(self, *args, **kwargs)

    return local


class ReplicatedCollection(Collection):
    """A collection of a cluster. Its handle stays good when the database under it is replaced by a newer copy.

    What is acknowledged is on the disks of a majority. Reads see all that was acknowledged before, unless `reading`
    says otherwise. Beside what `Collection` raises, every method may raise Unavailable.
    """

    _store = None

    def __init__(self, front: Front, collection_id: str) -> None:
        """Use `ReplicatedDatabase.collection` or `ReplicatedDatabase.create_collection`."""
        self._front = front
        self._id = collection_id
        self._key = key_of(collection_id)
        self.read_only = False
        self._needs_chance = self._reader.metadata.redactable

    @property
    def _core(self) -> Core:  # type: ignore[override]
        return self._front.core

    @property
    def _reader(self) -> Store | Attachment:  # type: ignore[override]
        return self._front.core.catalog.reader(self._id)

    @property
    def _own_store(self) -> Store:
        reader = self._reader
        assert isinstance(reader, Store), "the database under the log is open for writing"
        return reader

    def _refreshed(self) -> Store | Attachment:
        self._front.confirm()
        reader = self._reader
        reader.check_open()
        with guarded(f"reading {self._core.path}"):
            reader.refresh()
        return reader

    @property
    def id(self) -> str:
        """Its id: `col_` and a UUID."""
        return self._id

    # Writing.

    def put(self, key: bytes, value: Given, *, sync: bool = False) -> int:
        """Store a record on a majority, and return its sequence number. As `Collection.put`; `sync` changes nothing."""
        raw = _bytes_of(value)
        if self._is_held((check_key(key),)):
            return self._after_others([(key, value)])[0]
        sequence: int = self._front.ask(Put(self._key, key, check_value(raw)), chance=self._needs_chance)
        return sequence

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, sync: bool = False) -> range:
        """Store a batch, all of it or nothing: see `Collection.put_many`. At most some 80 MB of keys and values."""
        given = list(items)
        ready = _items(given)
        if not ready:
            return range(self.next_sequence, self.next_sequence)
        if self._is_held([key for key, _ in ready]):
            return self._after_others(given)
        first, count = self._front.ask(PutMany(self._key, ready), chance=self._needs_chance)
        return range(first, first + count)

    def put_each(
        self, items: Iterable[tuple[bytes, bytes]], names: Sequence[bytes | None] | None = None, *, sync: bool = False
    ) -> list[int | BlockDBError | None]:
        """Store records, each for itself, with one command: see `Collection.put_each`.

        `names` are those of the requests that they come from (see `as_request`). `sync` is as if it were given.
        """
        given = list(items)
        became: list[int | BlockDBError | None] = [None] * len(given)
        asked: list[int] = []
        store = self._own_store
        for number, (key, value) in enumerate(given):
            try:
                check_key(key)
                check_value(value)
            except InvalidData as error:
                became[number] = error
            else:
                if store.gate is None or not self._is_held((key,)):
                    asked.append(number)
        if asked:
            stored = self._front.ask_each(
                self._key,
                [given[number] for number in asked],
                chance=self._needs_chance,
                names=None if names is None else [names[number] for number in asked],
            )
            for number, one in zip(asked, stored, strict=True):
                became[number] = one
        return became

    def _is_held(self, keys: Sequence[bytes]) -> bool:
        """Whether a transaction of this node holds one of these keys."""
        store = self._own_store
        if store.gate is None:
            return False
        with store.writing:
            if store.gate is not None:
                try:
                    store.gate.check(keys)
                except Held:
                    return True
        return False

    def _after_others(self, items: Sequence[tuple[bytes, Given]]) -> range:
        """Store records once the transactions of this node that are in the way have ended."""
        return self._core.transactions.commit_alone(self.part(), items, False)

    def values_of(self, items: Sequence[tuple[bytes, Given]]) -> list[bytes]:
        """The values as `put_many` would store them now. Raises InvalidData, ValidationError. O(n)."""
        return list(Preparation(self._own_store).prepare(items).values)

    def part(self) -> Part:
        """What one transaction has to do with the collection, which sees what was acknowledged anywhere before."""
        self._front.confirm()
        store = self._own_store
        return self._core.transactions.part(ConfirmedReads(self), store, Preparation(store))

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """Erase the values of keys for good, on all nodes: see `Collection.redact_many`.

        The replicated log keeps what was written for a while: each node drops that part of it soon after.
        """
        sequences = self._front.ask(Redact(self._key, _author(by), tuple(keys), reason))
        quarantined = any(path.is_file() for path in self._core.files.quarantine.rglob("*"))
        return Redaction(tuple(sequences), self._front.machine.files_redacted(self._key), quarantined)

    # Schema and indexes.

    def set_schema(self, schema: Source, *, by: str | None = None) -> SchemaVersion:
        """Have all documents from now on be as this schema says: see `Collection.set_schema`."""
        text = schema_text(schema)
        known = self._front.machine.database.collection(self._id)._look_ahead(schema)  # so that nobody waits for it
        self._front.ask(SetSchema(self._key, _author(by), text, known))
        return self.schemas()[-1]

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """Index the values that documents have at some paths: see `Collection.create_index`."""
        paths = (fields,) if isinstance(fields, str) else tuple(fields)
        self._front.ask(CreateIndex(self._key, _author(by), name, paths, unique, sparse))
        with reading("Local"):
            return next(info for info in self.indexes() if info.name == name)

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """Remove an index: see `Collection.drop_index`."""
        self._front.ask(DropIndex(self._key, _author(by), name))

    # About this node, or about what the collection is.

    @locally
    def flush(self) -> None:
        """Write everything that this node has in memory to tables. Raises StorageError."""
        self._own_store.flush()

    @locally
    def compact(self) -> None:
        """Flush, then merge all tables of this node into one. O(n). Raises StorageError."""
        self._own_store.compact()

    @locally
    def stats(self) -> Statistics:
        """An immutable snapshot of this node."""
        return Collection.stats(self)

    @locally
    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        """Recompute every hash of the collection on this node: see `Collection.verify`."""
        return Collection.verify(self, progress, cancel)

    def describe(self) -> CollectionInfo:
        """What the collection is, and what it holds at this moment."""
        self._front.confirm()
        return super().describe()

    def collection_stats(self) -> CollectionStats:
        """How much it holds."""
        self._front.confirm()
        return super().collection_stats()


def schema_text(schema: Source) -> bytes:
    """A schema as commands have it. Raises InvalidData."""
    return msgspec.json.encode(schema_of(schema).to_json())


def _author(by: str | None) -> str:
    return login_name() if by is None else by


def _bytes_of(given: Given) -> bytes:
    """A value as it is proposed. Raises InvalidData for what can be none."""
    return encode(plain(given)) if isinstance(given, Mapping) else check_value(given)


def _items(given: Sequence[tuple[bytes, Given]]) -> Items:
    """A batch as it is proposed. Raises InvalidData."""
    keys, values = unzipped(given)
    if set(map(type, values)) - {bytes}:
        values = tuple(map(_bytes_of, values))
    return tuple(zip(*check_records(keys, values), strict=True))  # type: ignore[arg-type]
