"""What an engine must have done between two snapshots, and a cluster between two samples of its lanes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..display import human_bytes, human_count, plural
from .events import Happening, Note
from .lanes import UNREACHABLE, Lane, Sample

if TYPE_CHECKING:
    from blockdb.statistics import Statistics

__all__ = ["changes_between", "notes_between"]


def notes_between(time_ms: int, collection: str, before: Statistics | None, now: Statistics) -> Iterator[Note]:
    """The events, in no words that a record may have. None of them where there is nothing to compare with."""
    if before is None:
        yield Note(time_ms, "opened", f"{plural(now.records, 'record')} in {plural(now.blocks, 'block')}", collection)
        return
    for kind, what in (*_progress(before, now), *_failures(before, now)):
        yield Note(time_ms, kind, what, collection)


def _progress(before: Statistics, now: Statistics) -> Iterator[tuple[str, str]]:
    if now.blocks > before.blocks:
        first, last = human_count(before.blocks), human_count(now.blocks - 1)
        yield "sealed", f"block {last}" if now.blocks == before.blocks + 1 else f"blocks {first} to {last}"
    if now.flushes > before.flushes:
        yield "flush", f"{plural(len(now.tables), 'table')}, {human_bytes(now.table_bytes)}"
    if now.compactions > before.compactions:
        yield "compaction", f"{plural(len(now.tables), 'table')}, {human_bytes(now.table_bytes)}"
    if now.stalls > before.stalls:
        yield "stall", f"{plural(now.stalls - before.stalls, 'write')} had to wait for a flush"
    if now.transactions.deadlocks > before.transactions.deadlocks:
        yield "stall", plural(now.transactions.deadlocks - before.transactions.deadlocks, "deadlock")
    if now.scrub.passes > before.scrub.passes:
        yield "scrub", f"pass {human_count(now.scrub.passes)}, {plural(now.scrub.records_done, 'record')}"


def _failures(before: Statistics, now: Statistics) -> Iterator[tuple[str, str]]:
    words = {
        "background_failure": "memtables are not written, or tables not merged",
        "writes_stopped": "no more writes are taken",
    }
    for name, what in words.items():
        was, is_now = getattr(before, name), getattr(now, name)
        if (was is None) != (is_now is None):
            yield ("failing", what) if is_now is not None else ("mending", f"no more: {what}")
    if len(now.scrub.problems) > len(before.scrub.problems):
        yield "damage", f"the scrubber found {plural(len(now.scrub.problems), 'problem')}"


def changes_between(before: Sample | None, now: Sample) -> list[Happening]:
    """What must have happened between two samples, where no node tells of it."""
    if before is None:
        return []
    pairs = ((before.lane(lane.id), lane) for lane in now.lanes)
    return [_change(was, lane, now.time_ms) for was, lane in pairs if was is not None and was.state != lane.state]


def _change(was: Lane, lane: Lane, time_ms: int) -> Happening:
    if lane.is_leader:
        return Happening(time_ms, lane.id, "leader", lane.term, other=lane.id)
    if UNREACHABLE in (was.state, lane.state):
        return Happening(time_ms, lane.id, "contact", what="lost" if lane.state == UNREACHABLE else "reached")
    return Happening(time_ms, lane.id, "state", lane.term, what=lane.state)
