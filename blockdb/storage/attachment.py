"""A read-only attachment: sees what another process writes, and never writes itself."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from mmap import mmap
from threading import Lock
from time import monotonic, sleep
from typing import Final

from blockdb.errors import Corruption, StorageError
from blockdb.format import mark as mark_format
from blockdb.format.frame import BadFrame
from blockdb.format.mark import read_forced, read_written
from blockdb.format.walk import DamagedChain, Decided
from blockdb.layout import CollectionFiles
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.figures import Figures
from blockdb.storage.indexes import Indexes
from blockdb.storage.manifest import Manifest
from blockdb.storage.manifest import load as load_manifest
from blockdb.storage.metadata import Metadata, load_metadata
from blockdb.storage.parking import all_free, resources
from blockdb.storage.reader import Reader
from blockdb.storage.recovery import read_mark, recover
from blockdb.storage.redaction import Watch
from blockdb.storage.sources import NOTHING, Horizon
from blockdb.storage.view import View

FILES_CHECK_S: Final = 0.2
"""How often the files themselves are looked at: the writer may have flushed, merged or begun anew."""

FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.05
"""Who waits for the next record looks that often at first, and when none came for a while."""

OPEN_ATTEMPTS: Final = 20
"""A writer may merge tables away between our reading its manifest and opening them; then we read it again."""


class Attachment(Reader):
    """Reads a collection beside its writer. New records are seen by the first call after they were written.

    The writer tells how far it is in the mark, which both have mapped: looking costs no system call. The records
    themselves are read from the log, as recovery does.
    """

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        metadata: Metadata,
        commons: Commons,
        decided: Decided | None = None,
    ) -> None:
        """`commons` is what it shares with the other collections of its database.

        `decided` tells which transactions over several collections were decided.
        """
        self._decided = decided
        self._refreshing = Lock()
        self._mark: mmap | None = None
        self._identity: object = None
        self._metadata_identity: object = None
        self._checked_at = 0.0
        self.indexes = Indexes(self)
        super().__init__(door, files, metadata, commons.cache_room)

    def begin(self) -> None:
        """Begin to follow the files."""
        super().begin()
        self._redactions = Watch(self.door, self.files.redactions)
        self._attach()

    def park(self) -> bool:
        """Let go of files and memory, unless somebody looks for what is new, and say whether that was done."""
        with all_free((self.unparking, self._refreshing, self.indexes.refreshing)) as are_free:
            if are_free and not self.is_parked and not self.closed:
                self._figures = self._count()
                self._mark, self._identity = None, None
                self.let_go()
                self.indexes.let_go()
                self.cache.clear()
            return are_free and self.is_parked

    @property
    def index_notes(self) -> tuple[str, ...]:
        """Which indexes are damaged, as far as they were asked for."""
        return self.indexes.notes

    @property
    def end(self) -> int:
        """Up to where the log was read."""
        return self._state.end

    @property
    def blocks(self) -> int:
        """How many sealed blocks were read of."""
        memtable = self.view.memtables[0]
        return memtable.first_block + len(memtable.seals)

    @property
    def head_hash(self) -> bytes:
        """The hash of the last of them."""
        return self._state.head.previous_hash

    @property
    def manifest(self) -> Manifest:
        """The manifest that the view is from."""
        return self._manifest

    def open_block_size(self) -> tuple[int, int]:
        """How many records, and how many bytes of keys and values, no seal covers yet."""
        pending = self._state.pending_bytes
        return len(pending), sum(pending)

    def refresh(self, wait: bool = False) -> None:
        """Take in what was written since the last call. Raises Corruption."""
        is_redactable = self.metadata.redactable
        if not self._refreshing.acquire(blocking=wait or is_redactable):
            return
        try:
            self._look_for_more(is_redactable)
        except (Corruption, StorageError, OSError):
            self._check_is_there()
            raise
        finally:
            self._refreshing.release()

    def resume(self) -> None:
        """Open the files again. Raises DatabaseClosed, CollectionNotFound, Corruption, StorageError."""
        try:
            super().resume()
        except (Corruption, StorageError):
            self._check_is_there()
            raise

    def figures(self) -> Figures:
        """What the collection holds now. While it is parked, its mark tells whether anything came since."""
        self.check_open()
        known = self._figures
        if self.is_parked and known is not None:
            mark = read_mark(self.door, self.files.mark, self.metadata.uuid)
            if not isinstance(mark, str) and mark.written == known.end:
                return known
        self.refresh(wait=True)
        return self._count()

    def _check_is_there(self) -> None:
        """Raises CollectionNotFound where its writer has dropped the collection."""
        if self.door.inode(self.files.root) is None:
            self.is_dropped = self.closed = True
            self.check_open()

    def _look_for_more(self, is_redactable: bool) -> None:
        if is_redactable and self._redactions.has_changed:
            self._forget()
        self._follow_mark()
        now = monotonic()
        if now - self._checked_at > FILES_CHECK_S:
            self._checked_at = now
            if self._look() != self._identity:
                self._attach()

    def follow_metadata(self) -> None:
        """Read the metadata anew where the writer replaced it. Raises Corruption."""
        identity = self.door.identity(self.files.metadata)
        if identity != self._metadata_identity:
            self.metadata = load_metadata(self.door, self.files.metadata)
            self._metadata_identity = identity

    def acknowledged(self, forced_only: bool) -> Horizon:
        """What was read; with `forced_only`, as far as the writer says that it is on the disk."""
        self.refresh()
        records, end = self.next_sequence, self.end  # in this order: what is read later may only be newer
        mark = self._mark if forced_only else None
        try:
            return Horizon(records, end if mark is None else min(end, read_forced(mark)))
        except BadFrame:
            return NOTHING  # as in `_follow_mark`

    def wait_beyond(
        self, known: Horizon, forced_only: bool, is_over: Callable[[], bool], timeout_s: float | None
    ) -> None:
        """Look again and again, ever more slowly: at the mark, which costs no system call."""
        pause_s, deadline = FIRST_PAUSE_S, inf if timeout_s is None else monotonic() + timeout_s
        while not is_over() and not self.acknowledged(forced_only).is_beyond(known):
            left_s = deadline - monotonic()
            if left_s <= 0:
                return
            sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def force(self) -> None:
        """Have on the disk what was read; older chain files were forced when they were full."""
        self.door.force_file(self.files.segment(self.end >> 32))

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        self.closed = True
        self.cache.clear()
        self.leave()

    def _follow_mark(self) -> None:
        try:
            written = read_written(self._mark) if self._mark is not None else 0
        except BadFrame:
            return  # it was found good when it was mapped, and is looked at anew before long
        if written <= self._state.end:
            return
        state = self._state
        for stretch in self.chain.stretches(state.end, written):
            try:
                state.replay(stretch, self._manifest.flushed_sequence)
            except DamagedChain as error:
                raise self.chain.corruption(stretch.base + error.offset, str(error)) from None
        state.end = written
        self.next_sequence = state.next_sequence

    def _forget(self) -> None:
        """A value was redacted: from here on nothing is served that was read before."""
        now = self._redactions.look()
        self.chain.renew_all()
        self.cache.clear()
        self.indexes.forget()
        self._attach()
        self._redactions.seen = now

    def _attach(self) -> None:
        """Read everything anew; again where the writer replaced files meanwhile."""
        for _ in range(OPEN_ATTEMPTS):
            identity = self._look()
            try:
                self._read_all(identity)
            except Corruption:
                renewed = self.chain.renew_all()
                if self._look() == identity and not renewed:
                    raise
            else:
                return
        self._read_all(self._look())

    def _read_all(self, identity: object) -> None:
        """Read the manifest, its tables, and the log after them."""
        manifest = load_manifest(self.door, self.files.manifest, self.metadata.id)
        tables = self.open_tables(manifest)
        self.chain.follow_packing()
        mark = self._map_mark()
        state = recover(self.door, self.files, self.metadata.uuid, self.chain, manifest, tables, self._decided)
        if not hasattr(self, "recovered"):
            self.recovered = state.opening
        self._mark, self._manifest, self._state, self._identity = mark, manifest, state, identity
        self.view = View((state.memtable,), tables)
        self.next_sequence = state.next_sequence

    def _map_mark(self) -> mmap | None:
        """The mark to follow; None where it is damaged, or of a writer that went down with the machine."""
        try:
            buffer = self.door.map_read(self.files.mark)
            mark = mark_format.decode(buffer)
        except (OSError, ValueError):
            return None  # recovery notes that it is missing, empty or damaged
        return buffer if mark.clean or mark.is_of(self.door.boot_id()) else None

    def _look(self) -> tuple[object, object]:
        """What tells that files were replaced. Mapped memory makes the time of the mark change by itself."""
        mark = self.door.identity(self.files.mark)
        return self.door.identity(self.files.manifest), mark and mark[0]


resources(Attachment, "_state", "_manifest", "_redactions")
