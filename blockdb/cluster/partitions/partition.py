"""A partition that this node holds: its log, the database over it, and the steps until that serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from enum import Enum
from os import urandom
from pathlib import Path
from time import monotonic, time_ns
from typing import Final

import msgspec

from blockdb.cluster.database.collection import ReplicatedCollection
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.machine.commands import ID_BYTES, SEED_BYTES, Content, CreateCollection, Genesis, encode
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.partitions.engine import Engine
from blockdb.cluster.partitions.front import PartitionFront
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.config import DatabaseConfig
from blockdb.database.creation import DEFAULT_COLLECTION, make_root
from blockdb.errors import BlockDBError, StorageError, Unavailable
from blockdb.format.consensus import Role
from blockdb.layout import DROPPED_SUFFIX, DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.commons import Means
from blockdb.storage.door import Door, guarded
from blockdb.storage.metadata import Metadata, uuid_of

__all__ = ["Partition", "Stage"]

TURN_S: Final = 1.0
"""So long one holder after the other is given to have the database made."""
AGAIN_S: Final = 5.0
"""A proposal of which nothing came is made again so much later."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 30.0
"""What failed is tried again; each pause is twice as long as the one before, up to that."""

SHARES: Final = 16
"""A partition may have this part of what a database may have, where partitions do not share it as they need it."""
OPEN_COLLECTIONS: Final = 8


class Stage(Enum):
    """How far it is."""

    CLOSED = "closed"
    FORMING = "forming"
    """The log is read; there is no database yet, or not the collection in it."""
    SERVING = "serving"
    FAILED = "failed"
    """It is tried again after a pause."""


class Partition:
    """One thread at a time has it go on (`advance`, `close`, `remove`); any thread reads what it is."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        config: DatabaseConfig,
        registry: Registry,
        source: MasterKeySource | None,
        patience_s: float,
        means: Means | None = None,
    ) -> None:
        """`config` is that of the node; `means` is what all partitions of the node share of memory and threads."""
        self.name = name
        self.collection_id, self.number = collection_of(name)
        self.files = DatabaseFiles(DatabaseFiles(Path(config.data_dir)).partitions / name)
        self.stage = Stage.CLOSED
        self.failure: BlockDBError | None = None
        """Why it failed last; None since it served."""
        self.log: ReplicatedLog | None = None
        self.machine: Machine | None = None
        self.database: ReplicatedDatabase | None = None
        self.collection: ReplicatedCollection | None = None
        """The collection in that database; None before it serves."""
        self._engine, self._registry, self._source = engine, registry, source
        self._config = _share_of(config, self.files.root)
        self._patience_s, self._means = patience_s, means
        self._begun_s = self._next_s = self._due_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._door = Door()

    @property
    def serves(self) -> bool:
        """Whether it can be asked here; the log may say otherwise for a moment."""
        return self.stage is Stage.SERVING

    @property
    def is_due(self) -> bool:
        """Whether there is something to be done."""
        if self.stage is Stage.SERVING:
            return self._has_stopped()
        return monotonic() >= self._due_s

    def _has_stopped(self) -> bool:
        """Whether it applies nothing any more, and what would mend it is to begin again from the disk."""
        machine = self.machine
        if machine is None or machine.needs_copy:
            return False  # the log gets a copy from another holder
        try:
            machine.check()
        except BlockDBError:
            return True
        return False

    # Going on.

    def advance(self) -> None:
        """Do what can be done next, without waiting for other nodes. What fails is told by `failure`."""
        try:
            if self.stage is Stage.SERVING and self.machine is not None:
                self.machine.check()
            if self.stage in (Stage.CLOSED, Stage.FAILED):
                self._open()
            if self.stage is Stage.FORMING:
                self._form()
        except (BlockDBError, OSError) as error:
            self._fail(error if isinstance(error, BlockDBError) else StorageError(f"{self.files.root}: {error}"))

    def _open(self) -> None:
        self.close()
        with guarded(f"opening {self.files.root}"):
            make_root(self._door, self.files.root)
        self.machine = Machine(self._config, self._source, means=self._means)
        self.log = self._engine.log_of(self.name, self.files)
        self.log.start(self.machine)
        self._begun_s, self._next_s = monotonic(), 0.0
        self.stage = Stage.FORMING

    def _form(self) -> None:
        """Have the database and the collection made, if it is this node's turn; else see whether they are there."""
        machine, log = self.machine, self.log
        assert machine is not None, "it was opened"
        assert log is not None, "it was opened"
        machine.check()
        if not machine.has_database:
            self._propose(log, self._genesis)
            return
        if self.database is None:
            self.database = ReplicatedDatabase(PartitionFront(log, machine, self._patience_s, self._signs_as()))
            self._next_s = 0.0
        found = self._found(machine)
        if found is None:
            self._propose(log, self._creation)
            return
        # Never the database itself, of which it may be the default collection: that proves and verifies as a whole.
        self.collection = ReplicatedCollection(self.database._front, found)
        self.failure, self._pause_s = None, FIRST_PAUSE_S
        self.stage = Stage.SERVING

    def _signs_as(self) -> str:
        """The name under which it signs: that of the database, the collection, and its number."""
        return f"{self._registry.signs_as}/{uuid_of(self.collection_id)}:{self.number}"

    def _found(self, machine: Machine) -> str | None:
        """The id, in the partition, of the collection that it is for."""
        known = self._registry.find(self.collection_id)
        others = machine.core.catalog.own_and_others()[1]
        if known is not None:
            return others.get(known.name)
        # This node has not heard of it, or no longer: of the one that was made for it, and the default one.
        return next((id_ for name, id_ in others.items() if name != DEFAULT_COLLECTION), None)

    def _propose(self, log: ReplicatedLog, content: Callable[[Metadata], Content]) -> None:
        now_s = monotonic()
        if now_s < max(self._begun_s + self._rank(log) * TURN_S, self._next_s):
            return
        known = self._registry.find(self.collection_id)
        if known is not None:
            log.append([encode(urandom(ID_BYTES), time_ns() // 1_000_000, urandom(SEED_BYTES), content(known))])
            self._next_s = now_s + AGAIN_S

    def _rank(self, log: ReplicatedLog) -> int:
        """Whose turn comes before that of this node: first the leader, then the voters. Learners have to wait."""
        status = log.status()
        voters = [member.id for member in log.members().all if member.role is Role.VOTER]
        order = sorted(voters, key=lambda id_: (id_ != status.leader, id_))
        return order.index(status.node_id) if status.node_id in order else len(order) + 1

    def _genesis(self, known: Metadata) -> Content:
        registry = self._registry
        return Genesis(known.blockchain_batch_size, known.redactable, registry.is_encrypted, registry.signing_seed)

    def _creation(self, known: Metadata) -> Content:
        schema = msgspec.json.encode(known.schemas[-1].schema) if known.schemas else None
        return CreateCollection(
            known.name,
            known.created_by,
            known.blockchain_batch_size,
            known.redactable,
            asdict(known.settings),
            known.description,
            schema,
        )

    def _fail(self, error: BlockDBError) -> None:
        self.close()
        self.failure, self.stage = error, Stage.FAILED
        self._due_s = monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def put_off(self) -> None:
        """Have nothing done about it for a moment."""
        self._due_s = monotonic() + FIRST_PAUSE_S

    # The end.

    def close(self) -> None:
        """Close what is open; what was applied is on the disk then. Idempotent; what goes wrong is seen when opened."""
        log, machine = self.log, self.machine
        self.stage = Stage.CLOSED
        self.log = self.machine = self.database = self.collection = None
        for each in (log, machine):
            if each is not None:
                with suppress(BlockDBError, OSError):
                    each.close()

    def remove(self) -> None:
        """Close it, and remove its directory: first it gets another name, so that no half of it is ever opened."""
        self.close()
        dropped = self.files.root.with_name(self.name + DROPPED_SUFFIX)
        with guarded(f"removing {self.files.root}"):
            self._door.remove_tree(dropped)
            if self.files.root.exists():
                self._door.rename(self.files.root, dropped)
                self._door.remove_tree(dropped)

    def check(self) -> ReplicatedCollection:
        """The collection in it. Raises Unavailable, saying why, where it does not serve."""
        collection = self.collection
        if collection is None:
            why = f": {self.failure}" if self.failure is not None else ", which is being opened"
            raise Unavailable(f"This node does not serve partition {self.name} just now{why}. Try again.")
        return collection


def _share_of(config: DatabaseConfig, root: Path) -> DatabaseConfig:
    """What the database of a partition is told."""
    return replace(
        config,
        data_dir=str(root),
        scrub_rate_limit=-(-config.scrub_rate_limit // SHARES),
        open_collections_limit=min(config.open_collections_limit, OPEN_COLLECTIONS),
    )
