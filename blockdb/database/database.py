"""The database handle: its default collection, the door to the others, and all of them together."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from sys import byteorder
from types import TracebackType
from typing import Any, TypeVar

from blockdb.config import DatabaseConfig
from blockdb.database import collections, creation, encryption
from blockdb.database.backup.pausing import writes_paused
from blockdb.database.backup.stream import Backup
from blockdb.database.collection import Collection
from blockdb.database.core import Core
from blockdb.database.describing import TotalStats, info_of
from blockdb.database.proofs import keys
from blockdb.database.redaction import login_name
from blockdb.database.schemas import Source
from blockdb.database.scrubber import Scrubber, ScrubFile
from blockdb.database.transacting import TransactingDatabase
from blockdb.errors import CollectionNotFound, DatabaseNotFound, UnsupportedFormat
from blockdb.interface.backups import Older, read_older
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.masterkey import MasterKeySource
from blockdb.settings import CollectionSettings
from blockdb.statistics import Statistics
from blockdb.storage.commons import Means
from blockdb.storage.door import Door, guarded
from blockdb.storage.feed import Feed
from blockdb.storage.store import Store
from blockdb.storage.surroundings import MACHINE, Surroundings
from blockdb.types import Anchor, CollectionInfo, Progress, Report

T = TypeVar("T")

_handles: weakref.WeakSet[Database] = weakref.WeakSet()


class Database(TransactingDatabase):
    """An open database: its default collection, which plain put and get are about, and the door to the others.

    Safe for threads; a context manager that closes itself. Every method raises DatabaseClosed after `close`.
    """

    def __init__(
        self,
        config: DatabaseConfig,
        *,
        read_only: bool,
        create: bool,
        door: Door | None = None,
        source: MasterKeySource | None = None,
        surroundings: Surroundings = MACHINE,
        means: Means | None = None,
    ) -> None:
        """Use `blockdb.open`, which documents this. `surroundings` are those of this machine unless they are given.

        `means` are memory and threads that it shares with other databases; None: it has its own.
        """
        if byteorder != "little":
            raise UnsupportedFormat("BlockDB's tables are read as they stand: on little-endian machines only.")
        self.path = Path(config.data_dir)
        self.read_only = read_only
        self._config = config
        self._door = door or Door()
        self._files = DatabaseFiles(self.path, Path(config.key_file) if config.key_file else None)
        self._source = source or MasterKeySource(config.master_key_file)
        self._surroundings = surroundings
        self._means = means
        self._locks: list[int] = []
        self._collections: dict[str, Collection] = {}
        self._scrubber: Scrubber | None = None
        self._scrubbed = ScrubFile(self._files.scrub_state)
        with guarded(f"opening {self.path}"):
            signer = None if read_only else self._take_over(create)
            self._open(signer)
        if config.scrub_rate_limit and not read_only:
            rate, interval_s = config.scrub_rate_limit, config.scrub_interval
            self._scrubber = Scrubber(self.path, self._files.scrub_state, rate, interval_s, secret=self._door.secret)
        _handles.add(self)

    def _open(self, signer: Signer | None) -> None:
        try:
            if not self._files.registry.exists():
                creation.refuse_foreign(self._files)
                raise DatabaseNotFound(f"There is no database at {self.path}. Check the path, or write to it first.")
            if signer is None:
                self._door = encryption.opened(self._door, self._files, self._config, self._source)
            core = self._core = Core(
                self.path, self._config, self._door, self._files, signer, self._surroundings, self._means
            )
            try:
                if signer is not None:
                    core.transactions.recover()
                super().__init__(core, core.catalog.default_id())
                if signer is not None:
                    core.lifecycle.finish()
                core.catalog.open_unfinished()
            except BaseException:
                core.close()
                raise
        except BaseException:
            self._unlock()
            raise

    def _take_over(self, create: bool) -> Signer:
        """Become the one writer, of a database that is made if there is none. Returns the key that signs."""
        creation.refuse_nodes(self._files, self._surroundings)
        if not self._files.registry.exists():
            creation.refuse_foreign(self._files)
            if not create:
                raise DatabaseNotFound(f"There is no database at {self.path}. Check the path, or let it be created.")
            creation.make_root(self._door, self.path)
        try:
            for path in (self._files.lock, self.path):  # the directory too: the file could be removed
                self._locks.append(self._door.lock(path))
            if not self._files.registry.exists():
                self._door = creation.create(self._door, self._files, self._config, self._source, self._surroundings)
            else:
                self._door = encryption.opened(self._door, self._files, self._config, self._source)
            signer = keys.load_own_signer(self._door, self._files)
            keys.put_last(self._door, self._files, signer)
            return signer
        except BaseException:
            self._unlock()
            raise

    # Collections.

    def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> Collection:
        """Make a collection, of which `created_by` is said (default: the user's login name) and `description`.

        `schema` says what its documents have to be like (docs/SCHEMAS.md), and which indexes it has; `settings` are
        those of `CollectionSettings`. Raises DuplicateCollection, InvalidData for the name or the schema, ConfigError
        for a setting, ReadOnly, StorageError.
        """
        self._refreshed()
        if self.read_only:
            self._refuse()
        metadata = collections.new_metadata(self._core, name, settings, description, created_by, schema)
        self._core.lifecycle.create(metadata)
        return self.collection(metadata.id)

    def collection(self, name_or_id: str) -> Collection:
        """The collection of that name or id; the same handle each time. Raises CollectionNotFound."""
        self._refreshed()
        return self._handle(name_or_id)

    def _handle(self, name_or_id: str) -> Collection:
        collection_id = self._core.catalog.resolve(name_or_id)
        if collection_id == self.id:
            return self
        found = self._collections.get(collection_id)
        if found is None:
            found = self._collections.setdefault(collection_id, Collection(self._core, collection_id))
        return found

    __getitem__ = collection

    def has_collection(self, name_or_id: str) -> bool:
        """Whether there is a collection of that name or id."""
        self._refreshed()
        try:
            self._core.catalog.resolve(name_or_id)
        except CollectionNotFound:
            return False
        return True

    def collection_names(self) -> tuple[str, ...]:
        """The names of all collections, in order, without those of the database's own."""
        self._refreshed()
        return tuple(sorted(self._core.catalog.own_and_others()[1]))

    def open_collections(self) -> dict[str, Collection]:
        """The collections that have files open at this moment, by name, the database's own among them."""
        self._refreshed()
        catalog = self._core.catalog
        open_ids = {reader.metadata.id for reader in catalog.opened() if not reader.is_parked}
        return {name: self._handle(id_) for name, id_ in catalog.ids().items() if id_ in open_ids}

    def collections(self) -> tuple[CollectionInfo, ...]:
        """What there is, in the order of names; those that are not open stay closed. O(collections)."""
        self._refreshed()
        catalog = self._core.catalog
        found = []
        for _, collection_id in sorted(catalog.own_and_others()[1].items()):
            with suppress(CollectionNotFound):  # dropped meanwhile
                found.append(info_of(catalog, collection_id))
        return tuple(found)

    def total_stats(self) -> TotalStats:
        """How many collections there are, with how many documents and bytes; exact. Costs as `collections`."""
        stats = [info.stats for info in self.collections()]
        return TotalStats(
            len(stats), sum(one.document_count for one in stats), sum(one.total_size_bytes for one in stats)
        )

    def watch(
        self,
        *,
        collection: str | None = None,
        prefix: bytes | None = None,
        after: int | str | None = None,
        timeout_s: float | None = None,
    ) -> Feed:
        """The change stream of a collection, of the default one unless it is given: see `Collection.watch`."""
        if collection is not None and self.collection(collection) is not self:
            return self.collection(collection).watch(prefix=prefix, after=after, timeout_s=timeout_s)
        return super().watch(prefix=prefix, after=after, timeout_s=timeout_s)

    def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """Remove a collection with everything in it, for good, and say what it was.

        The journal keeps that it was dropped: when, by whom (`by`, default: the user's login name), with how many
        records under which root. Receipts that were made before still hold; what was being read ends as it can. Raises
        CollectionNotFound, as handles of it do from now on, InvalidData for the default one, ReadOnly, StorageError.
        """
        self._refreshed()
        if self.read_only:
            self._refuse()
        found = self.collection(name_or_id)
        info = found.describe()
        self._core.lifecycle.drop(found.id, login_name() if by is None else by)
        self._collections.pop(info.id, None)
        return info

    # All of them together.

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises ReadOnly, StorageError."""
        for store in self._stores():
            if not store.is_parked:
                store.flush()
        self._core.transactions.empty()

    def compact(self) -> None:
        """Flush, then merge all tables of each collection into one. O(n). Raises ReadOnly, StorageError."""
        self._stores()
        for collection_id in self._core.catalog.ids().values():
            reader = self._core.catalog.reader(collection_id)
            if isinstance(reader, Store):
                reader.compact()

    def _stores(self) -> list[Store]:
        if self.read_only:
            self._refuse()
        self._refreshed()
        return [reader for reader in self._core.catalog.opened() if isinstance(reader, Store)]

    @property
    def config(self) -> DatabaseConfig:
        """The settings with which it was opened."""
        return self._config

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 key that signs the blocks."""
        return keys.load_public_keys(self._door, self._files)[-1]

    def stats(self) -> Statistics:
        """An immutable snapshot of the default collection; cheap enough to be asked for ten times a second."""
        scrub = self._scrubbed.state() if self._scrubber is None else self._scrubber.state
        found = replace(super().stats(), scrub=scrub)
        return found if self.read_only else replace(found, transactions=self._core.transactions.statistics())

    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """Recompute every hash, check every signature, and hold tables, metadata and memory against the chain.

        Goes on beside readers and writers and covers what was stored in all collections when it began. `progress` is
        called every few thousand records, and `cancel` asked as often. Then the database is held against its anchors
        and the further ones in `anchors`: see `check_anchors`. O(all bytes). Raises InvalidData for what cannot be an
        anchor.
        """
        from blockdb.audit.auditor import audit  # here: it is a third of all that there is to load
        from blockdb.audit.collection import Options

        self._refreshed()
        report = audit(self.path, progress, cancel, Options(data_keys=self._door.keys))
        for reader in self._core.catalog.opened():
            report = reader.check_memory(report)
        return self.with_anchors(report, anchors)

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes, other for each purpose. Of an encrypted database nobody has them who cannot open it."""
        return sha256(b"blockdb/" + purpose.encode() + b"\0" + self._door.secret).digest()

    def backup(self, *, signing_key: bool = False, since: Older | None = None) -> Backup:
        """A copy of all collections as of now, as a stream of bytes for `blockdb.restore`, beside readers and writers.

        What it has is on the disk here before it is given away. The secret key is not in it unless `signing_key` says
        so, and never a master key; see docs/BACKUP.md. With `since`, an older backup (its file, or the bytes of its
        header), it has what is new since. O(files) to begin, O(bytes) to read, O(1) of memory. Raises StorageError,
        Corruption, and InvalidData where the key is not beside the data, or the older one is of another database.
        """
        self._refreshed()
        pausing = nullcontext if self.read_only else partial(writes_paused, self._core.catalog)
        return Backup(self._files, pausing, signing_key=signing_key, since=read_older(since))

    def close(self) -> None:
        """Force what was written to disk and let go of the directory. Closing twice is no error."""
        scrubber, self._scrubber = self._scrubber, None
        if scrubber is not None:
            scrubber.close()
        with guarded(f"closing {self.path}"):
            try:
                self._core.close()
            finally:
                self._unlock()

    def _unlock(self) -> None:
        while self._locks:
            self._door.unlock(self._locks.pop())

    def _disown(self) -> None:
        """In a forked child: the handle is the parent's, and two writers would tear the log apart."""
        self._scrubber = None
        self._core.disown()
        while self._locks:
            self._door.close(self._locks.pop())

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _disown_all() -> None:
    for handle in list(_handles):
        handle._disown()


os.register_at_fork(after_in_child=_disown_all)
