"""What partitions tell of themselves, put together as what the collection tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from blockdb.query.explanation import Explanation
from blockdb.statistics import Latency, Statistics
from blockdb.types import CollectionInfo, CollectionStats, IndexInfo, Report

__all__ = ["explanation_of", "indexes_of", "info_of", "report_of", "statistics_of", "stats_of"]


def stats_of(parts: Sequence[CollectionStats]) -> CollectionStats:
    """How much all hold."""
    return CollectionStats(
        document_count=sum(part.document_count for part in parts),
        total_size_bytes=sum(part.total_size_bytes for part in parts),
        index_size_bytes=sum(part.index_size_bytes for part in parts),
        last_updated=max(part.last_updated for part in parts),
        operations_count=sum(part.operations_count for part in parts),
    )


def info_of(id_: str, name: str, parts: Sequence[CollectionInfo]) -> CollectionInfo:
    """What the collection is."""
    return replace(parts[0], id=id_, name=name, stats=stats_of([part.stats for part in parts]))


def indexes_of(parts: Sequence[Iterable[IndexInfo]]) -> tuple[IndexInfo, ...]:
    """The indexes; one that is not in all partitions yet is being built."""
    found: dict[str, list[IndexInfo]] = {}
    for infos in parts:
        for info in infos:
            found.setdefault(info.name, []).append(info)
    return tuple(_index_of(found[name], len(parts)) for name in sorted(found))


def _index_of(infos: Sequence[IndexInfo], partitions: int) -> IndexInfo:
    is_ready = len(infos) == partitions and all(info.state == "ready" for info in infos)
    return replace(
        infos[0],
        entries=sum(info.entries for info in infos),
        size_bytes=sum(info.size_bytes for info in infos),
        state="ready" if is_ready else "building",
        lookups=sum(info.lookups for info in infos),
    )


def explanation_of(parts: Sequence[Explanation], limit: int | None, offset: int) -> Explanation:
    """How the query was answered, by all."""
    estimates = [part.estimated for part in parts]
    returned = max(0, sum(part.returned for part in parts) - offset)
    return replace(
        parts[0],
        access=" or ".join(dict.fromkeys(part.access for part in parts)),
        ranges=tuple(dict.fromkeys(text for part in parts for text in part.ranges)),
        estimated=None if None in estimates else sum(filter(None, estimates)),
        touched=sum(part.touched for part in parts),
        returned=returned if limit is None else min(limit, returned),
        left_out=sum(part.left_out for part in parts),
        redacted=sum(part.redacted for part in parts),
        elapsed_ms=max(part.elapsed_ms for part in parts),
        notes=(
            *dict.fromkeys(note for part in parts for note in part.notes),
            f"Asked of {len(parts)} partitions, each in its own way, and merged.",
        ),
    )


def report_of(parts: Sequence[Report]) -> Report:
    """What was found in all, one audited after the other."""
    return Report(
        valid=all(part.valid for part in parts),
        blocks=sum(part.blocks for part in parts),
        records=sum(part.records for part in parts),
        problems=tuple(problem for part in parts for problem in part.problems),
        elapsed_ms=sum(part.elapsed_ms for part in parts),
        cancelled=any(part.cancelled for part in parts),
        last_good=tuple(block for part in parts for block in part.last_good),
        read_bytes=sum(part.read_bytes for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


OF_ALL: Final = frozenset(
    ("uptime_s", "recovery_ms", "memtable_size_limit", "cache_size_limit", "wal_sync_interval_ms")
)
"""Figures of which the largest says more than the sum."""
AS_ONE: Final = frozenset(("compaction_threshold", "blockchain_batch_size"))
"""Settings that are the same in all."""


def statistics_of(id_: str, parts: Sequence[Statistics]) -> Statistics:
    """The figures of all handles together. The hash of the head is that of the first: each has a chain of its own."""
    first = parts[0]
    summed = {
        field.name: _together(field.name, [getattr(part, field.name) for part in parts]) for field in fields(first)
    }
    return replace(first, **summed | {"collection_id": id_, "data_dir": first.data_dir, "head_hash": first.head_hash})


def _together(name: str, values: Sequence[Any]) -> Any:
    first = values[0]
    if name in AS_ONE:
        return first
    if name in OF_ALL:
        return max(values)
    if isinstance(first, bool):
        return any(values)
    if isinstance(first, Latency):
        return Latency.merged(values)
    if isinstance(first, tuple):
        return tuple(item for value in values for item in value)
    if isinstance(first, (int, float)):
        return sum(values)
    return next((value for value in values if value is not None), None)
