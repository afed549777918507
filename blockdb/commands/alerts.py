"""alerts: what somebody should look at; and the lookout that the explorer keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import Database
    from blockdb.alerts import Alert, Evaluation, Thresholds
    from blockdb.database.observing import Observer

__all__ = ["Lookout"]


class Lookout:
    """Looks at a database again and again. A server is asked; of a directory, the rules are looked at here."""

    def __init__(self, thresholds: Thresholds, interval_s: float) -> None:
        """`interval_s` is how long to wait between two looks."""
        self._thresholds = thresholds
        self.interval_s = interval_s
        self._observer: Observer | None = None
        self._last: Evaluation | None = None
        self._of: Database | None = None

    def look(self, database: Database) -> tuple[Alert, ...]:
        """The alerts that are on, critical ones first. Raises BlockDBError, OSError."""
        from blockdb.alerts import evaluate

        ask = getattr(database, "alerts", None)
        if ask is not None:
            found: tuple[Alert, ...] = tuple(ask())
            return found
        if self._observer is None or self._of is not database:
            from blockdb.database.observing import Observer

            self._observer, self._of, self._last = Observer(database), database, None
        self._last = evaluate(self._thresholds, self._last, self._observer.look())
        return self._last.alerts
