"""Alerts while one explores: what is new is said at once, and what is on stands above the panels of metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import blockdb

from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.alerts import Alert
    from blockdb.commands.alerts import Lookout

    from .app import Explorer

__all__ = ["Alarms"]


class Alarms:
    """Asks the lookout now and then, off the event loop."""

    def __init__(self, explorer: Explorer, keep_lookout: Callable[[], Lookout] | None) -> None:
        """`keep_lookout` reads the configuration, so it may wait; None: nobody asks."""
        self._explorer = explorer
        self._keep_lookout = keep_lookout
        self._lookout: Lookout | None = None
        self._due_s = 0.0
        self.alerts: tuple[Alert, ...] = ()
        """What somebody should look at, critical things first."""

        self._unknown = "not looked yet" if keep_lookout is not None else "nobody looks"

    @property
    def unknown(self) -> str:
        """Why it is not known whether there are alerts, in words that are fit to be shown; empty where it is known."""
        return "" if self.alerts else self._unknown

    def look_out(self, now_s: float) -> None:
        """Asks if it is time to. `now_s` is of a steady clock."""
        database = self._explorer.database
        if self._keep_lookout is not None and database is not None and now_s >= self._due_s:
            self._due_s = math.inf if self._lookout is None else now_s + self._lookout.interval_s
            in_background(self._explorer, self._look, self._keep_lookout, database, now_s, group="alerts", latest=True)

    async def _look(self, keep_lookout: Callable[[], Lookout], database: AnyDatabase, now_s: float) -> None:
        try:
            if self._lookout is None:
                self._lookout = await off_loop(keep_lookout)
                self._due_s = now_s + self._lookout.interval_s
            found = await off_loop(self._lookout.look, database)
        except blockdb.Forbidden:
            self.alerts, self._unknown = (), "not told: the token may not audit"
            return
        except (blockdb.BlockDBError, OSError):
            return  # the next snapshot says what is wrong
        if database is not self._explorer.database:
            return
        self._unknown = ""
        known = {alert.key for alert in self.alerts}
        self.alerts = found
        for alert in found:
            if alert.key not in known:
                role = "error" if alert.severity == "critical" else "warning"
                self._explorer.say(f"{alert.name}: {alert.message}", role)
