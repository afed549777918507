"""alerts: what somebody should look at; and the lookout that the explorer keeps."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from blockdb.errors import ConfigError

from .command import Command, Need
from .context import Context
from .results import Column, Result, Table

if TYPE_CHECKING:
    from blockdb import AnyDatabase, Database
    from blockdb.alerts import Alert, Evaluation, Thresholds
    from blockdb.config import Sources
    from blockdb.database.observing import Observer

__all__ = ["COMMANDS", "Lookout", "lookout"]


class Lookout:
    """Looks at a database again and again. A server is asked; of a directory, the rules are looked at here."""

    def __init__(self, thresholds: Thresholds, interval_s: float) -> None:
        """`interval_s` is how long to wait between two looks."""
        self._thresholds = thresholds
        self.interval_s = interval_s
        self._observer: Observer | None = None
        self._last: Evaluation | None = None
        self._of: AnyDatabase | None = None

    def look(self, database: AnyDatabase) -> tuple[Alert, ...]:
        """The alerts that are on, critical ones first. Raises BlockDBError, OSError."""
        from blockdb.alerts import evaluate
        from blockdb.database.observing import Observer

        ask = getattr(database, "alerts", None)
        if ask is not None or not hasattr(database, "open_collections"):
            return tuple(ask()) if ask is not None else ()
        if self._observer is None or self._of is not database:
            self._observer, self._of, self._last = Observer(cast("Database", database)), database, None
        self._last = evaluate(self._thresholds, self._last, self._observer.look())
        return self._last.alerts


def lookout(sources: Sources | None = None) -> Lookout:
    """A lookout by `[alerts]` of the configuration, or by its defaults where that is not as it should be."""
    from blockdb.config import AlertsConfig, Sources

    try:
        settings = (sources or Sources()).config().alerts
    except ConfigError:  # whoever wants to look at a database need not have the server's sections in order
        settings = AlertsConfig()
    return Lookout(settings, settings.interval)


def alerts(context: Context, _: Namespace) -> Result:
    """List what somebody should look at."""
    from blockdb.config import Sources

    settings = (context.sources or Sources()).config().alerts
    found = Lookout(settings, settings.interval).look(context.database)
    columns = (
        Column("severity", "SEVERITY"),
        Column("name", "ALERT", role="key"),
        Column("subject", "COLLECTION"),
        Column("since_ms", "SINCE", "time", role="muted"),
        Column("message", "MESSAGE"),
    )
    return Table(columns, (asdict(alert) for alert in found), more=None if found else "No alert is on.")


COMMANDS = (
    Command(
        "alerts",
        "List what somebody should look at: disk, latency, errors, integrity.",
        alerts,
        details="Of a directory, the rules of [alerts] are looked at once, as far as can be seen from outside of the "
        "process that writes. A server tells what it has seen. The rules are explained in docs/MONITORING.md.",
        examples=(
            ("alerts", "List them"),
            ("alerts --format json", "The same for a program"),
        ),
        need=Need.READ,
        formats=("table", "json", "jsonl", "csv"),
    ),
)
