"""stats, flush, compact: how the database is doing, and what can be done ahead of time."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, ONLY, collection_of, is_named
from .command import Command, Need
from .context import Context
from .display import human_bytes, human_count, human_duration, human_time, plural
from .results import Facts, Result, Words

if TYPE_CHECKING:
    from blockdb import Latency, ScrubStatistics, Statistics, TransactionStatistics

__all__ = ["COMMANDS"]


def stats(context: Context, arguments: Namespace) -> Result:
    """Describe the database, or a collection."""
    found = collection_of(context, arguments).stats()
    facts = _settings(found) + _contents(found) + (_activity(found) if context.in_shell else ())
    return Facts("BlockDB Statistics:", facts, _plain(asdict(found)))


def _plain(value: Any) -> Any:
    """The same with hashes as text, so that JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _settings(found: Statistics) -> tuple[tuple[str, str], ...]:
    return (
        ("Data directory", found.data_dir),
        ("Memtable size limit", human_bytes(found.memtable_size_limit)),
        ("WAL sync interval", f"{found.wal_sync_interval_ms} ms"),
        ("Compaction threshold", str(found.compaction_threshold)),
        ("Blockchain batch size", str(found.blockchain_batch_size)),
    )


def _contents(found: Statistics) -> tuple[tuple[str, str], ...]:
    tables = sum(table.records for table in found.tables)
    return (
        ("Records", f"{human_count(found.records)} ({human_bytes(found.data_bytes)} of keys and values)"),
        ("Blocks", f"{human_count(found.blocks)} sealed, {plural(found.open_block_records, 'record')} in the open one"),
        ("Last block hash", found.head_hash.hex()),
        ("Memtable", f"{plural(found.memtable_records, 'record')}, {human_bytes(found.memtable_bytes)}"),
        ("Tables", f"{len(found.tables)} ({plural(tables, 'record')}, {human_bytes(found.table_bytes)})"),
        ("Log", f"{human_bytes(found.log_bytes)} since the last flush"),
        ("Compression", "on" if found.compression_enabled else "off"),
        ("Encryption", "on" if found.encrypted else "off"),
        ("Disk", f"{human_bytes(found.disk_bytes)} ({_parts(found)})"),
        ("Scrubber", scrubbing(found.scrub)),
        *(("Scrubber found", problem) for problem in found.scrub.problems),
    )


def scrubbing(found: ScrubStatistics) -> str:
    """What the scrubber does, in words."""
    if not found.rate_limit and not found.passes:
        return "off"
    share = found.records_done / max(found.records_total, 1)
    doing = f"{share:.0%} of a pass, at {human_bytes(found.rate_limit)}/s" if found.running else "waiting"
    last = "no pass finished yet"
    if found.last_finished_ms is not None:
        wrong = plural(len(found.problems), "problem") if found.problems else "no problem"
        last = f"the last of {human_count(found.passes)} ended {human_time(found.last_finished_ms)}, with {wrong}"
    failed = f"; failed: {found.failure}" if found.failure else ""
    return f"{doing if found.rate_limit else 'off'}; {last}{failed}"


def _parts(found: Statistics) -> str:
    chain = f"chain {human_bytes(found.chain_bytes)}"
    if found.chain_data_bytes > found.chain_bytes:
        chain += f", of {human_bytes(found.chain_data_bytes)} before it was packed"
    return f"{chain}; tables {human_bytes(found.table_bytes)}; other {human_bytes(found.other_bytes)}"


def _activity(found: Statistics) -> tuple[tuple[str, str], ...]:
    """What this handle did since it was opened: of interest only where it stays open."""
    return (
        ("Open for", human_duration(found.uptime_s)),
        ("Puts", f"{human_count(found.puts)} ({human_count(found.duplicates)} duplicates refused)"),
        ("Gets", f"{human_count(found.gets)} ({human_count(found.misses)} not found)"),
        ("Scans", human_count(found.scans)),
        ("Put latency", _latency(found.put_latency)),
        ("Get latency", _latency(found.get_latency)),
        ("Force latency", _latency(found.force_latency)),
        ("Stalls", f"{human_count(found.stalls)}, {_latency(found.stall_latency)}"),
        ("Written", f"{human_bytes(found.bytes_written)}, {found.write_amplification:.2f} for each byte stored"),
        ("Cache", _cache(found)),
        (
            "Filters",
            f"{_share(found.filter_false_positives, found.filter_hits)} of what they let through was not there",
        ),
        *_transactions(found.transactions),
        *((("Background work failed", found.background_failure),) if found.background_failure else ()),
    )


def _transactions(found: TransactionStatistics) -> tuple[tuple[str, str], ...]:
    if not found.active + found.committed + found.aborted:
        return ()
    ended = f"{human_count(found.committed)} committed, {human_count(found.aborted)} aborted"
    reasons = f"{plural(found.deadlocks, 'deadlock')}, {plural(found.timeouts, 'timeout')}"
    now = f"{human_count(found.active)} open with {plural(found.locks, 'lock')}, {human_count(found.waiting)} waiting"
    return (
        ("Transactions", f"{ended} ({reasons}); {now}"),
        ("Lock waits", f"{human_count(found.waits)}, {_latency(found.wait_latency)}"),
    )


def _cache(found: Statistics) -> str:
    fill = f"{human_bytes(found.cache_bytes)} of {human_bytes(found.cache_size_limit)}"
    return f"{fill}; {_share(found.cache_hits, found.cache_misses)} of reads hit"


def _share(some: int, others: int) -> str:
    return f"{some / (some + others):.1%}" if some + others else "-"


def _latency(found: Latency) -> str:
    if not found.count:
        return "-"
    return f"{human_duration(found.p50_us / 1e6)} median, {human_duration(found.p99_us / 1e6)} at the 99th percentile"


def flush(context: Context, arguments: Namespace) -> Result:
    """Move what is in memory into tables."""
    target = collection_of(context, arguments) if is_named(arguments) else context.database
    target.flush()
    return _shape("Flushed", target.stats())


def compact(context: Context, arguments: Namespace) -> Result:
    """Merge tables."""
    target = collection_of(context, arguments) if is_named(arguments) else context.database
    target.compact()
    return _shape("Compacted", target.stats())


def _shape(done: str, found: Statistics) -> Words:
    tables = len(found.tables)
    text = f"{done}: {plural(tables, 'table')}, {human_bytes(found.table_bytes)}"
    return Words(text, {"tables": tables, "table_bytes": found.table_bytes}, role="success")


COMMANDS = (
    Command(
        "stats",
        "Show settings, size and state.",
        stats,
        (COLLECTION,),
        details="Makes the database if there is none yet. What is counted is that of one collection.",
        examples=(("stats", "Show them"), ("stats --format json", "All there is to know, for a program")),
        need=Need.READ_OR_MAKE,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "flush",
        "Force everything to disk and move what is in memory into a table.",
        flush,
        (ONLY,),
        details="Nothing has to be flushed for safety: what was stored is in the log.",
        examples=(("flush", "Flush now"),),
        need=Need.WRITE,
    ),
    Command(
        "compact",
        "Merge all tables into one.",
        compact,
        (ONLY,),
        details="It happens by itself in the background; this does it now, and completely.",
        examples=(("compact", "Compact now"),),
        need=Need.WRITE,
    ),
)
