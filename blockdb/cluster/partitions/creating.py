"""Partitions of collections that were made, and those of collections that were dropped.

First `root` knows a collection, then its partitions are made; first it knows it no longer, then they are removed. Both
can be done again by anybody, and is, by whichever node finds it half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import Final

from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.placing import loads_of, place
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import Member, Members, Role
from blockdb.storage.metadata import Metadata

__all__ = ["Creating", "replicas_for"]

LOOK_S: Final = 1.0
"""So often a node looks for what is half done."""
GRACE_S: Final = 2.0
"""Whoever began it has so much time to go on; so much more with each node that looks before."""


def replicas_for(copies: int, nodes: int) -> int:
    """On how many machines the log of a partition is kept: an odd number, since two that decide need both of them."""
    return min(copies + 1 - copies % 2, nodes)


class Creating:
    """Makes and removes partitions, on the thread that asks and on one of its own."""

    def __init__(self, engine: Engine, registry: Registry, log: ReplicatedLog, default_copies: int = 1) -> None:
        """`log` is that of root; the default collection, which nobody has said anything of, has so many copies."""
        self._default_copies = default_copies
        self.further: Callable[[], object] = lambda: None
        """What else is looked after now and then, by one node at a time."""
        self._engine, self._registry, self._log = engine, registry, log
        self._since: dict[str, float] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="blockdb-creating", daemon=True)

    # Nodes.

    def nodes(self) -> dict[str, Member]:
        """The nodes that may hold partitions, by their ids."""
        roster = self._engine.rosters().get(ROOT, Members())
        return {member.id: member for member in roster.all if member.role is Role.VOTER}

    def dead(self) -> set[str]:
        """Those that this node does not hear of any more."""
        status = self._log.status()
        return {each.member.id for each in status.members if each.state == "Unreachable" and each.last_heard_ms}

    def placement(self) -> dict[str, tuple[str, ...]]:
        """Who holds which partition, but for root."""
        rosters = self._engine.rosters().items()
        return {name: tuple(each.id for each in members.all) for name, members in rosters if name != ROOT}

    def copies_of(self, metadata: Metadata) -> int:
        """How many copies each partition of a collection is to have, where there are nodes enough."""
        is_default = metadata.name == DEFAULT_COLLECTION
        return self._default_copies if is_default else metadata.settings.replication_factor

    # Making and removing.

    def complete(self, metadata: Metadata) -> None:
        """Have all partitions of a collection made that are missing. Raises Unavailable."""
        present = self._engine.rosters()
        missing = [name for name in self._registry.partitions_of(metadata) if name not in present]
        if not missing:
            return
        nodes = self.nodes()
        if not nodes:
            raise Unavailable("No node is known that could hold a partition. Try again.")
        copies = min(self.copies_of(metadata), len(nodes))
        placed = place(missing, copies, loads_of(self.placement(), nodes), self.dead())
        replicas = replicas_for(copies, len(nodes))
        holders = {name: Members(tuple(nodes[id_] for id_ in ids)) for name, ids in placed.items()}
        each([partial(self._engine.create, name, members, replicas) for name, members in holders.items()])

    def remove(self, collection_id: str) -> None:
        """Have all partitions of a collection removed. Raises Unavailable."""
        names = [name for name in self._partitions() if collection_of(name)[0] == collection_id]
        each([partial(self._engine.remove, name) for name in names])

    def _partitions(self) -> Iterable[str]:
        return [name for name in self._engine.rosters() if name != ROOT]

    # What others have left half done.

    def start(self) -> None:
        """Look for it from now on."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            with suppress(BlockDBError):  # it is tried again
                self.finish()
            with suppress(BlockDBError):
                if self._engine.own.id == min(self.nodes().keys() - self.dead(), default=""):
                    self.further()

    def finish(self, grace_s: float | None = None) -> None:
        """Go on with what was left for so long (by default the longer, the more nodes look before this one)."""
        own = self._engine.own.id
        patience_s = GRACE_S * (1 + sum(id_ < own for id_ in self.nodes())) if grace_s is None else grace_s
        known = self._registry.all()
        incomplete = [each.id for each in known if self._is_incomplete(each)]
        orphaned = {collection_of(name)[0] for name in self._partitions()} - {each.id for each in known}
        now_s = monotonic()
        self._since = {id_: self._since.get(id_, now_s) for id_ in (*incomplete, *orphaned)}
        for id_, since in self._since.items():
            if now_s - since < patience_s:
                continue
            if self._registry.is_gone(id_):
                self.remove(id_)
            elif (found := self._registry.find(id_)) is not None:
                self.complete(found)

    def _is_incomplete(self, metadata: Metadata) -> bool:
        present = self._engine.rosters()
        return any(name not in present for name in self._registry.partitions_of(metadata))

    def close(self) -> None:
        """Look no longer. Idempotent."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
