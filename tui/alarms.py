"""Alerts while one explores: what is new is said at once, and what is on stands above the panels of metrics."""

from __future__ import annotations

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

    def __init__(self, explorer: Explorer, lookout: Lookout | None) -> None:
        """`lookout` None: nobody asks."""
        self._explorer = explorer
        self._lookout = lookout
        self._due_s = 0.0
        self.alerts: tuple[Alert, ...] = ()
        """What somebody should look at, critical things first."""

    def look_out(self, now_s: float) -> None:
        """Asks if it is time to. `now_s` is of a steady clock."""
        database = self._explorer.database
        if self._lookout is not None and database is not None and now_s >= self._due_s:
            self._due_s = now_s + self._lookout.interval_s
            in_background(self._explorer, self._look, self._lookout, database, group="alerts", latest=True)

    async def _look(self, lookout: Lookout, database: AnyDatabase) -> None:
        try:
            found = await off_loop(lookout.look, database)
        except (blockdb.BlockDBError, OSError):
            return  # the next snapshot says what is wrong
        if database is not self._explorer.database:
            return
        known = {alert.key for alert in self.alerts}
        self.alerts = found
        for alert in found:
            if alert.key not in known:
                role = "error" if alert.severity == "critical" else "warning"
                self._explorer.say(f"{alert.name}: {alert.message}", role)
