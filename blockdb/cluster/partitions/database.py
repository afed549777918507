"""The database of a cluster whose collections are spread over partitions, as one of its nodes gives it to its users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final, cast

from blockdb.cluster.database.collection import locally
from blockdb.cluster.database.context import first_id, reading
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.front import Front
from blockdb.cluster.machine.commands import DropCollection
from blockdb.cluster.machine.holding import key_of
from blockdb.cluster.partitions.asking import Asker
from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.cluster.partitions.creating import Creating
from blockdb.cluster.partitions.engine import Engine, partition_name
from blockdb.cluster.partitions.handles import PartitionHandle, Ways
from blockdb.cluster.partitions.holding import Holdings
from blockdb.cluster.partitions.placed import PlacedDatabase
from blockdb.cluster.partitions.rebalancing import Rebalancing
from blockdb.cluster.partitions.recovering import Recovering
from blockdb.cluster.partitions.registry import Registry
from blockdb.cluster.partitions.summing import report_of
from blockdb.cluster.partitions.transacting import Transacting
from blockdb.cluster.partitions.transaction import Spread, SpreadPart
from blockdb.database.backup.stream import Backup
from blockdb.database.collection import Collection
from blockdb.database.database import Database
from blockdb.database.describing import TotalStats
from blockdb.database.redaction import login_name
from blockdb.database.schemas import Source, schema_of
from blockdb.database.transactions.part import Part
from blockdb.errors import CollectionNotFound, InvalidData, Unavailable
from blockdb.interface import AnyCollection, AnyFeed
from blockdb.settings import CollectionSettings
from blockdb.statistics import Statistics
from blockdb.storage.metadata import Metadata
from blockdb.types import Anchor, CollectionInfo, Progress, Report

__all__ = ["PartitionedDatabase"]

SPREAD: Final = ("partitions", "replication_factor")
"""The settings of a collection that the cluster has its own values for."""

MAKING_S: Final = 0.5
"""So much longer it may take until a collection is there, for each of its partitions."""


class PartitionedDatabase(PartitionedCollection, PlacedDatabase):  # type: ignore[misc]
    """A `Database` over `root`, which knows the collections, and over the partitions that have what is in them.

    It answers everything about every collection, whichever nodes hold its partitions. Plain put and get go to the
    default collection, of one partition. What is about this node alone (flushing, verifying, figures) is about what it
    holds. Made by `open_partitioned`.
    """

    def __init__(
        self,
        front: Front,
        engine: Engine,
        holdings: Holdings,
        creating: Creating,
        rebalancing: Rebalancing,
        ways: Ways,
        defaults: Mapping[str, int],
    ) -> None:
        """`front` is that of root, whose machine has a database; `defaults` are settings of new collections."""
        ReplicatedDatabase.__init__(self, front)
        self.engine = engine
        self.holdings = holdings
        self._rebalancing = rebalancing
        self._creating, self._ways, self._defaults = creating, ways, dict(defaults)
        self._registry = Registry(front)
        asker = Asker(engine, holdings, self._registry, ways.patience_s)
        self._transacting = Transacting(asker, ways.patience_s)
        self._recovering = Recovering(holdings, asker)
        self._spreads: dict[str, Spread] = {}
        front.commit_parts = self._transacting.commit_parts
        self._handles: dict[str, PartitionedCollection] = {}
        self._closing = Lock()
        self._is_closed = False
        own = front.core.catalog.metadata(front.core.catalog.default_id())
        PartitionedCollection.__init__(self, own.id, own.name, self._current(own), self._committing(own))

    # Collections.

    def _current(self, metadata: Metadata) -> Callable[[], Sequence[AnyCollection]]:
        made = [self._part(metadata, number).any for number in range(metadata.settings.partitions)]
        return lambda: made

    def _part(self, metadata: Metadata, number: int) -> PartitionHandle:
        partition = partition_name(metadata.uuid, number)
        return PartitionHandle(self._ways, partition, metadata.id, metadata.name, number)

    def _committing(self, metadata: Metadata) -> Callable[..., Any]:
        return partial(self._transacting.commit_whole, self._registry.partitions_of(metadata))

    def _handle(self, name_or_id: str) -> Collection:
        """A whole collection, or one partition of it."""
        catalog = self._core.catalog
        try:
            collection_id = catalog.resolve(name_or_id)
        except CollectionNotFound:
            name, colon, number = name_or_id.rpartition(":")
            if not (colon and number.isascii() and number.isdigit()):
                raise
            return self._partition(name_or_id, catalog.metadata(catalog.resolve(name)), int(number))
        if collection_id == self.id:
            return self
        found = self._handles.get(collection_id)
        if found is None:
            if collection_id in catalog.own_and_others()[0].values():
                return ReplicatedDatabase._handle(self, name_or_id)  # such as the journal, which root has itself
            metadata = catalog.metadata(collection_id)
            made = PartitionedCollection(
                collection_id, metadata.name, self._current(metadata), self._committing(metadata)
            )
            found = self._handles.setdefault(collection_id, made)
        return found

    def _partition(self, asked: str, metadata: Metadata, number: int) -> PartitionedCollection:
        if number >= metadata.settings.partitions:
            raise CollectionNotFound(asked)
        handle = self._part(metadata, number)
        found = PartitionedCollection(handle.id, handle.name, lambda: [handle.any], self._committing(metadata))
        found.whole = metadata.name
        return found

    def has_collection(self, name_or_id: str) -> bool:
        """Whether there is a collection, or a partition of one, of that name or id."""
        self._front.confirm()
        return self.knows(name_or_id)

    def knows(self, name_or_id: str) -> bool:
        """See `ReplicatedDatabase.knows`."""
        try:
            self._handle(name_or_id)
        except CollectionNotFound:
            return False
        return True

    def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> Collection:
        """Make a collection, whose partitions are there when this returns: see `Database.create_collection`.

        Of `partitions` and `replication_factor`, those that are not given, or 1 in a `CollectionSettings`, are the
        cluster's. Where its partitions cannot be made in time (Unavailable), some node makes them later.
        """
        given = self._with_defaults(settings)
        partitions = given.get("partitions", 1)
        if schema is not None and partitions != 1 and any(index.unique for index in schema_of(schema).indexes):
            raise InvalidData(
                f"An index of {name} cannot be unique, since it is to have {partitions} partitions, and none knows the "
                "values of the others. Make what has to be unique the key."
            )
        made = super().create_collection(
            name, schema=schema, settings=given, description=description, created_by=created_by
        )
        metadata = self._registry.find(made.id)
        if metadata is not None:
            self._creating.complete(metadata)
            self._wait_for(made, metadata.settings.partitions)
        return made

    def _wait_for(self, made: Collection, partitions: int) -> None:
        """Until each partition answers: their databases are made meanwhile."""
        deadline = monotonic() + self._ways.patience_s + partitions * MAKING_S
        while True:
            try:
                made.collection_stats()
                return
            except Unavailable as error:
                if monotonic() > deadline:
                    raise Unavailable(
                        f"The collection {made.name} was made, but not all of its {partitions} partitions answer yet "
                        f"({error}). They will as soon as enough nodes are there."
                    ) from error

    def _with_defaults(self, settings: CollectionSettings | dict[str, Any] | None) -> dict[str, Any]:
        given = settings or {}
        if isinstance(given, CollectionSettings):
            known = asdict(given)
            given = {key: value for key, value in known.items() if key not in SPREAD or value != 1}
        return {**self._defaults, **given}

    def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """Remove a collection with all its partitions, for good, from all nodes: see `Database.drop_collection`."""
        found = self.collection(name_or_id)
        if not isinstance(found, PartitionedCollection) or found.whole is not None:
            raise InvalidData(f"{name_or_id} is a partition of a collection, which can be dropped as a whole alone.")
        info = found.describe()
        self._front.ask(DropCollection(key_of(info.id), login_name() if by is None else by))
        self._handles.pop(info.id, None)
        self._creating.remove(info.id)
        return info

    def collections(self) -> tuple[CollectionInfo, ...]:
        """What there is, in the order of names. Asks one holder of each partition. O(partitions)."""
        self._front.confirm()
        found = []
        for metadata in self._registry.all():
            try:
                found.append(self._handle(metadata.id).describe())
            except CollectionNotFound:  # dropped meanwhile
                continue
        return tuple(found)

    def total_stats(self) -> TotalStats:
        """How many collections there are, with how many documents and bytes; exact. Costs as `collections`."""
        stats = [info.stats for info in self.collections()]
        return TotalStats(
            len(stats), sum(one.document_count for one in stats), sum(one.total_size_bytes for one in stats)
        )

    def watch(  # type: ignore[override]
        self,
        *,
        collection: str | None = None,
        prefix: bytes | None = None,
        after: int | str | None = None,
        timeout_s: float | None = None,
    ) -> AnyFeed:
        """The change stream of a collection, of the default one unless it is given: see `Collection.watch`."""
        if collection is not None and self.collection(collection) is not self:
            return self.collection(collection).watch(prefix=prefix, after=after, timeout_s=timeout_s)
        return PartitionedCollection.watch(self, prefix=prefix, after=after, timeout_s=timeout_s)

    # Transactions.

    def _part_of(self, name_or_id: str | None) -> Part:
        found = self if name_or_id is None else self._handle(name_or_id)
        if not isinstance(found, PartitionedCollection) or found.whole is not None:
            raise InvalidData(f"A transaction is over whole collections, and {name_or_id} is a partition of one.")
        spread = self._spreads.get(found.id)
        if spread is None:
            metadata = self._core.catalog.metadata(found.id)
            handles = tuple(self._part(metadata, number) for number in range(metadata.settings.partitions))
            whole = cast(Collection, _Default(self)) if found is self else found
            spread = self._spreads.setdefault(found.id, Spread(whole, metadata.name, handles))
        return SpreadPart(self._ways, spread)

    def found_commit(self, name: bytes) -> dict[str, Sequence[int]] | None:  # type: ignore[override]
        """What was stored by the commit in the request of that name: see `ReplicatedDatabase.found_commit`.

        All partitions are asked. The numbers of a collection are in their own order. O(partitions)
        """
        with reading("Linearizable"):
            self._front.confirm()
        asked = [
            (partition, number, metadata.settings.partitions)
            for metadata in self._registry.all()
            for number, partition in enumerate(self._registry.partitions_of(metadata))
        ]
        return self._transacting.found(first_id(name), asked)

    # What is signed as a whole: by root. What a collection signs, its partitions do.

    def checkpoint(self, collection: str | None = None) -> str:
        """The signed checkpoint of a collection of one partition, of a partition, or of the journal of `root`."""
        if collection is None:
            return ReplicatedDatabase.checkpoint(self)
        return self._asked(collection).checkpoint()

    def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """That the tree of `size` records extends the one of `old_size`: of what `checkpoint` is of."""
        if collection is None:
            return ReplicatedDatabase.consistency_proof(self, old_size, size)
        return self._asked(collection).consistency_proof(old_size, size)

    def root_at(self, size: int, collection: str | None = None) -> bytes:
        """The root of the tree of the first `size` records: of what `checkpoint` is of."""
        if collection is None:
            return ReplicatedDatabase.root_at(self, size)
        return self._asked(collection).root_at(size)

    def _asked(self, name_or_id: str) -> Collection:
        """A collection, as what it signs by itself."""
        found = self.collection(name_or_id)
        return cast(Collection, _Default(self)) if found is self else found

    # What is about this node alone.

    def _databases(self) -> list[ReplicatedDatabase]:
        """Those of the partitions that serve here."""
        return [each.database for each in self.holdings.all() if each.serves and each.database is not None]

    @locally
    def flush(self) -> None:
        """Write everything that this node has in memory to tables, and force it to disk. Raises StorageError."""
        ReplicatedDatabase.flush(self)
        for database in self._databases():
            database.flush()

    @locally
    def compact(self) -> None:
        """Flush, then merge all tables of each collection of this node into one. O(n). Raises StorageError."""
        ReplicatedDatabase.compact(self)
        for database in self._databases():
            database.compact()

    @locally
    def stats(self) -> Statistics:
        """A snapshot of the default collection on this node, as far as it is held here."""
        here = self._ways.here(partition_name(key_of(self.id), 0))
        if here is None:
            return ReplicatedDatabase.stats(self)
        return replace(here.stats(), transactions=self._core.transactions.statistics())

    @locally
    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """Audit what this node has: root, then each partition that it holds. See `Database.verify`."""
        done = [ReplicatedDatabase.verify(self, progress, cancel, anchors)]
        for database in self._databases():
            if done[-1].cancelled:
                break
            done.append(Database.verify(database, progress, cancel))
        return report_of(done)

    def backup(self, *, signing_key: bool = False, since: Any = None) -> Backup:
        """Refuse: raises InvalidData. No node has all of it, and the copies of several are of no common moment."""
        raise InvalidData(
            "A database that is spread over nodes cannot be backed up as a whole yet: keep several copies of each "
            "partition (replication_factor), and export what has to be kept elsewhere (blockdb export)."
        )

    def rotate_key(self) -> str:
        """Refuse: raises InvalidData. All partitions sign with one key."""
        raise InvalidData("The signing key of a database that is spread over nodes cannot be changed while it runs.")

    @locally
    def open_collections(self) -> dict[str, Collection]:
        """The collections that have files open here: those of root, and of each partition that is held here its own."""
        found: dict[str, Collection] = {
            name: each for name, each in ReplicatedDatabase.open_collections(self).items() if each is self
        }
        for each in self.holdings.all():
            collection = each.collection
            if collection is not None:
                whole = self._handle(collection.name)
                is_alone = isinstance(whole, PartitionedCollection) and whole._parts.count == 1
                found[collection.name if is_alone else f"{collection.name}:{each.number}"] = collection
        return found

    # The end.

    def close(self) -> None:
        """Take part no longer, and close the databases of this node. Idempotent. Raises StorageError."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = self._ways.is_over = True
        self._rebalancing.close()
        self._creating.close()
        self._recovering.close()
        self.holdings.close()
        try:
            ReplicatedDatabase.close(self)
        finally:
            self.engine.close()

    def __enter__(self) -> PartitionedDatabase:
        return self


class _Default:
    """The default collection alone, of a database that signs as a whole under the same names."""

    def __init__(self, database: PartitionedDatabase) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **named: getattr(PartitionedCollection, name)(self._database, *given, **named)
