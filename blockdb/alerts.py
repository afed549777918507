"""When somebody should be told: rules over snapshots of a database and its server. Pure.

An alert begins with the first snapshot in which its rule is broken. It ends after `CALM` snapshots in a row in which
the value is clearly on the right side again, so that a value that moves about its limit tells nobody twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from blockdb.nodes import NodeState
from blockdb.statistics import Latency, ServerStatistics, Snapshot

__all__ = ["CALM", "FAULTS", "Alert", "Evaluation", "Thresholds", "changes", "evaluate"]

CALM: Final = 3
"""After so many snapshots without a reason an alert ends."""
LEAST_TIMED: Final = 20
"""Of fewer operations between two snapshots, no share and no quantile is told."""
CERTIFICATE_MS: Final = 14 * 86_400_000
"""An alert begins when a certificate is valid for less time than this."""

CRITICAL: Final = "critical"
WARNING: Final = "warning"

FAULTS: Final = (
    "AnchorFailed",
    "Corruption",
    "DatabaseClosed",
    "DatabaseLocked",
    "DatabaseNotFound",
    "Internal",
    "MasterKeyError",
    "RequestTimeout",
    "StorageError",
    "Unavailable",
    "UnsupportedFormat",
    "WritesStopped",
)
"""Kinds of errors that are the server's own; others are the answer to what was asked."""


class Thresholds(Protocol):
    """What `[alerts]` of the configuration says; 0 switches a rule off."""

    @property
    def disk_free_percent(self) -> float:
        """Less than this should not be free on the disk."""

    @property
    def latency_ms(self) -> float:
        """One put in a hundred may take longer."""

    @property
    def error_percent(self) -> float:
        """Of the requests, not more than this should end in an error of the server's own."""

    @property
    def replication_lag(self) -> float:
        """No member of a cluster should be so many entries behind."""

    @property
    def integrity(self) -> bool:
        """Whether damage, failures in the background and the end of the certificate are told."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should look at."""

    name: str
    """Which rule: `disk_space`, `put_latency`, `error_rate`, `scrub_problems`, `writes_stopped` and so on."""
    subject: str
    """Which collection, or node of a cluster, it is about; empty: the whole."""
    severity: str
    """`critical` or `warning`."""
    message: str
    """What is wrong and what to do, as of the last snapshot."""
    since_ms: int = 0
    """When it began: Unix time in milliseconds."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other alerts."""
        return self.name, self.subject


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules said of a snapshot."""

    snapshot: Snapshot
    alerts: tuple[Alert, ...] = ()
    """Those that are on, critical ones first."""
    calm: dict[tuple[str, str], int] = field(default_factory=dict)
    """For how many snapshots there was no reason any more."""


@dataclass(frozen=True, slots=True)
class _Reading:
    alert: Alert
    is_broken: bool = True
    """False: the value is so near to the limit that an alert goes on, but none begins."""


def evaluate(thresholds: Thresholds, before: Evaluation | None, now: Snapshot) -> Evaluation:
    """What to tell of a snapshot, given what was said of the one before. O(open collections)."""
    earlier = None if before is None else before.snapshot
    readings = {one.alert.key: one for rule in _RULES for one in rule(thresholds, earlier, now)}
    active = {} if before is None else {alert.key: alert for alert in before.alerts}
    calm: dict[tuple[str, str], int] = {}
    alerts = []
    for key in sorted({*readings, *active}):
        reading, was = readings.get(key), active.get(key)
        if reading is not None and (reading.is_broken or was is not None):
            alerts.append(replace(reading.alert, since_ms=now.time_ms if was is None else was.since_ms))
        elif was is not None and before is not None:
            calm[key] = before.calm.get(key, 0) + 1
            if calm[key] < CALM:
                alerts.append(was)
            else:
                del calm[key]
    return Evaluation(now, tuple(sorted(alerts, key=_by_weight)), calm)


def changes(before: Evaluation | None, after: Evaluation) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """The alerts that began, and those that ended."""
    old = {} if before is None else {alert.key: alert for alert in before.alerts}
    new = {alert.key for alert in after.alerts}
    began = tuple(alert for alert in after.alerts if alert.key not in old)
    return began, tuple(alert for key, alert in old.items() if key not in new)


def _by_weight(alert: Alert) -> tuple[bool, str, str]:
    return alert.severity != CRITICAL, alert.name, alert.subject


# The rules.


def _disk(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    limit = thresholds.disk_free_percent
    free = 100 * now.disk_free_bytes / max(now.disk_size_bytes, 1)
    if limit and free < limit * 1.1:
        message = f"{free:.1f} % of the disk is free, less than {limit:g} %: make room, or writes will stop."
        yield _Reading(Alert("disk_space", "", CRITICAL, message), free < limit)


def _put_latency(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    limit = thresholds.latency_ms
    if not limit:
        return
    recent = Latency.merged(_recent_puts(before, now))
    p99_ms = recent.p99_us / 1000
    if recent.count >= LEAST_TIMED and p99_ms > limit * 0.8:
        message = f"One put in a hundred takes longer than {p99_ms:.1f} ms; {limit:g} ms are allowed."
        yield _Reading(Alert("put_latency", "", WARNING, message), p99_ms > limit)


def _recent_puts(before: Snapshot | None, now: Snapshot) -> Iterable[Latency]:
    for name, one in now.collections.items():
        earlier = None if before is None else before.collections.get(name)
        yield one.put_latency if earlier is None else one.put_latency.since(earlier.put_latency)


def _error_rate(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    limit = thresholds.error_percent
    if not limit or now.server is None:
        return
    earlier = (None if before is None else before.server) or ServerStatistics()
    answered = now.server.answered - earlier.answered
    faults = now.server.ended(*FAULTS) - earlier.ended(*FAULTS)
    share = 100 * faults / max(answered, 1)
    if answered >= LEAST_TIMED and share > limit * 0.8:
        message = f"{share:.1f} % of requests ended in an error of the server; {limit:g} % are allowed. See its log."
        yield _Reading(Alert("error_rate", "", WARNING, message), share > limit)


def _integrity(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    if not thresholds.integrity:
        return
    for name, one in now.collections.items():
        if one.writes_stopped:
            yield _Reading(Alert("writes_stopped", name, CRITICAL, one.writes_stopped))
        if one.background_failure:
            yield _Reading(Alert("background_failure", name, CRITICAL, one.background_failure))
    damaged = 0 if now.server is None else now.server.ended("Corruption")
    if damaged:
        message = f"Requests met damage {damaged} times since the server was started: run blockdb audit."
        yield _Reading(Alert("damage", "", CRITICAL, message))
    scrub = None if now.database is None else now.database.scrub
    if scrub is not None and scrub.problems:
        message = f"The scrubber found {len(scrub.problems)} wrong, first: {scrub.problems[0]} Run blockdb audit."
        yield _Reading(Alert("scrub_problems", "", CRITICAL, message))
    if scrub is not None and scrub.failure:
        yield _Reading(Alert("scrub_failed", "", WARNING, f"The scrubber did not come to its end: {scrub.failure}"))


def _certificate(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    if not thresholds.integrity or now.certificate_expires_ms is None:
        return
    left_ms = now.certificate_expires_ms - now.time_ms
    if left_ms < CERTIFICATE_MS:
        left = f"expires in {left_ms // 86_400_000} days" if left_ms > 0 else "has expired"
        severity = WARNING if left_ms > 0 else CRITICAL
        message = f"The certificate {left}: put a new one in its place."
        yield _Reading(Alert("certificate_expiring", "", severity, message))


def _cluster(thresholds: Thresholds, before: Snapshot | None, now: Snapshot) -> Iterator[_Reading]:
    cluster = now.cluster
    if cluster is None:
        return
    if not cluster.leader:
        message = "No node leads the cluster, so nothing is stored: see whether most of its nodes run and are reached."
        yield _Reading(Alert("no_leader", "", CRITICAL, message))
    if cluster.diverged:
        message = f"Its chain is not that of the others: {cluster.diverged}. It answers no more; see docs/CLUSTER.md."
        yield _Reading(Alert("divergence", cluster.node_id, CRITICAL, message))
    for member in cluster.members:
        if member.agrees is False:
            message = f"The chain of {member.id} is not that of {cluster.node_id}: run blockdb audit on both."
            yield _Reading(Alert("divergence", member.id, CRITICAL, message))
        yield from _of_member(member, thresholds.replication_lag)


def _of_member(member: NodeState, limit: float) -> Iterator[_Reading]:
    if limit and not member.is_active:
        message = f"Nothing is heard of {member.id}: see whether it runs, and whether it is reached."
        yield _Reading(Alert("node_unreachable", member.id, WARNING, message))
    elif limit and member.lag > limit * 0.8:
        message = f"{member.id} is {member.lag:,} entries behind; {limit:g} are allowed."
        yield _Reading(Alert("replication_lag", member.id, WARNING, message), member.lag > limit)


Rule = Callable[[Thresholds, Snapshot | None, Snapshot], Iterator[_Reading]]

_RULES: Final[tuple[Rule, ...]] = (_disk, _put_latency, _error_rate, _integrity, _certificate, _cluster)
