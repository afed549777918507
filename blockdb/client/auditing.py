"""Audits that a server makes, followed from here."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from blockdb.client.link import Link
from blockdb.client.plans.plan import Ask
from blockdb.errors import Unavailable
from blockdb.types import Progress, Report
from blockdb.wire.messages.server import Audited

__all__ = ["Following", "run_audit"]


class Following:
    """What becomes of what an audit tells."""

    def __init__(
        self,
        progress: Callable[[Progress], None] | None,
        cancel: Callable[[], bool] | None,
        clock: Callable[[], float],
    ) -> None:
        self._progress, self._cancel, self._clock = progress, cancel, clock
        self._begun = clock()
        self._latest = Progress(0, 0, 0)

    def take(self, told: Audited) -> Report | None:
        """The report, once there is one, or once it was cancelled."""
        if told.report is not None:
            return told.report
        if told.progress is not None:
            self._latest = told.progress
            if self._progress is not None:
                self._progress(told.progress)
        return self._given_up() if self._cancel is not None and self._cancel() else None

    def _given_up(self) -> Report:
        elapsed_ms = (self._clock() - self._begun) * 1000
        return Report(True, self._latest.blocks_done, self._latest.records_done, (), elapsed_ms, cancelled=True)


def run_audit(
    link: Link, ask: Ask, progress: Callable[[Progress], None] | None, cancel: Callable[[], bool] | None
) -> Report:
    """The report of an audit. The server tells a few times a second how far it is; who hangs up, cancels it."""
    following = Following(progress, cancel, monotonic)
    stream = link.stream(ask)
    try:
        for told in stream:
            report = following.take(told)
            if report is not None:
                return report
    finally:
        stream.close()
    raise Unavailable("The audit broke off: the server is about to stop.")
