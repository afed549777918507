"""Audits that a server makes, followed on an event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from time import monotonic

from blockdb.client.aio.link import AsyncLink
from blockdb.client.auditing import Following
from blockdb.client.plans.plan import Ask
from blockdb.errors import Unavailable
from blockdb.types import Progress, Report

__all__ = ["run_audit"]


async def run_audit(
    link: AsyncLink, ask: Ask, progress: Callable[[Progress], None] | None, cancel: Callable[[], bool] | None
) -> Report:
    """The report of an audit: see `blockdb.client.auditing.run_audit`."""
    following = Following(progress, cancel, monotonic)
    stream = await link.stream(ask)
    async with aclosing(stream.__aiter__()) as answers:
        async for told in answers:
            report = following.take(told)
            if report is not None:
                return report
    raise Unavailable("The audit broke off: the server is about to stop.")
