"""Putting together the immutable statistics of a collection."""

from __future__ import annotations

from time import monotonic

from blockdb.config import DatabaseConfig
from blockdb.statistics import Statistics
from blockdb.storage.attachment import Attachment
from blockdb.storage.statistics import Histogram
from blockdb.storage.store import Store


def summarize(reader: Store | Attachment, config: DatabaseConfig, read_only: bool) -> Statistics:
    """The collection and its handle at this moment."""
    view = reader.view
    tables = reader.tables()
    chain_bytes, other_bytes, data_bytes = reader.chain_bytes(), reader.other_bytes(), reader.data_bytes()
    index_bytes = reader.index_bytes()
    table_bytes = sum(table.size_bytes for table in tables)
    writer = reader if isinstance(reader, Store) else None
    open_records, open_bytes = reader.open_block_size()
    return Statistics(
        data_dir=config.data_dir,
        read_only=read_only,
        collection_id=reader.metadata.id,
        memtable_size_limit=config.memtable_size_limit,
        wal_sync_interval_ms=config.wal_sync_interval,
        compaction_threshold=config.compaction_threshold,
        blockchain_batch_size=reader.metadata.blockchain_batch_size,
        records=reader.next_sequence,
        data_bytes=data_bytes,
        blocks=reader.blocks,
        open_block_records=open_records,
        open_block_bytes=open_bytes,
        head_hash=reader.head_hash,
        memtable_records=len(view.memtables[0]),
        memtable_bytes=sum(memtable.size_bytes for memtable in view.memtables),
        frozen_memtables=len(view.memtables) - 1,
        tables=tables,
        log_bytes=reader.log_bytes(),
        chain_bytes=chain_bytes,
        table_bytes=table_bytes,
        disk_bytes=chain_bytes + table_bytes + index_bytes + other_bytes,
        index_bytes=index_bytes,
        puts=writer.puts if writer else 0,
        gets=reader.gets,
        misses=reader.misses,
        scans=reader.scans,
        duplicates=writer.duplicates if writer else 0,
        put_latency=(writer.put_latency if writer else Histogram()).snapshot(),
        get_latency=reader.get_latency.snapshot(),
        force_latency=(writer.force_latency if writer else Histogram()).snapshot(),
        flushes=writer.upkeep.flushes if writer else 0,
        compactions=writer.upkeep.compactions if writer else 0,
        forces=writer.force_latency.count if writer else 0,
        stalls=writer.upkeep.stalls if writer else 0,
        flushing=writer is not None and writer.upkeep.flushing.locked(),
        compacting=writer is not None and writer.upkeep.compacting.locked(),
        recovery_ms=reader.recovered.elapsed_ms,
        recovered_records=reader.recovered.records,
        uptime_s=monotonic() - reader.opened,
        background_failure=_failure_of(writer),
        writes_stopped=str(writer.stopped) if writer and writer.stopped else None,
        stall_latency=(writer.upkeep.stall_latency if writer else Histogram()).snapshot(),
        compression_enabled=config.compression_enabled,
        encrypted=reader.door.is_sealing,
        chain_data_bytes=reader.chain_data_bytes(),
        other_bytes=other_bytes,
        bytes_stored=data_bytes - writer.bytes_before if writer else 0,
        bytes_written=writer.bytes_written if writer else 0,
        cache_size_limit=reader.cache.limit_bytes,
        cache_bytes=reader.cache.size_bytes,
        cache_hits=reader.cache.hits,
        cache_misses=reader.cache.misses,
        filter_hits=sum(table.hits for table in view.tables),
        filter_false_positives=sum(table.false_positives for table in view.tables),
    )


def _failure_of(writer: Store | None) -> str | None:
    """Why work in the background failed, if it did."""
    failure = None if writer is None else writer.upkeep.failure or writer.indexes.failure
    return None if failure is None else str(failure)
