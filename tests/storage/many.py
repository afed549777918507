"""Several collections of one database, opened side by side as its handle opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from blockdb.config import from_settings
from blockdb.database import creation
from blockdb.database.proofs import keys
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.attachment import Attachment
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata, load_registry
from blockdb.storage.reader import Reader
from blockdb.storage.store import Store
from tests.storage.doors import StillDoor

T = TypeVar("T", bound=Reader)


class Collections:
    """Collections of a new database. They are to be closed."""

    def __init__(self, path: Path, count: int, door: Door | None = None, **settings: Any) -> None:
        self.door = door or StillDoor()
        self.files = DatabaseFiles(path)
        self.config = from_settings({"data_dir": str(path), **settings})
        self.commons = Commons(self.config)
        creation.make_root(self.door, path)
        creation.create(self.door, self.files, self.config, MasterKeySource(""))
        self.readers: list[Reader] = []
        self.ids = [self._make(f"c{number}") for number in range(count)]

    def _make(self, name: str) -> str:
        metadata = creation.new_metadata(self.door, name, self.config.blockchain_batch_size)
        registry = load_registry(self.door, self.files.registry)
        creation.create_collection(self.door, self.files, registry, metadata)
        return metadata.id

    def open(self, collection_id: str) -> Store:
        """Open one of them for writing."""
        files = self.files.collection(collection_id)
        metadata = load_metadata(self.door, files.metadata)
        signer = keys.load_own_signer(self.door, self.files)
        return self._opened(Store(self.door, files, metadata, self.config, signer, self.commons))

    def open_all(self) -> list[Store]:
        """Open them for writing."""
        return list(map(self.open, self.ids))

    def attach(self, collection_id: str) -> Attachment:
        """Open one of them for reading."""
        files = self.files.collection(collection_id)
        return self._opened(Attachment(self.door, files, load_metadata(self.door, files.metadata), self.commons))

    def _opened(self, reader: T) -> T:
        self.commons.parking.arrived(reader)
        self.readers.append(reader)
        return reader

    def close(self) -> None:
        """Close what was opened."""
        for reader in self.readers:
            reader.close()
