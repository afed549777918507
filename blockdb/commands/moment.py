"""The moment that `--as-of` names: a block, a record, or a time."""

from __future__ import annotations

import argparse

from blockdb.types import AsOf

from .command import option
from .parsing import count

__all__ = ["AS_OF"]


def moment(text: str) -> AsOf:
    """`block:7`, `record:41`, or a date or time as in ISO 8601, of this machine's time zone unless it names one."""
    from datetime import datetime  # here: few commands need it, and it is slow to load

    kind, colon, number = text.partition(":")
    if colon and kind == "block":
        return AsOf(block=count(number))
    if colon and kind == "record":
        return AsOf(sequence=count(number))
    try:
        return AsOf(time_ms=round(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment: give block:NUMBER, record:NUMBER, or a time such as 2026-11-21T10:30:00Z"
        ) from None


AS_OF = option(
    "--as-of",
    metavar="WHEN",
    type=moment,
    help="Go back to block:N (when it was sealed), record:N (when it was stored), or a time (ISO 8601).",
)
