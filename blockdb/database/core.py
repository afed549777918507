"""What the handles of an open database share: its settings, its collections, and who signs for them."""

from __future__ import annotations

from pathlib import Path

from blockdb.config import DatabaseConfig
from blockdb.database.catalog import Catalog
from blockdb.database.lifecycle import Lifecycle
from blockdb.database.notary import Notary
from blockdb.database.redaction import record_event
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.storage.door import Door
from blockdb.storage.redaction import Event


class Core:
    """An open database, as its handles see it. Safe for threads."""

    def __init__(
        self, path: Path, config: DatabaseConfig, door: Door, files: DatabaseFiles, signer: Signer | None
    ) -> None:
        """The directory is there, and locked if there is a signer, which says that it is to be written."""
        self.path = path
        self.config = config
        self.door = door
        self.files = files
        self.read_only = signer is None
        self.catalog = Catalog(door, files, config, signer, self.record_event)
        self.notary = Notary(self.catalog)
        self.lifecycle = Lifecycle(self.catalog, self.notary)

    def record_event(self, event: Event) -> None:
        """Put the event of a redaction into the journal, unless it is there. Raises StorageError, Corruption."""
        journal = self.notary.journal()
        assert journal is not None, "a writer has one"
        record_event(journal, event)

    def disown(self) -> None:
        """In a forked child: refuse everything."""
        self.notary.disown()
        self.catalog.disown()
