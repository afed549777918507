"""The collection of a partition, wherever it is held: here, else by another node; where that is gone, by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter, methodcaller
from threading import Event
from time import monotonic
from typing import Any, Final, TypeVar, cast

from blockdb.cluster.database.collection import ReplicatedCollection
from blockdb.cluster.database.context import as_request, concern, is_passed_on, new_command_id
from blockdb.cluster.partitions.engine import Engine
from blockdb.cluster.partitions.holding import Holdings
from blockdb.cluster.partitions.registry import Registry
from blockdb.errors import BlockDBError, CollectionNotFound, DatabaseClosed, StorageError, Unavailable
from blockdb.interface import AnyCollection, AnyDatabase
from blockdb.types import CollectionInfo

__all__ = ["PartitionHandle", "Reach", "Ways"]

Reach = Callable[[Sequence[str], str], AnyDatabase]
"""Gives the database as one of the nodes at these addresses has it, with reads of that read concern."""

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.5
"""Where nobody serves a partition, it is tried again after pauses, each twice as long as the one before."""

MOST_KEPT: Final = 4096
"""So many handles of other nodes' collections are kept."""

PROPERTIES: Final = frozenset(("next_sequence", "schema"))
WRITES: Final = frozenset(("create_index", "drop_index", "put", "put_many", "redact", "redact_many", "set_schema"))
"""What is stored once, however often it is tried."""
QUESTIONS: Final = frozenset(
    (
        "block", "block_leaves", "block_records", "blocks", "checkpoint", "collection_stats", "compact",
        "consistency_proof", "count", "delete", "document", "exists", "explain", "export_tiles", "find", "flush",
        "get", "indexes", "keys", "prove", "prove_absent", "prove_range", "prove_run", "record", "record_counts",
        "records", "root_at", "scan", "schema_version", "schemas", "stats", "tile", "verify", "watch",
    )
)  # fmt: skip

T = TypeVar("T")


class Ways:
    """The ways to the collections of partitions. Safe for threads."""

    def __init__(self, engine: Engine, registry: Registry, holdings: Holdings, reach: Reach, patience_s: float) -> None:
        self.holdings = holdings
        self.patience_s = patience_s
        self.is_over = False
        """Whether the database was closed."""
        self._engine, self._registry, self._reach = engine, registry, reach
        self._kept: dict[tuple[tuple[str, ...], str, str], tuple[AnyDatabase, AnyCollection]] = {}

    def here(self, partition: str) -> ReplicatedCollection | None:
        """The collection of a partition that is held here, and can be asked."""
        found = self.holdings.get(partition)
        return None if found is None else found.collection

    def check(self, partition: str, collection_id: str) -> None:
        """Where a partition has no holders: raises CollectionNotFound if its collection was dropped."""
        if partition not in self._engine.rosters():
            with suppress(Unavailable):
                if self._registry.is_gone(collection_id):
                    raise CollectionNotFound(collection_id)

    def elsewhere(self, partition: str, name: str) -> AnyCollection:
        """The same, as other nodes have it, where it is called `name`. Raises Unavailable."""
        own, roster = self._engine.own.id, self._engine.rosters().get(partition)
        others = () if roster is None else tuple(each.address for each in roster.all if each.id != own)
        if not others:
            raise Unavailable(
                f"No other node holds partition {partition}. Try again, or look at the cluster's members."
            )
        level = concern()
        database = self._reach(others, level)
        known = self._kept.get((others, level, name))
        if known is not None and known[0] is database:
            return known[1]
        found = database.collection(name)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[others, level, name] = database, found
        return found


class PartitionHandle:
    """An `AnyCollection` in what it answers. Each question goes to this node if it holds the partition, else to others.

    What cannot be answered is tried again, for a while: partitions move. What is written goes by one id all the time,
    so that it is stored once. Beside what `Collection` says, every method may raise Unavailable.
    """

    read_only = False

    def __init__(self, ways: Ways, partition: str, collection_id: str, name: str, number: int) -> None:
        """`collection_id` and `name` are those of the whole collection."""
        self._ways = ways
        self.partition = partition
        self._collection_id = collection_id
        self.id = f"{collection_id}:{number}"
        self.name = f"{name}:{number}"

    @property
    def any(self) -> AnyCollection:
        """Itself, as what it can be used as."""
        return cast(AnyCollection, self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __getattr__(self, name: str) -> Any:
        if name in PROPERTIES:
            return self._ask(attrgetter(name))
        if name in WRITES:
            return lambda *given, **named: self._write(methodcaller(name, *map(_kept, given), **_all_kept(named)))
        if name in QUESTIONS:
            return lambda *given, **named: self._ask(methodcaller(name, *given, **named))
        raise AttributeError(f"A collection has no {name}.")

    def __contains__(self, key: bytes) -> bool:
        found: bool = self._ask(methodcaller("exists", key))
        return found

    def describe(self) -> CollectionInfo:
        """See `Collection.describe`; it is called what it is asked for by, not what it is in its own database."""
        found: CollectionInfo = self._ask(methodcaller("describe"))
        return replace(found, id=self.id, name=self.name)

    def put_each(
        self, items: Sequence[tuple[bytes, bytes]], names: Sequence[bytes | None] | None = None
    ) -> list[int | BlockDBError | None]:
        """Store records, each for itself: see `ReplicatedCollection.put_each`. None of them where it is held elsewhere.

        A None says so of each: it is for `put`.
        """
        here = self._ways.here(self.partition)
        given = list(items)
        return [None] * len(given) if here is None else here.put_each(given, names)

    def _write(self, act: Callable[[Any], T]) -> T:
        if is_passed_on():
            return self._ask(act)  # the node that has passed it on has given it its name
        name = new_command_id()

        def named(collection: Any) -> T:
            with as_request(name):
                return act(collection)

        return self._ask(named)

    def _ask(self, act: Callable[[Any], T]) -> T:
        deadline, pause_s = monotonic() + self._ways.patience_s, FIRST_PAUSE_S
        while True:
            error: BlockDBError | None = None
            for way in self._possible():
                try:
                    return act(way())
                except (Unavailable, DatabaseClosed) as refused:
                    error = error or refused
                except StorageError as failed:
                    if self._ways.here(self.partition) is None:
                        raise  # it is not the disk of this node
                    error = failed
            assert error is not None, "there was a way"
            if self._ways.is_over:
                raise DatabaseClosed("The database was closed.")
            self._ways.check(self.partition, self._collection_id)
            if is_passed_on() or monotonic() + pause_s > deadline:
                raise error
            Event().wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _possible(self) -> Iterator[Callable[[], Any]]:
        here = self._ways.here(self.partition)
        if here is not None:
            yield lambda: here
        yield lambda: self._ways.elsewhere(self.partition, self.id)


def _kept(given: object) -> object:
    """What can be given once more."""
    return list(given) if isinstance(given, Iterator) else given


def _all_kept(named: dict[str, Any]) -> dict[str, Any]:
    return {name: _kept(value) for name, value in named.items()}
