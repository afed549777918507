"""What Prometheus and its kin read: the metrics of a server as text. A registry of its own, never the global one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from blockdb import __version__
from blockdb.server.http.accepting import OPENMETRICS, TEXT
from blockdb.server.metric_table import (
    CLUSTER,
    COLLECTION,
    DATABASE,
    HISTOGRAMS,
    NODE,
    PARTITION,
    SERVER,
    WHOLE,
    Metric,
)
from blockdb.statistics import Latency, ServerStatistics, Snapshot, Statistics

__all__ = ["MAX_COLLECTIONS", "OPENMETRICS", "OTHERS", "TEXT", "Exposition"]

T = TypeVar("T")

PREFIX: Final = "blockdb_"
OTHERS: Final = "_others"
"""The label under which collections are told together that have none of their own: no collection is called that."""
MAX_COLLECTIONS: Final = 20
"""So many collections have a label of their own at a time, so that no monitoring drowns in them."""
MAX_PARTITIONS: Final = 256
"""So many partitions are told of, for the same reason."""

BOUNDS_BITS: Final = range(10, 35)
"""Buckets of histograms end at these powers of two, in nanoseconds: from a microsecond to 17 seconds."""


class Exposition:
    """The metrics of a server. Safe for threads."""

    def __init__(self, look: Callable[[], Snapshot], max_collections: int = MAX_COLLECTIONS) -> None:
        """`look` is called at each rendering."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_OfSnapshots(look, max_collections))
        ProcessCollector(registry=self._registry)

    def render(self, kind: str = TEXT) -> tuple[bytes, str]:
        """The metrics in Prometheus's text format 0.0.4, or OpenMetrics 1.0, and the content type of that."""
        if kind == OPENMETRICS:
            text: bytes = generate_openmetrics(self._registry)  # type: ignore[no-untyped-call]
            return text, f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class _OfSnapshots(Collector):
    """Tells the registry what there is. A collection that got a label keeps it until it is dropped."""

    def __init__(self, look: Callable[[], Snapshot], max_collections: int) -> None:
        self._look = look
        self._limit = max_collections
        self._labelled: tuple[str, ...] = ()

    def collect(self) -> Iterator[Family]:
        snapshot = self._look()
        self._labelled = labelled(self._labelled, snapshot.collections, self._limit)
        return families(snapshot, self._labelled)


def labelled(before: Sequence[str], names: Iterable[str], limit: int) -> tuple[str, ...]:
    """Which collections have a label of their own: those that had one first, then those with the first names."""
    known = sorted(names)
    kept = [name for name in before if name in known]
    return (*kept, *(name for name in known if name not in kept))[:limit]


def families(snapshot: Snapshot, names: Sequence[str]) -> Iterator[Family]:
    """All metrics, also those without a value; collections that are not among `names` are told together. Pure."""
    yield _build_info()
    yield from _numbers(WHOLE, _alone(snapshot), ())
    yield from _numbers(DATABASE, _alone(snapshot.database), ())
    yield _lock_waits(snapshot.database)
    groups = _groups(snapshot, names)
    yield from _numbers(COLLECTION, groups, ("collection",))
    for name, words, value in HISTOGRAMS:
        family = HistogramMetricFamily(PREFIX + name, words, labels=("collection",))
        for labels, members in groups:
            _add(family, labels, Latency.merged(value(one) for one in members))
        yield family
    yield from _numbers(SERVER, _alone(snapshot.server), ())
    yield from _requests(snapshot.server or ServerStatistics())
    yield from _of_cluster(snapshot)


Groups = Sequence[tuple[tuple[str, ...], Sequence[T]]]
"""What is told together, and under which values of the labels."""


def _alone(one: T | None) -> Groups[T]:
    return [] if one is None else [((), [one])]


def _groups(snapshot: Snapshot, names: Sequence[str]) -> Groups[Statistics]:
    others = [one for name, one in snapshot.collections.items() if name not in names]
    alone = [((name,), [snapshot.collections[name]]) for name in sorted(names)]
    return [*alone, *([((OTHERS,), others)] if others else [])]


def _numbers(metrics: Iterable[Metric[T]], groups: Groups[T], labels: Sequence[str]) -> Iterator[Family]:
    for metric in metrics:
        kind = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
        family = kind(PREFIX + metric.name, metric.help, labels=labels)
        for values, members in groups:
            told = [value for value in map(metric.value, members) if value is not None]
            if told and (metric.adds_up or len(members) == 1):
                family.add_metric(values, float(sum(told)))
        yield family


def _requests(server: ServerStatistics) -> Iterator[Family]:
    by_outcome = CounterMetricFamily(
        PREFIX + "requests", "Requests answered, by how they ended.", labels=("operation", "door", "outcome")
    )
    duration = HistogramMetricFamily(
        PREFIX + "request_duration_seconds", "Time for an answer.", labels=("operation", "door")
    )
    for requests in server.requests:
        for outcome, times in requests.outcomes.items():
            by_outcome.add_metric((requests.operation, requests.door, outcome), times)
        _add(duration, (requests.operation, requests.door), requests.latency)
    rejected = CounterMetricFamily(
        PREFIX + "rejected", "Requests turned away before anybody looked at them.", labels=("reason",)
    )
    for reason, times in server.rejected.items():
        rejected.add_metric((reason,), times)
    return iter((by_outcome, duration, rejected))


def _of_cluster(snapshot: Snapshot) -> Iterator[Family]:
    cluster = snapshot.cluster
    yield from _numbers(CLUSTER, _alone(cluster), ())
    members = [] if cluster is None else [((member.id,), [member]) for member in cluster.members]
    yield from _numbers(NODE, members, ("node",))
    held = [] if cluster is None else [each for each in cluster.partitions if each.is_held][:MAX_PARTITIONS]
    yield from _numbers(PARTITION, [((each.label,), [each]) for each in held], ("partition",))
    family = HistogramMetricFamily(
        PREFIX + "cluster_propose_duration_seconds", "Time until commands of this node were decided.", labels=()
    )
    if cluster is not None and snapshot.server is not None:
        _add(family, (), snapshot.server.proposals)
    yield family


def _lock_waits(database: Statistics | None) -> Family:
    family = HistogramMetricFamily(
        PREFIX + "transaction_wait_duration_seconds", "Time that transactions waited for a lock.", labels=()
    )
    if database is not None:
        _add(family, (), database.transactions.wait_latency)
    return family


def _build_info() -> Family:
    family = GaugeMetricFamily(PREFIX + "build_info", "Always 1; what runs here.", labels=("version", "python"))
    family.add_metric((__version__, platform.python_version()), 1)
    return family


def _add(family: HistogramMetricFamily, labels: Sequence[str], latency: Latency) -> None:
    below = latency.below(BOUNDS_BITS)
    bounds = [(repr((1 << bits) / 1e9), float(times)) for bits, times in zip(BOUNDS_BITS, below, strict=True)]
    family.add_metric(labels, [*bounds, ("+Inf", latency.count)], latency.sum_us / 1e6)
