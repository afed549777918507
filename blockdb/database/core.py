"""What the handles of an open database share: its settings, its collections, and who signs for them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from blockdb.config import DatabaseConfig
from blockdb.database.audit_log import AuditLogKeeper
from blockdb.database.catalog import Catalog
from blockdb.database.lifecycle import Lifecycle
from blockdb.database.proofs.notary import Notary
from blockdb.database.redaction import record_event
from blockdb.database.transactions.manager import TransactionManager
from blockdb.errors import DatabaseLocked, ReadOnly, StorageError
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.storage.commons import Means
from blockdb.storage.door import Door
from blockdb.storage.metadata import PREFIX
from blockdb.storage.redaction import Event
from blockdb.storage.surroundings import MACHINE, Surroundings
from blockdb.storage.transaction_log import Decisions, TransactionLog


class Core:
    """An open database, as its handles see it. Safe for threads."""

    def __init__(
        self,
        path: Path,
        config: DatabaseConfig,
        door: Door,
        files: DatabaseFiles,
        signer: Signer | None,
        surroundings: Surroundings = MACHINE,
        means: Means | None = None,
    ) -> None:
        """The directory is there, and locked if there is a signer, which says that it is to be written.

        Raises DatabaseLocked where only the node of a cluster whose directory it is may do that.
        """
        if signer is not None and not surroundings.is_shared and files.raft.applied.exists():
            raise DatabaseLocked(
                f"{path} is the directory of a node of a cluster: what is written to it alone would part it from the "
                "others. Start its server, or open it with read_only=True. To make it a database of its own for good, "
                f"remove {files.raft.root}."
            )
        self.path = path
        self.config = config
        self.door = door
        self.files = files
        self.read_only = signer is None
        self.catalog = Catalog(door, files, config, signer, self.record_event, surroundings, means)
        self.notary = Notary(self.catalog)
        self.lifecycle = Lifecycle(self.catalog, self.notary)
        self.audit_log = AuditLogKeeper(self.catalog, self.notary)
        uuid = UUID(self.catalog.default_id().removeprefix(PREFIX)).bytes
        self._transactions: TransactionManager | None = None
        if signer is None:
            self.catalog.decisions = Decisions(door, files, uuid)
        else:
            self.catalog.decisions = log = TransactionLog(door, files, uuid)
            self._transactions = TransactionManager(self.catalog, log, config.transaction_timeout)

    @property
    def transactions(self) -> TransactionManager:
        """The transactions. Raises ReadOnly."""
        if self._transactions is None:
            raise ReadOnly(f"{self.path} is open for reading only; open it without read_only=True for transactions.")
        return self._transactions

    def close(self) -> None:
        """Force and close everything. Idempotent. Raises StorageError."""
        if self._transactions is None:
            self.catalog.close()
            return
        self._transactions.abort_all()
        try:
            self.audit_log.close()
        finally:
            self._close_collections(self._transactions)

    def _close_collections(self, transactions: TransactionManager) -> None:
        try:
            with suppress(StorageError):  # what is wrong is said by the collection where it is
                transactions.empty()
            self.catalog.close()
        finally:
            transactions.close()

    def record_event(self, event: Event) -> None:
        """Put the event of a redaction into the journal, unless it is there. Raises StorageError, Corruption."""
        journal = self.notary.journal()
        assert journal is not None, "a writer has one"
        record_event(journal, event)

    def disown(self) -> None:
        """In a forked child: refuse everything."""
        self.notary.disown()
        self.audit_log.disown()
        if self._transactions is not None:
            self._transactions.disown()
        self.catalog.disown()
