"""The audit log of an open database: when it is opened, who signs it, and what the journal says of it."""

from __future__ import annotations

from threading import Lock
from uuid import UUID

from blockdb.database.catalog import Catalog
from blockdb.database.proofs import keys
from blockdb.database.proofs.notary import Notary
from blockdb.errors import Corruption, ReadOnly
from blockdb.format.audit_log import FIRST
from blockdb.ledger.act_log import AUDIT_LOG, EVENT, LogHead, head_of
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import BadNote
from blockdb.ledger.state import BadState
from blockdb.storage.audit_log import AuditLog
from blockdb.storage.door import guarded
from blockdb.storage.metadata import uuid_of


class AuditLogKeeper:
    """Opens the log when somebody asks for it, and closes it. Safe for threads."""

    def __init__(self, catalog: Catalog, notary: Notary) -> None:
        self._catalog = catalog
        self._notary = notary
        self._door, self._files = catalog.door, catalog.files.audit_log
        self._opening = Lock()
        self._log: AuditLog | None = None

    @property
    def database(self) -> bytes:
        """The UUID by which the log says whose it is."""
        return UUID(uuid_of(self._catalog.default_id())).bytes

    @property
    def _is_shared(self) -> bool:
        return self._catalog.surroundings.is_shared

    @property
    def exists(self) -> bool:
        """Whether there is a log."""
        return self._door.inode(self._files.root) is not None

    def open(self) -> AuditLog:
        """The log, for writing; it is made where there is none. Raises ReadOnly, Corruption, StorageError."""
        if self._catalog.signer is None:
            raise ReadOnly("The database is open for reading only; open it for writing to write its audit log.")
        with self._opening:
            if self._log is None:
                heads = [head for head in (self._signed(), self._journaled()) if head is not None]
                self._log = AuditLog(self._door, self._files, self.database, self._sign, heads)
            return self._log

    def record(self) -> None:
        """Have the journal say how far the log is, if that is more than it said before. Raises StorageError.

        In a cluster each node has an audit log of its own, and the journal is everybody's: it says nothing of them.
        """
        head = self.open().sign()
        if self._is_shared:
            return
        journal = self._notary.journal()
        if journal is not None and head != self._journaled():
            journal.append(head.event)

    def begin_anew(self) -> None:
        """Have the journal say that the next log is another one. Raises ReadOnly, StorageError."""
        if self._catalog.signer is None:
            raise ReadOnly("The database is open for reading only; open it for writing to begin a new audit log.")
        journal = None if self._is_shared else self._notary.journal()
        if journal is not None:
            journal.append(LogHead(0, FIRST).event)

    def close(self) -> None:
        """Record and close it, if it was opened. Idempotent. Raises StorageError."""
        if self._log is not None:
            try:
                self.record()
            finally:
                log, self._log = self._log, None
                log.close()

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self._opening, self._log = Lock(), None

    def _sign(self, head: LogHead) -> str:
        assert self._catalog.signer is not None, "who writes signs"
        name = self._notary.name
        return self._catalog.signer.notes(name + AUDIT_LOG).sign(head.checkpoint(name).text)

    def _signed(self) -> LogHead | None:
        """The head that was signed last. Raises Corruption, StorageError."""
        path, origin = self._files.head, self._notary.name + AUDIT_LOG
        if self._door.inode(path) is None:
            return None
        try:
            with guarded(f"reading {path}"):
                note = self._door.read(path).decode()
                public_keys = keys.note_keys(self._door, self._catalog.files, origin)
            found = open_checkpoint(note, public_keys).checkpoint
        except (BadNote, UnicodeDecodeError) as error:
            raise Corruption(str(path), None, str(error)) from None
        return LogHead(found.size, found.root)

    def _journaled(self) -> LogHead | None:
        """What the journal says last of the log of this node. Raises Corruption."""
        journal = None if self._is_shared else self._notary.journal(make=False)
        for _, event in journal.events(EVENT, newest_first=True) if journal is not None else ():
            try:
                return head_of(event)
            except BadState as error:
                raise Corruption(str(self._catalog.files.collections), None, str(error)) from None
        return None
