"""Audits that a server makes, followed from here."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from blockdb.client.link import Link
from blockdb.client.plans.plan import Ask
from blockdb.errors import Unavailable
from blockdb.types import Progress, Report

__all__ = ["cancelled_report", "run_audit"]


def run_audit(
    link: Link, ask: Ask, progress: Callable[[Progress], None] | None, cancel: Callable[[], bool] | None
) -> Report:
    """The report of an audit. The server tells a few times a second how far it is; who hangs up, cancels it."""
    begun, latest = monotonic(), Progress(0, 0, 0)
    stream = link.stream(ask)
    try:
        for told in stream:
            if told.report is not None:
                report: Report = told.report
                return report
            if told.progress is not None:
                latest = told.progress
                if progress is not None:
                    progress(latest)
            if cancel is not None and cancel():
                return cancelled_report(latest, monotonic() - begun)
    finally:
        stream.close()
    raise Unavailable("The audit broke off: the server is about to stop.")


def cancelled_report(latest: Progress, elapsed_s: float) -> Report:
    """What is known of an audit that was given up."""
    return Report(True, latest.blocks_done, latest.records_done, (), elapsed_s * 1000, cancelled=True)
