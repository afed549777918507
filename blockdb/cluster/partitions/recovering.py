"""The end of transactions whose coordinator is gone: each holder looks after what its partitions have in doubt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import Final

from blockdb.cluster.partitions.asking import Asker
from blockdb.cluster.partitions.committing import IN_DOUBT_S, InDoubt, Steps, run
from blockdb.cluster.partitions.holding import Holdings
from blockdb.errors import BlockDBError

__all__ = ["Recovering"]

LOOK_S: Final = 0.5
"""So often it is looked. It costs next to nothing where nothing is pending."""
THREADS: Final = 8
"""So many are ended at the same time: a home that does not answer must not hold up the others."""


class Recovering:
    """A thread that goes through the partitions of a node."""

    def __init__(self, holdings: Holdings, asker: Asker, age_s: float = IN_DOUBT_S) -> None:
        self._holdings, self._asker = holdings, asker
        self._age_s = age_s
        self._doubts: dict[str, InDoubt] = {}
        self._stop = Event()
        self._pool = ThreadPoolExecutor(THREADS, "blockdb-in-doubt")
        self._thread = Thread(target=self._run, name="blockdb-in-doubt", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(min(LOOK_S, self._age_s / 4)):
            for partition in self._holdings.all():
                with suppress(BlockDBError):
                    self._look(partition.name)

    def _look(self, name: str) -> None:
        held = self._holdings.get(name)
        machine, log = (None, None) if held is None else (held.machine, held.log)
        if machine is None or log is None or not (machine.pending or machine.pending.decided()):
            self._doubts.pop(name, None)
            return
        status = log.status()
        more_s = 0.0 if status.leader == status.node_id else self._age_s  # one holder does, as a rule
        doubt = self._doubts.setdefault(name, InDoubt(name, self._age_s))
        due = doubt.due(machine.pending, monotonic(), more_s=more_s)
        list(self._pool.map(self._end, due))

    def _end(self, steps: Steps[None]) -> None:
        if not self._stop.is_set():
            with suppress(BlockDBError):
                run(steps, self._asker.ask, monotonic() + self._age_s / 4)

    def close(self) -> None:
        """End it. Idempotent."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown()
