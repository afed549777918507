"""The catalog of a database: which collections there are, and the ones of them that are open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from threading import RLock
from typing import Any, Final

from blockdb.config import DatabaseConfig
from blockdb.database import creation, encryption
from blockdb.errors import CollectionNotFound, Corruption, DuplicateCollection
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.settings import CollectionSettings
from blockdb.storage.attachment import Attachment
from blockdb.storage.commit import NO_DECISIONS, DecisionLog
from blockdb.storage.commons import Commons, Means
from blockdb.storage.door import Door, guarded
from blockdb.storage.figures import Figures, index_bytes
from blockdb.storage.metadata import Metadata, load_metadata, load_registry, save_registry
from blockdb.storage.recovery import read_mark
from blockdb.storage.redaction import Event
from blockdb.storage.redaction import load as load_redactions
from blockdb.storage.store import Store
from blockdb.storage.surroundings import MACHINE, Surroundings

OWN_PREFIX: Final = "_"
"""Begins the names of the database's own collections."""


class Catalog:
    """The collections of a database, each opened when somebody first asks for it. Safe for threads.

    A handle that writes has a signer, and alone changes the registry; one that reads follows it.
    """

    def __init__(
        self,
        door: Door,
        files: DatabaseFiles,
        config: DatabaseConfig,
        signer: Signer | None,
        record_event: Callable[[Event], None],
        surroundings: Surroundings = MACHINE,
        means: Means | None = None,
    ) -> None:
        """`record_event` puts the event of a redaction into the journal, for one that has to be finished."""
        self.door = door
        self.files = files
        self.config = config
        self.signer = signer
        self._record_event = record_event
        self.surroundings = surroundings
        self._commons = Commons(config, surroundings, means)
        self.changing = RLock()
        """Held by whoever changes which collections there are."""
        self._open: dict[str, Store | Attachment] = {}
        self._figures: dict[str, Figures] = {}
        """Of those that were looked at and are not open."""
        self._identity: object = None
        self._ids: dict[str, str] = {}
        self.decisions: DecisionLog = NO_DECISIONS
        """What is known of transactions over several collections, before the first of them is opened."""

    def ids(self) -> dict[str, str]:
        """The ids of all collections, the database's own too, by their names. Raises Corruption."""
        if self.signer is not None and self._ids:
            return self._ids  # nobody else changes them
        with self.changing, guarded("reading the registry of collections"):
            identity = self.door.identity(self.files.registry) if self.signer is None else None
            if not self._ids or identity != self._identity:
                self._ids = load_registry(self.door, self.files.registry)
                self._identity = identity
            return self._ids

    def own_and_others(self) -> tuple[dict[str, str], dict[str, str]]:
        """The ids of the database's own collections and of the users', by name."""
        ids = self.ids()
        own = {name: id_ for name, id_ in ids.items() if name.startswith(OWN_PREFIX)}
        return own, {name: id_ for name, id_ in ids.items() if name not in own}

    def resolve(self, name_or_id: str) -> str:
        """The id of a collection. Raises CollectionNotFound."""
        ids = self.ids()
        found = ids.get(name_or_id)
        if found is None and name_or_id in ids.values():
            return name_or_id
        if found is None or name_or_id.startswith(OWN_PREFIX):
            raise CollectionNotFound(name_or_id)
        return found

    def default_id(self) -> str:
        """The id of the collection of plain put and get. Raises Corruption."""
        try:
            return self.ids()[creation.DEFAULT_COLLECTION]
        except KeyError:
            raise Corruption(str(self.files.registry), None, "the default collection is missing") from None

    def reader(self, collection_id: str) -> Store | Attachment:
        """The open collection. Raises CollectionNotFound, Corruption, StorageError."""
        found = self._open.get(collection_id)
        if found is not None:
            return found
        with self.changing:
            if collection_id not in self._open:
                if collection_id not in self.ids().values():
                    raise CollectionNotFound(collection_id)
                with guarded("opening a collection"):
                    self._open[collection_id] = reader = self._open_collection(collection_id)
                if isinstance(reader, Store):
                    reader.finish_redaction(self._record_event)
                if not self._stays_open(collection_id):
                    self._commons.parking.arrived(reader)
            return self._open[collection_id]

    def metadata(self, collection_id: str) -> Metadata:
        """What a collection is. Raises CollectionNotFound, Corruption."""
        found = self._open.get(collection_id)
        if isinstance(found, Store):
            found.check_open()
            return found.metadata
        if collection_id not in self.ids().values():
            raise CollectionNotFound(collection_id)
        with guarded("reading what a collection is"):
            return load_metadata(self.door, self.files.collection(collection_id).metadata)

    def figures(self, collection_id: str) -> Figures:
        """What a collection holds. One that was not open yet, and was closed as it should be, stays closed.

        Raises CollectionNotFound, Corruption, StorageError.
        """
        reader = self._open.get(collection_id)
        if reader is not None:
            reader.check_open()
            return reader.figures()
        metadata = self.metadata(collection_id)
        files = self.files.collection(collection_id)
        mark = read_mark(self.door, files.mark, metadata.uuid)
        known = self._figures.get(collection_id)
        if known is not None and not isinstance(mark, str) and mark.written == known.end:
            return known
        if isinstance(mark, str) or not mark.clean:
            return self.reader(collection_id).figures()
        attachment = Attachment(self.door, files, metadata, self._commons)
        self._figures[collection_id] = found = attachment.figures()
        attachment.close()
        return found

    def index_bytes(self, collection_id: str) -> int:
        """How many bytes the indexes of a collection take on the disk."""
        return index_bytes(self.door, self.files.collection(collection_id))

    def _stays_open(self, collection_id: str) -> bool:
        """Whether it is always at hand: the collection of plain put and get, and the database's own."""
        own, others = self.own_and_others()
        return collection_id in own.values() or collection_id == others.get(creation.DEFAULT_COLLECTION)

    def create(self, metadata: Metadata, event: Mapping[str, Any] | None = None) -> None:
        """Make a collection, of which the journal is to tell by an event. Raises DuplicateCollection, StorageError."""
        with self.changing, guarded(f"creating the collection {metadata.name}"):
            registry = self.ids()
            if metadata.name in registry:
                raise DuplicateCollection(metadata.name)
            creation.create_collection(self.door, self.files, registry, metadata, event)
            self._ids = {**registry, metadata.name: metadata.id}

    def forget(self, collection_id: str) -> None:
        """Take a collection out of the registry; its files stay. Raises StorageError."""
        with self.changing, guarded("writing the registry of collections"):
            rest = {name: id_ for name, id_ in self.ids().items() if id_ != collection_id}
            save_registry(self.door, self.files.registry, rest)
            self._ids = rest
            self._open.pop(collection_id, None)
            self._figures.pop(collection_id, None)

    def opened(self) -> Iterator[Store | Attachment]:
        """Those that are open."""
        return iter(list(self._open.values()))

    def open_unfinished(self) -> None:
        """Open every collection in which a redaction is under way: that finishes it."""
        if self.signer is not None:
            for collection_id in self.ids().values():
                if load_redactions(self.door, self.files.collection(collection_id), collection_id).event:
                    self.reader(collection_id)

    def use_signer(self, signer: Signer) -> None:
        """Have all blocks signed with another key from now on."""
        with self.changing:
            self.signer = signer
            for store in self.opened():
                if isinstance(store, Store):
                    store.use_signer(signer)

    def close(self) -> None:
        """Close all of them; an error of one does not keep the others open. Idempotent. Raises StorageError."""
        with self.changing:
            failure: Exception | None = None
            for reader in self.opened():
                try:
                    reader.close()
                except Exception as error:
                    failure = failure or error
            if failure is not None:
                raise failure

    def disown(self) -> None:
        """In a forked child: refuse everything."""
        self.changing = RLock()
        for reader in self.opened():
            reader.disown()

    def _open_collection(self, collection_id: str) -> Store | Attachment:
        door, files = self.door, self.files.collection(collection_id)
        metadata = load_metadata(door, files.metadata)
        encryption.check_is_whole(door, self.files, metadata.encrypted)
        if self.signer is None:
            return Attachment(door, files, metadata, self._commons, self.decisions.has)
        creation.force_names(door, self.files, files)
        config = self._config_of(metadata.settings)
        return Store(door, files, metadata, config, self.signer, self._commons, self.decisions)

    def _config_of(self, settings: CollectionSettings) -> DatabaseConfig:
        """What of the database's configuration is another one for this collection."""
        config = self.config
        if settings.compression_enabled is not None:
            config = replace(config, compression_enabled=settings.compression_enabled)
        if settings.is_forced and not self.surroundings.is_shared:  # there the log of the cluster is what is forced
            config = replace(config, wal_sync_interval=0)
        return config

    def is_forced(self, settings: CollectionSettings) -> bool:
        """Whether what a collection with these settings acknowledges is on the disk."""
        return not self._config_of(settings).wal_sync_interval
