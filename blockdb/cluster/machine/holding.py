"""The database of a node, and how far the log is in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

from blockdb.cluster.machine.commands import SEED_BYTES
from blockdb.cluster.machine.marks import Marks, read_mark
from blockdb.cluster.machine.outcomes import Outcomes
from blockdb.cluster.machine.pending import Pending
from blockdb.cluster.machine.surroundings import CommandSurroundings
from blockdb.cluster.machine.target import Target
from blockdb.config import DatabaseConfig
from blockdb.database.core import Core
from blockdb.database.database import Database
from blockdb.database.proofs.journal import JOURNAL_COLLECTION, Journal
from blockdb.errors import (
    CollectionNotFound,
    ConfigError,
    Corruption,
    DatabaseNotFound,
    InvalidData,
    UnsupportedFormat,
)
from blockdb.format.applied import Applied, Begun
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.security.tokens import TokenInfo, from_values, values_of
from blockdb.storage.commons import Means
from blockdb.storage.door import Door
from blockdb.storage.history import History
from blockdb.storage.metadata import PREFIX
from blockdb.storage.store import Store
from blockdb.storage.surroundings import MACHINE

__all__ = ["Holding", "id_of", "key_of"]

DELAY_MS: Final = 1000
"""How long the database under the log lets what it was told wait for the disk, at the most: the log has it."""

ADOPTED_INDEX: Final = 1
"""What was there before there was a log is as if its first entry had brought it."""


def id_of(collection: bytes) -> str:
    """The id of a collection, of which commands say its 16 bytes."""
    return PREFIX + str(UUID(bytes=collection))


def key_of(collection_id: str) -> bytes:
    """The 16 bytes by which commands name a collection."""
    return bytes.fromhex(collection_id.removeprefix(PREFIX).replace("-", ""))


class Holding:
    """Opened by `open`, if there is a database already; by `make`, if a command says so. For one thread."""

    def __init__(
        self,
        config: DatabaseConfig,
        source: MasterKeySource | None,
        outcomes: Outcomes,
        pending: Pending,
        plain_door: Door,
        *,
        adopt: bool = False,
        means: Means | None = None,
    ) -> None:
        """With `adopt`, what the directory holds counts as applied. Raises ConfigError."""
        if config.key_file:
            raise ConfigError("key_file: the nodes of a cluster sign with one key, which each has in its directory.")
        self.config = replace(config, wal_sync_interval=config.wal_sync_interval or DELAY_MS)
        self.source = source or MasterKeySource(config.master_key_file)
        self.files = DatabaseFiles(Path(config.data_dir))
        self.outcomes = outcomes
        self.pending = pending
        self.plain_door = plain_door
        self._adopt, self._means = adopt, means
        self.surroundings = CommandSurroundings()
        self.marks = Marks(self.files, None, outcomes, pending)
        self.database: Database | None = None
        self.index = self.time_ms = 0
        self.erased_index = 0
        """Commands up to this one have values that were redacted since."""
        self.tokens: tuple[TokenInfo, ...] = ()
        """Those that are good at all nodes; replaced as a whole."""
        self._counts: dict[bytes, int] = {}
        self._targets: dict[bytes, Target] = {}
        self._ahead: frozenset[bytes] = frozenset()

    # Opening and closing.

    @property
    def exists(self) -> bool:
        """Whether the directory has a database."""
        return self.files.registry.exists()

    def open(self) -> None:
        """Open what there is. Raises what `Database` does, and DatabaseNotFound where it is no node's directory."""
        last = self.marks.last = read_mark(self.plain_door, self.files)
        if last is not None:
            self.index, self.time_ms, self._counts = last.index, last.time_ms, dict(last.counts)
            self.erased_index = last.erased_index
            self.tokens = _tokens(last)
        if not self.exists:
            return
        if last is None and not self._adopt:
            if self.files.raft.id.exists():
                raise Corruption(str(self.files.raft.applied), None, "the file is missing")
            raise DatabaseNotFound(
                f"{self.files.root} has a database that belongs to no cluster. Start it with --bootstrap to make it "
                "the beginning of one, or choose an empty directory."
            )
        self._enter_begun()
        self.database = self._opened(self.config)
        self.marks.load(self.door)
        self.outcomes.are_kept = True
        if self._adopt:
            self._take_as_applied()
        records = self._records().items()
        self._ahead = frozenset(key for key, count in records if count > self._counts.get(key, 0))

    def _enter_begun(self) -> None:
        """Have what a command left half done finished as it would have been; what is adopted, with our own chance."""
        begun = self.marks.last.begun if self.marks.last is not None else None
        if self.marks.last is None:
            self.surroundings.enter(MACHINE.now_ms(), MACHINE.chance(SEED_BYTES, "adoption"))
        elif begun is None:
            self.surroundings.enter(self.time_ms, b"")
        else:
            self.surroundings.enter(begun.time_ms, begun.seed)
        self.surroundings.told_from = None if begun is None else begun.told_from

    def _take_as_applied(self) -> None:
        self.index = max(self.index, ADOPTED_INDEX)
        newest = [
            figures.last_time_ms or 0 for figures in map(self.core.catalog.figures, self.core.catalog.ids().values())
        ]
        self.time_ms = max(self.time_ms, *newest)
        self.journal().tell_anew()
        self._counts = self._records()
        self._counts[key_of(self._journal_id)] = self._journal_records()
        self.write_mark()

    def _records(self) -> dict[bytes, int]:
        """How many records each collection of users has. O(collections)."""
        catalog = self.core.catalog
        return {key_of(id_): catalog.figures(id_).records for id_ in catalog.own_and_others()[1].values()}

    def make(self, block_records: int, *, redactable: bool, encrypted: bool) -> str:
        """Make the database, with the chance of the command whose turn it is; its id. Once more if it was cut short.

        Raises ConfigError where this node is set up in another way.
        """
        if self.config.encryption_enabled not in (None, encrypted):
            is_ = "encrypted" if encrypted else "not encrypted"
            raise ConfigError(
                f"encryption_enabled: the cluster's database is {is_}, and so are those of all its nodes."
            )
        if self.database is None:
            config = replace(
                self.config,
                blockchain_batch_size=block_records,
                redactable=redactable,
                encryption_enabled=encrypted,
            )
            self._opened(config, create=True).close()
            self.database = self._opened(self.config)
        self.journal()
        self.outcomes.are_kept = True
        return self.core.catalog.default_id()

    def _opened(self, config: DatabaseConfig, *, create: bool = False) -> Database:
        return Database(
            config,
            read_only=False,
            create=create,
            door=self.plain_door,
            source=self.source,
            surroundings=self.surroundings,
            means=self._means,
        )

    def close(self) -> None:
        """Close the database; what was applied is on the disk then, and the mark says so. Idempotent."""
        door, counts = self.door, self.counts()
        if self.database is not None:
            self.abandon()
            self.marks.write(door, self.applied(counts))

    def abandon(self) -> None:
        """Let go of the database as it is: what the mark says stays."""
        database, self.database = self.database, None
        self._targets = {}
        if database is not None:
            database.close()

    # What there is.

    @property
    def inner(self) -> Database:
        """The database. Raises InvalidData before there is one."""
        if self.database is None:
            raise InvalidData("The cluster has no database yet.")
        return self.database

    @property
    def core(self) -> Core:
        """What its handles share."""
        return self.inner._core

    @property
    def door(self) -> Door:
        """The door through which what belongs to the database is read and written."""
        return self.plain_door if self.database is None else self.database._door

    @property
    def _journal_id(self) -> str:
        return self.core.catalog.ids()[JOURNAL_COLLECTION]

    def journal(self) -> Journal:
        """The journal; it is made where there is none."""
        journal = self.core.notary.journal()
        assert journal is not None, "a writer has one"
        return journal

    def _journal_records(self) -> int:
        return self.journal().reader.next_sequence

    def store(self, collection: bytes) -> Store:
        """An open collection. Raises CollectionNotFound."""
        return self.target(collection).store

    def target(self, collection: bytes) -> Target:
        """A collection that commands store records in. Raises CollectionNotFound, Corruption, StorageError."""
        found = self._targets.get(collection)
        if found is None:
            id_ = id_of(collection)
            if id_ == self._journal_id:
                raise CollectionNotFound(id_)
            store = self.core.catalog.reader(id_)
            assert isinstance(store, Store), "a writer has stores"
            found = self._targets[collection] = Target(store, self._counts.get(collection, 0))
        return found

    def history(self, collection: bytes) -> History:
        """The chain of a collection as of now, all full blocks sealed. For any thread. Raises CollectionNotFound."""
        reader = self.core.catalog.reader(id_of(collection))
        reader.refresh()
        return reader.history()

    def touched(self) -> dict[bytes, int]:
        """How many records each collection has that commands were about since it was opened, and the journal."""
        targets = dict(self._targets)  # any thread may ask
        counts = {key: target.count for key, target in targets.items()}
        return {**counts, key_of(self._journal_id): self._journal_records()}

    def forget(self, collection: bytes) -> None:
        """A collection was dropped."""
        self._targets.pop(collection, None)
        self._counts.pop(collection, None)
        self._ahead -= {collection}

    @property
    def is_ahead(self) -> bool:
        """Whether the database holds records that the log has not come to yet, since a crash."""
        if not self._ahead:
            return False
        targets = self._targets
        self._ahead = frozenset(key for key in self._ahead if key not in targets or targets[key].is_ahead)
        return bool(self._ahead)

    # Marks.

    def counts(self) -> dict[bytes, int]:
        """How many records of each collection were applied."""
        if self.database is None:
            return dict(self._counts)
        applied = {key: target.count for key, target in self._targets.items()}
        return {**self._counts, **applied, key_of(self._journal_id): self._journal_records()}

    def applied(self, counts: dict[bytes, int], begun: Begun | None = None) -> Applied:
        """What a mark says now."""
        tokens = tuple(map(values_of, self.tokens))
        return Applied(
            self.index, self.time_ms, dict(sorted(counts.items())), (), begun, self.erased_index, tokens=tokens
        )

    def force(self) -> None:
        """Have all that was applied on the disk. Raises StorageError."""
        if self.database is not None:
            for reader in self.core.catalog.opened():
                reader.force()

    def write_mark(self, begun: Begun | None = None) -> None:
        """Have everything on the disk, and say so. Raises StorageError."""
        self.force()
        self._counts = self.counts()
        self.marks.write(self.door, self.applied(self._counts, begun))

    def begin(self, index: int, seed: bytes, note: bytes) -> None:
        """Before a command that changes more than records: everything before it is on the disk, and it may be done."""
        told_from = 0 if self.database is None else self._journal_records()
        self.write_mark(Begun(index, self.time_ms, seed, told_from, note))

    def begun(self, index: int) -> Begun | None:
        """What is known of a command that an earlier process may have done in part."""
        last = self.marks.last
        return last.begun if last is not None and last.begun is not None and last.begun.index == index else None

    def end(self, index: int) -> None:
        """After such a command."""
        self.index = index
        if self.database is not None:
            self.surroundings.told_from = None
            self.journal().tell_anew()
        self.write_mark()


def _tokens(last: Applied) -> tuple[TokenInfo, ...]:
    try:
        return tuple(map(from_values, last.tokens))
    except (InvalidData, KeyError, TypeError, ValueError) as error:
        raise UnsupportedFormat(f"The tokens of the cluster are of a newer version of BlockDB: {error}.") from None
