"""Who did what, as it is entered in the audit log: the newest entries in memory, so many and no more.

Everything that reads waits for the disk, so it is called off the event loop, by one caller at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import Act, Database

__all__ = ["KEPT_ACTS", "Acts", "NewestActs", "is_failure"]

KEPT_ACTS = 2_000
BURST = 500


def is_failure(act: Act) -> bool:
    """Whether something was refused, or failed."""
    return act.outcome != "ok"


class Acts:
    """The newest entries of an audit log. `read` takes what has come since the last time."""

    def __init__(self, database: Database) -> None:
        self.came = 0
        """How many were taken."""
        self._database = database
        self._lock = threading.Lock()
        self._kept: deque[Act] = deque(maxlen=KEPT_ACTS)
        self._last: int | None = None

    def read(self) -> int:
        """Takes what there is, the newest where there is much, and returns how many that was. Raises BlockDBError."""
        if self._last is None:
            from blockdb.commands.audit_log import Follower  # here: the start does not wait for it

            found = list(self._database.acts(reverse=True, limit=KEPT_ACTS))[::-1]
            self._reader = Follower(self._database, found[-1].sequence if found else -1)
        else:
            found = list(islice(self._reader.take(), BURST))
        with self._lock:
            self._kept.extend(found)
            self.came += len(found)
            self._last = found[-1].sequence if found else self._last or -1
        return len(found)

    def newest(self, *, failed: bool) -> Sequence[Act]:
        """Those that are kept, or the failed ones of them, the newest first."""
        with self._lock:
            return tuple(act for act in reversed(self._kept) if not failed or is_failure(act))


class NewestActs:
    """The entries that are kept, the newest first, as a table lists them."""

    def __init__(self, acts: Acts, *, failed: bool) -> None:
        self._acts = acts
        self._failed = failed
        self._rows: Sequence[Act] = ()

    def count(self) -> int:
        self._rows = self._acts.newest(failed=self._failed)
        return len(self._rows)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[Act]:
        return self._rows[first : first + limit]

    def locate(self, row: Act, count: int) -> int:
        return sum(act.sequence > row.sequence for act in self._rows)
