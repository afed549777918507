"""A recording as lines: each event, and each second what the engine and the cluster did, in words and as data."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..display import human_bytes, human_count, human_duration, human_time, plural, printable
from .events import Event, Happening, words_of
from .history import Moment

if TYPE_CHECKING:
    from blockdb.statistics import Latency

    from .lanes import Sample
    from .reading import Recording

__all__ = ["Told", "cluster_words", "metrics_words", "offset_s", "told"]

Told: TypeAlias = "tuple[int, str, dict[str, Any]]"
"""When it was, a line that is safe to show, and the same as data."""

_EVENT, _METRICS, _CLUSTER = range(3)
SECOND_MS = 1000


def told(recording: Recording, from_ms: int, to_ms: int) -> Iterator[Told]:
    """What was between two moments, both included, in order."""
    events = ((event.time_ms, _EVENT, _event(event)) for event in recording.events)
    moments = (
        (time_ms, _METRICS, _metrics(time_ms, name, moment))
        for time_ms, name, moment in _last_of_each_second(recording.moments())
    )
    samples = (
        (sample.time_ms, _CLUSTER, _cluster(sample))
        for _, sample in _last_of_each_second((one.time_ms, one) for one in recording.samples)
    )
    for time_ms, _, line in heapq.merge(events, moments, samples, key=itemgetter(0, 1)):
        if from_ms <= time_ms <= to_ms:
            words, data = line
            yield time_ms, f"{human_time(time_ms)[11:23]}  {words}", data


def _last_of_each_second(timed: Iterator[Any]) -> Iterator[Any]:
    for _, group in groupby(timed, lambda item: item[0] // SECOND_MS):
        *_, last = group
        yield last


def _event(event: Event) -> tuple[str, dict[str, Any]]:
    where, shown = printable(event.where), event.shown
    line = f"{where or '·':<10} {shown.glyph} {shown.word:<11} {words_of(event)}".rstrip()
    is_node = isinstance(event, Happening)
    data: dict[str, Any] = {"line": "event" if is_node else "engine", "time_ms": event.time_ms, "kind": event.kind}
    data["node_id" if is_node else "collection"] = event.where
    if isinstance(event, Happening):
        data |= {"term": event.term, "index": event.index, "other": event.other}
    return line, {**data, "what": event.what}


def _metrics(time_ms: int, collection: str, moment: Moment) -> tuple[str, dict[str, Any]]:
    now = moment.statistics
    data = {
        "line": "metrics",
        "time_ms": time_ms,
        "collection": collection,
        "records": now.records,
        "blocks": now.blocks,
        "writes_per_s": round(moment.writes_per_s, 1),
        "bytes_per_s": round(moment.bytes_per_s, 1),
        "reads_per_s": round(moment.reads_per_s, 1),
        "put_p99_us": round(now.put_latency.p99_us, 1),
        "get_p99_us": round(now.get_latency.p99_us, 1),
        "memtable_bytes": now.memtable_bytes,
        "tables": len(now.tables),
        "disk_bytes": now.disk_bytes,
    }
    return f"{printable(collection) or '·':<10} {metrics_words(moment)}", data


def metrics_words(moment: Moment) -> str:
    """The figures of a moment in a line."""
    now = moment.statistics
    parts = [
        f"{plural(now.records, 'record')} in {plural(now.blocks, 'block')}",
        f"+{moment.writes_per_s:,.0f}/s {human_bytes(round(moment.bytes_per_s))}/s",
        f"reads {moment.reads_per_s:,.0f}/s",
        *_latencies(now.put_latency, now.get_latency),
        f"disk {human_bytes(now.disk_bytes)}",
    ]
    return " · ".join(parts)


def _latencies(put: Latency, get: Latency) -> Iterator[str]:
    for name, latency in (("put", put), ("get", get)):
        if latency.count:
            yield f"{name} p99 {human_duration(latency.p99_us / 1e6)}"


def _cluster(sample: Sample) -> tuple[str, dict[str, Any]]:
    leader = sample.leader
    data = {
        "line": "cluster",
        "time_ms": sample.time_ms,
        "leader": "" if leader is None else leader.id,
        "term": 0 if leader is None else leader.term,
        "commit": max((lane.commit for lane in sample.lanes), default=0),
        "there": sum(lane.is_there for lane in sample.lanes),
        "nodes": len(sample.lanes),
    }
    return f"{'cluster':<10} {cluster_words(sample)}", data


def cluster_words(sample: Sample) -> str:
    """The lanes of a moment in a line."""
    leader = sample.leader
    who = "no leader" if leader is None else f"{printable(leader.id)} leads · term {human_count(leader.term)}"
    commit = max((lane.commit for lane in sample.lanes), default=0)
    there = sum(lane.is_there for lane in sample.lanes)
    return f"{who} · commit {human_count(commit)} · {there} of {plural(len(sample.lanes), 'node')} there"


def offset_s(text: str) -> float:
    """`90`, `12.5` or `1:30` as seconds after the beginning. Raises ValueError."""
    minutes, _, seconds = text.strip().rpartition(":")
    found = 60 * int(minutes or 0) + float(seconds)
    if not found >= 0:
        raise ValueError("it is before the beginning")
    return min(found, 1e9)
