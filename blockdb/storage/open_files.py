"""What the writer of a collection has open: log, memtables, seals, and the work beside it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Condition, Lock
from typing import Final

from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError
from blockdb.format.block import Seal
from blockdb.format.record import beside_bytes
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Sealer
from blockdb.ledger.signature import Signer
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.table import Table
from blockdb.storage.commit import DecisionLog, Gate
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.log import Log
from blockdb.storage.maintenance import Frozen, Tables
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.manifest import load as load_manifest
from blockdb.storage.metadata import Metadata
from blockdb.storage.open_block import OpenBlock
from blockdb.storage.packed import Packer
from blockdb.storage.parking import Tryable, all_free, resources
from blockdb.storage.reader import Reader
from blockdb.storage.recovery import Recovered, recover
from blockdb.storage.seals import Seals
from blockdb.storage.statistics import Histogram
from blockdb.storage.tracing import Trace
from blockdb.storage.upkeep import Upkeep
from blockdb.storage.view import View

FLUSH_RECORDS: Final = 10_000
"""With fewer records in memory, opening again reads them from the log as quickly as a table would be written."""


class OpenFiles(Reader):
    """What a writer has open. It comes and goes: see `parking`."""

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        metadata: Metadata,
        config: DatabaseConfig,
        signer: Signer,
        commons: Commons,
        decisions: DecisionLog,
    ) -> None:
        """Open the collection for writing, recovering what a killed writer left. Raises Corruption, StorageError."""
        self._signer = signer
        self._sealers = commons.sealers
        self.surroundings = commons.surroundings
        self.config = config
        self.force_latency = Histogram()
        """How long forces took."""
        self.writing = Lock()
        """Held by whoever commits."""
        self.gate: Gate | None = None
        self._room = Condition(self.writing)
        self._attention = True
        """Set by whatever makes a write look around before it begins: see `_attend`."""
        self.trace: Trace | None = None
        """Who wants to know of a write; nobody, in ordinary times."""
        self._decisions = decisions
        self._written_before = 0
        self.upkeep = Upkeep(self, config, self._room, commons, self._freeze, self._have_attended)
        super().__init__(door, files, metadata, commons.cache_room)
        self.bytes_before = self.data_bytes()
        """Keys and values that were there when it was opened."""

    def begin(self) -> None:
        """Recover what a killed writer left, and go on from there; what writers look at first is set last."""
        super().begin()
        door, files, uuid = self.door, self.files, self.metadata.uuid
        manifest = load_manifest(door, files.manifest, self.metadata.id)
        self._tables = Tables(door, files, uuid, manifest, self.open_table, self.upkeep.makers)
        self._tables.remove_unused()
        self._packer = Packer(door, files, uuid, self.config.compression_enabled)
        self._packer.remove_unused()
        state = self._recover(manifest)
        self.tree.cut(manifest.flushed_sequence)
        packed = self.config.compression_enabled
        log = Log(door, files, uuid, state.end, state.forced, state.torn_bytes, packed)
        log.latency, log.before_force = self.force_latency, self._decisions.force
        log.told_of_force = self._on_force
        try:
            seals = self._new_seals(log, state)
        except BaseException:
            log.close()
            raise
        self._open_block = seals.block
        self.upkeep.begin(log, self._tables, self._packer)
        self._log = log
        self._seals = seals

    def _recover(self, manifest: Manifest) -> Recovered:
        tables = self.open_tables(manifest)
        state = recover(self.door, self.files, self.metadata.uuid, self.chain, manifest, tables, self._decisions.has)
        if not hasattr(self, "recovered"):
            self.recovered = state.opening
        self._active = state.memtable
        self.next_sequence = state.next_sequence
        self._last_time_ms = state.last_time_ms
        self.see(View((state.memtable,), tables))
        return state

    def _new_seals(self, log: Log, state: Recovered) -> Seals:
        return Seals(
            self.files,
            self.metadata.uuid,
            self._signer,
            self._new_block,
            self.chain,
            log,
            self._room,
            state,
            self._on_seal,
            self.tree.note,
            self._sealers,
            self._have_attended,
        )

    def open_table(self, number: int) -> Table:
        """A table of this collection. Raises Corruption, also where it is missing."""
        table = super().open_table(number)
        table.on_miss = self.upkeep.unloading.note_miss
        return table

    def _new_block(self, sealer: Sealer) -> OpenBlock:
        return OpenBlock(sealer, self.metadata.blockchain_batch_size, beside_bytes(self.metadata.redactable))

    def park(self) -> bool:
        """Let go of files and memory, unless somebody is at work, and say whether that was done. Waits for nobody.

        What was written is forced to the disk before.
        """
        with all_free((*self.parking_locks, self.writing)) as are_free:
            return are_free and (self.is_parked or self._park())

    @property
    def parking_locks(self) -> tuple[Tryable, ...]:
        """Whoever holds one of these is at work."""
        return self.unparking, self.upkeep.compacting, self.upkeep.flushing

    def pause(self) -> bool:
        """Have nothing done beside the writers any more, unless there is something to do, and say so."""
        return self.upkeep.pause()

    def _park(self) -> bool:
        if self.gate is not None:
            self.gate.check(())  # it goes if nobody holds locks any more
        if not self._seals.is_idle:
            self._seals.dismiss()
            return False
        if self.closed or self.gate is not None or not self.upkeep.is_idle:
            return False
        if len(self._active) >= FLUSH_RECORDS:
            self.upkeep.relieve()
            return False
        with suppress(BlockDBError):
            self._log.force()
        if not self._log.is_forced or not self.pause():
            return False
        self._figures = self._count()
        with suppress(BlockDBError):  # the mark is not as it was left then: recovery looks closer
            self._log.close()
        self._written_before = self.bytes_written
        self._attention = True
        self.let_go()
        self.cache.clear()
        return True

    # What a Reader asks.

    @property
    def end(self) -> int:
        """Where the next frame goes."""
        return self._log.end

    @property
    def blocks(self) -> int:
        """How many blocks are sealed."""
        view = self.view
        return view.memtables[0].first_block + len(view.memtables[0].seals)

    @property
    def head_hash(self) -> bytes:
        """The hash of the last sealed block."""
        return self._seals.head_hash

    @property
    def manifest(self) -> Manifest:
        """The manifest on disk."""
        return self._tables.manifest

    def open_block_size(self) -> tuple[int, int]:
        """How many records, and how many bytes of keys and values, no seal covers yet."""
        return len(self._open_block), self._open_block.data_bytes

    @property
    def puts(self) -> int:
        """How many records were stored since it was opened."""
        return self.next_sequence - self.recovered.next_sequence

    @property
    def bytes_written(self) -> int:
        """How many bytes were written to log, tables and packed chain files since it was opened."""
        now = self._log.appended_bytes + self._tables.written_bytes + self._packer.written_bytes
        return self._written_before + now

    def refresh(self, wait: bool = False) -> None:
        """Have every block sealed that is full: whoever looks does not see that sealing may lag behind."""
        if not self._seals.is_settled:
            with self.writing:
                self._seals.settle()

    # Sealing and freezing, under the write lock.

    def _on_seal(self, place: int, seal: Seal) -> None:
        self._active.seals.append(place)
        if self.trace is not None:
            self.trace.sealed(seal.header.number, seal.header.first_sequence + seal.header.records)

    def _on_force(self, through: int) -> None:
        trace = self.trace
        if trace is not None:
            trace.forced(through)

    def _freeze(self) -> None:
        if self._seals.is_waiting or not len(self._active):
            return
        end, block = self._log.end, self._open_block
        replay = ReplayPoint(block.first_place or end, self.next_sequence - len(block), self._seals.head_place)
        frozen = Frozen(self._active, end, replay)
        self._active = Memtable(self.next_sequence, self.blocks, end)
        self.see(replace(self.view, memtables=(self._active, *self.view.memtables)))
        self.upkeep.add(frozen)

    def _have_attended(self) -> None:
        self._attention = True

    def use_signer(self, signer: Signer) -> None:
        """Sign blocks with another key from now on."""
        with self.writing:
            self._signer = signer
            if not self.is_parked:
                self._seals.signer = signer


resources(OpenFiles, "_active", "_log", "_open_block", "_packer", "_seals", "_tables")
