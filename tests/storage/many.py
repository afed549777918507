"""Several collections of one database, opened side by side as its handle opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blockdb.config import from_settings
from blockdb.database import creation, keys
from blockdb.database.notary import open_collection
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.attachment import Attachment
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_registry
from blockdb.storage.store import Store
from tests.storage.doors import StillDoor


class Collections:
    """Collections of a new database. They are to be closed."""

    def __init__(self, path: Path, count: int, door: Door | None = None, **settings: Any) -> None:
        self.door = door or StillDoor()
        self.files = DatabaseFiles(path)
        self.config = from_settings({"data_dir": str(path), **settings})
        self.commons = Commons(self.config)
        creation.make_root(self.door, path)
        creation.create(self.door, self.files, self.config, MasterKeySource(""))
        self.ids = [self._make(f"c{n}") for n in range(count)]

    def _make(self, name: str) -> str:
        registry = load_registry(self.door, self.files.registry)
        return creation.create_collection(self.door, self.files, registry, name, self.config.blockchain_batch_size)

    def open(self, collection_id: str) -> Store:
        """Open one of them for writing."""
        signer = keys.load_own_signer(self.door, self.files)
        store = open_collection(self.door, self.files, collection_id, self.config, signer, self.commons)
        assert isinstance(store, Store)
        return store

    def open_all(self) -> list[Store]:
        """Open them for writing."""
        return list(map(self.open, self.ids))

    def attach(self, collection_id: str) -> Attachment:
        """Open one of them for reading."""
        reader = open_collection(self.door, self.files, collection_id, self.config, None, self.commons)
        assert isinstance(reader, Attachment)
        return reader
