"""For those who watch over the server."""

from __future__ import annotations

from blockdb.server.figures import metrics_json, stats_json
from blockdb.server.service import Session
from blockdb.wire.messages import plain, server
from blockdb.wire.operation import Nothing


def health(session: Session, request: Nothing) -> plain.Health:
    """Whether the server is well."""
    return plain.Health(**session.service.monitor.health().to_json())


def health_live(session: Session, request: Nothing) -> plain.Live:
    """It answers."""
    return plain.Live(status="live")


def health_ready(session: Session, request: Nothing) -> plain.Ready:
    """Whether requests should come here."""
    return plain.Ready(**session.service.monitor.health().ready_json())


def metrics(session: Session, request: Nothing) -> plain.Metrics:
    """What is counted and timed, in brief."""
    return plain.Metrics(**metrics_json(session.service.monitor.snapshot()))


def stats(session: Session, request: Nothing) -> plain.Stats:
    """Settings, and what is stored."""
    return plain.Stats(**stats_json(session.service.monitor.snapshot()))


def server_statistics(session: Session, request: Nothing) -> server.ServerSnapshot:
    """All that the server counts and times of its own work."""
    return server.ServerSnapshot(statistics=session.service.monitor.meters.snapshot())


def alerts(session: Session, request: Nothing) -> server.Alerts:
    """What somebody should look at."""
    return server.Alerts(alerts=list(session.service.monitor.alerts))
