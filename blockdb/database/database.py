"""The database handle: one interface over a writer or a read-only attachment."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from sys import byteorder
from types import TracebackType
from typing import NoReturn

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.config import DatabaseConfig
from blockdb.database import creation, encryption, keys
from blockdb.database.anchoring import AnchoringDatabase
from blockdb.database.notary import Notary, open_collection
from blockdb.database.ranges import range_of
from blockdb.database.redaction import explained, login_name, record_event
from blockdb.database.scrubber import Scrubber, ScrubFile
from blockdb.errors import AppendOnly, Corruption, DatabaseNotFound, InvalidData, ReadOnly, Redacted, UnsupportedFormat
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.masterkey import MasterKeySource
from blockdb.storage.attachment import Attachment
from blockdb.storage.checks import check_key
from blockdb.storage.door import Door, guarded
from blockdb.storage.metadata import load_registry
from blockdb.storage.redaction import Event
from blockdb.storage.store import Store
from blockdb.storage.summary import summarize
from blockdb.types import Anchor, AsOf, Block, Progress, Record, Redaction, Report, Statistics

_handles: weakref.WeakSet[Database] = weakref.WeakSet()


class Database(AnchoringDatabase):
    """An open database. Safe for threads; a context manager that closes itself.

    Every method raises DatabaseClosed after `close`, and Corruption where what it would have to serve is not what
    was written. Keys and values are bytes: 1 to 65,535 and 0 to 64 MiB of them.
    """

    def __init__(
        self,
        config: DatabaseConfig,
        *,
        read_only: bool,
        create: bool,
        door: Door | None = None,
        source: MasterKeySource | None = None,
    ) -> None:
        """Use `blockdb.open`, which documents this."""
        if byteorder != "little":
            raise UnsupportedFormat(
                "BlockDB's tables are read as they stand in memory: on little-endian machines only."
            )
        self.path = Path(config.data_dir)
        self.read_only = read_only
        self._config = config
        self._door = door or Door()
        self._files = DatabaseFiles(self.path, Path(config.key_file) if config.key_file else None)
        self._source = source or MasterKeySource(config.master_key_file)
        self._locks: list[int] = []
        self._scrubber: Scrubber | None = None
        self._scrubbed = ScrubFile(self._files.scrub_state)
        with guarded(f"opening {self.path}"):
            signer = None if read_only else self._take_over(create)
            self._reader = self._open_default(signer)
            self._store = self._reader if isinstance(self._reader, Store) else None
            self._notary = Notary(self._door, self._files, config, self._reader, signer)
            self._finish_redaction()
        if config.scrub_rate_limit and not read_only:
            scrub_state = self._files.scrub_state
            self._scrubber = Scrubber(
                self.path, scrub_state, config.scrub_rate_limit, config.scrub_interval, secret=self._door.secret
            )
        _handles.add(self)

    def _open_default(self, signer: Signer | None) -> Store | Attachment:
        try:
            if not self._files.registry.exists():
                creation.refuse_foreign(self._files)
                raise DatabaseNotFound(f"There is no database at {self.path}. Check the path, or write to it first.")
            if signer is None:
                self._door = encryption.opened(self._door, self._files, self._config, self._source)
            return open_collection(self._door, self._files, self._default_id(), self._config, signer)
        except BaseException:
            self._unlock()
            raise

    def _take_over(self, create: bool) -> Signer:
        """Become the one writer, of a database that is made if there is none. Returns the key that signs."""
        if not self._files.registry.exists():
            creation.refuse_foreign(self._files)
            if not create:
                raise DatabaseNotFound(f"There is no database at {self.path}. Check the path, or let it be created.")
            creation.make_root(self._door, self.path)
        try:
            for path in (self._files.lock, self.path):  # the directory too: the file could be removed
                self._locks.append(self._door.lock(path))
            if not self._files.registry.exists():
                self._door = creation.create(self._door, self._files, self._config, self._source)
            else:
                self._door = encryption.opened(self._door, self._files, self._config, self._source)
            signer = keys.load_own_signer(self._door, self._files)
            keys.put_last(self._door, self._files, signer)
            return signer
        except BaseException:
            self._unlock()
            raise

    def _default_id(self) -> str:
        names = load_registry(self._door, self._files.registry)
        try:
            return names[creation.DEFAULT_COLLECTION]
        except KeyError:
            raise Corruption(str(self._files.registry), None, "the default collection is missing") from None

    # Writing.

    def put(self, key: bytes, value: bytes, *, sync: bool = False) -> int:
        """Store a record and return its sequence number: its place in commit order, from 0.

        It survives a killed process once this returns; with `wal_sync_interval=0` or `sync=True` a power cut too.
        Raises DuplicateKey, InvalidData, ReadOnly, StorageError, WritesStopped. O(1) amortised.
        """
        store = self._store
        return store.put(key, value, sync) if store is not None else self._refuse()

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, sync: bool = False) -> range:
        """Store a batch, all of it or nothing, and return its sequence numbers. Raises as `put`. O(n) amortised.

        A batch has at most 1,000,000 records and 256 MiB of keys and values.
        """
        store = self._store
        return store.put_many(items, sync) if store is not None else self._refuse()

    def delete(self, key: bytes) -> None:
        """Refuse: raises AppendOnly."""
        raise AppendOnly("BlockDB is append-only: nothing that was stored is deleted or changed.")

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises ReadOnly, StorageError."""
        store = self._store
        store.flush() if store is not None else self._refuse()

    def compact(self) -> None:
        """Flush, then merge all tables into one. O(n). Raises ReadOnly, StorageError."""
        store = self._store
        store.compact() if store is not None else self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"{self.path} is open for reading only; open it without read_only=True to write.")

    def redact(self, key: bytes, *, reason: str, by: str | None = None) -> Redaction:
        """Erase the value of a key for good: see `redact_many`."""
        return self.redact_many([key], reason=reason, by=by)

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """Erase the values of keys for good, from every file of the database and from memory; hashes and proofs stay.

        For databases made with the setting `redactable`. `reason` and `by` (the user's login name, unless it is given)
        are kept in the journal. What is under way when a process is killed is finished by the next one that writes.
        O(bytes of the chain files that hold the records), 10,000 keys at most. Raises InvalidData, KeyNotFound,
        Redacted for a key that was redacted before, ReadOnly, StorageError.
        """
        store = self._store
        if store is None:
            self._refuse()
        author = login_name() if by is None else by
        try:
            sequences, files = store.redact(list(keys), reason, author, self._record_event)
        except Redacted as error:
            raise self._explained(error) from None
        quarantined = any(path.is_file() for path in self._files.quarantine.rglob("*"))
        return Redaction(tuple(sequences), files, quarantined)

    def _finish_redaction(self) -> None:
        """Finish a redaction that an earlier process left unfinished."""
        if self._store is not None:
            try:
                self._store.finish_redaction(self._record_event)
            except BaseException:
                self.close()
                raise

    def _explained(self, error: Redacted) -> Redacted:
        """The error with what the journal says of it."""
        return explained(self._notary.journal, self._reader.metadata.id, error)

    def _record_event(self, event: Event) -> None:
        journal = self._notary.journal()
        assert journal is not None, "a writer has one"
        record_event(journal, event)

    # Reading in key order.

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        """The value of a key, or None. O(tables). Raises InvalidData, and Redacted where the value was erased.

        `as_of` goes back to a block, a record or a time: what was stored later is not found. O(log blocks + records
        in a block) more. Raises BlockNotFound, and InvalidData for a record that does not exist yet.
        """
        if type(key) is not bytes:
            check_key(key)
        try:
            if as_of is not None:
                return self._refreshed().get_as_of(key, as_of)
            store = self._store
            if store is None or store.closed:
                return self._refreshed().get(key)
            return store.get(key)
        except Redacted as error:
            raise self._explained(error) from None

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored, its value erased or not. O(tables). Raises InvalidData."""
        if type(key) is not bytes:
            check_key(key)
        store = self._store
        if store is None or store.closed:
            return self._refreshed().exists(key)
        return store.exists(key)

    __contains__ = exists

    def record(self, key: bytes) -> Record | None:
        """A record with its sequence number, time and block. O(log blocks + records in a block)."""
        check_key(key)
        return self._refreshed().record(key)

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in key order (or against it): a consistent snapshot of the moment of the call.

        Those with `prefix`, from `start` on, before `end`; after `offset` of them, `limit` at most; with `as_of`,
        those that were stored by then (see `get`). The value of a redacted record is `blockdb.REDACTED`: no bytes, and
        `value is blockdb.REDACTED` tells it from an empty value. O(log n) to begin, whatever the offset, but O(log n +
        offset) with `as_of`. Raises InvalidData, BlockNotFound.
        """
        _check_counts(limit, offset)
        return self._refreshed().scan(range_of(prefix, start, end), offset, limit, reverse, as_of)

    def keys(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[bytes]:
        """The keys that `scan` would give."""
        items = self.scan(prefix=prefix, start=start, end=end, limit=limit, offset=offset, reverse=reverse, as_of=as_of)
        return (key for key, _ in items)

    def count(self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None) -> int:
        """How many keys a scan would give. O(tables · log n), without walking."""
        return self._refreshed().count(range_of(prefix, start, end))

    # Reading in commit order.

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        """Records in commit order from a sequence number on, `limit` at most. O(log blocks) to begin."""
        _check_counts(limit, first)
        return self._refreshed().history().records(first, limit)

    def block(self, number: int) -> Block:
        """A sealed block. Raises BlockNotFound. O(tables)."""
        return self._refreshed().history().block(number)

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        """Sealed blocks from number `first` up; or, with `reverse`, down, from the newest unless `first` is given."""
        _check_counts(limit, first)
        history = self._refreshed().history()
        last = min(first, history.blocks - 1) if first else history.blocks - 1
        numbers = range(last, -1, -1) if reverse else range(first, history.blocks)
        return map(history.block, numbers if limit is None else numbers[:limit])

    def block_records(self, number: int) -> list[Record]:
        """The records of a block, or, for the number after the last sealed one, of the open block.

        Raises BlockNotFound. O(records in a block).
        """
        return self._refreshed().history().block_records(number)

    def block_leaves(self, number: int) -> list[bytes]:
        """The leaf hashes (RFC 6962) of a block's records, recomputed here. Raises BlockNotFound."""
        return self._refreshed().history().block_leaves(number)

    # About the database.

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 key that signs the blocks."""
        return keys.load_public_keys(self._door, self._files)[-1]

    def stats(self) -> Statistics:
        """An immutable snapshot; cheap enough to be asked for ten times a second."""
        found = summarize(self._refreshed(), self._config, self.read_only)
        return replace(found, scrub=self._scrubbed.state() if self._scrubber is None else self._scrubber.state)

    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """Recompute every hash, check every signature, and hold tables, metadata and memory against the chain.

        Goes on beside readers and writers and covers what was stored when it began. `progress` is called every few
        thousand records, and `cancel` asked as often. Then the database is held against its anchors and the further
        ones in `anchors`: see `check_anchors`. O(all bytes). Raises InvalidData for what cannot be an anchor.
        """
        reader = self._refreshed()
        report = audit(self.path, progress, cancel, Options(data_keys=self._door.keys))
        return self.with_anchors(reader.check_memory(report), anchors)

    def close(self) -> None:
        """Force what was written to disk and let go of the directory. Closing twice is no error."""
        scrubber, self._scrubber = self._scrubber, None
        if scrubber is not None:
            scrubber.close()
        with guarded(f"closing {self.path}"):
            try:
                self._notary.close()
            finally:
                try:
                    self._reader.close()
                finally:
                    self._unlock()

    def _refreshed(self) -> Store | Attachment:
        self._reader.check_open()
        with guarded(f"reading {self.path}"):
            self._reader.refresh()
        return self._reader

    def _unlock(self) -> None:
        while self._locks:
            self._door.unlock(self._locks.pop())

    def _disown(self) -> None:
        """In a forked child: the handle is the parent's, and two writers would tear the log apart."""
        self._scrubber = None
        self._notary.disown()
        self._reader.disown()
        while self._locks:
            self._door.close(self._locks.pop())

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _check_counts(limit: int | None, first: int) -> None:
    if first < 0 or (limit is not None and limit < 0):
        raise InvalidData("How many, and from which one, should not be negative.")


def _disown_all() -> None:
    for handle in list(_handles):
        handle._disown()


os.register_at_fork(after_in_child=_disown_all)
