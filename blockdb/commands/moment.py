"""Moments of the past as people name them: a block, a record, a time, or how long ago."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .command import Completes, option
from .display import human_count, human_time
from .parsing import count

if TYPE_CHECKING:
    from blockdb import AsOf

__all__ = ["AS_OF", "as_option", "moment", "moment_or_now", "moment_word", "moment_words"]

_NUMBERED = re.compile(r"(block|record|seq)(?::|\s+)(\S+)")
_BARE = re.compile(r"\d{1,7}|\d{9,18}")
_AGO = re.compile(r"-\s*((?:\d+(?:ms|[smhdw]))+)|((?:\d+(?:ms|[smhdw]))+)\s+ago")
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_NOW = ("", "now")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def moment(text: str, now_ms: Callable[[], int] = _now_ms) -> AsOf:
    """`block:7` (or `7`), `record:41` (or `seq:41`), a date or time as in ISO 8601, or `-5m`, `5m ago`.

    A blank may stand for the colon. A time is of this machine's time zone unless it names one. Eight digits are a date
    (`20261121`), as ISO 8601 has it. Raises ArgumentTypeError.
    """
    from datetime import datetime  # here: few commands need them, and they are slow to load

    from blockdb.types import AsOf

    text = text.strip()
    if (numbered := _NUMBERED.fullmatch(text)) is not None:
        number = count(numbered[2].replace(",", ""))
        return AsOf(block=number) if numbered[1] == "block" else AsOf(sequence=number)
    if _BARE.fullmatch(bare := text.replace(",", "")):
        return AsOf(block=int(bare))
    if (ago := _AGO.fullmatch(text)) is not None:
        back_ms = sum(int(part) * _UNIT_MS[unit] for part, unit in _PART.findall(ago[1] or ago[2]))
        return AsOf(time_ms=max(0, now_ms() - back_ms))
    try:
        return AsOf(time_ms=round(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment: give block:NUMBER, record:NUMBER (or seq:NUMBER), a time such as "
            "2026-11-21T10:30:00Z, or how long ago, such as -5m"
        ) from None


def moment_or_now(text: str, now_ms: Callable[[], int] = _now_ms) -> AsOf | None:
    """The same, or None for `now` and for nothing. Raises ArgumentTypeError, also for a time that is still to come."""
    if text.strip().lower() in _NOW:
        return None
    as_of = moment(text, now_ms)
    if as_of.time_ms is not None and as_of.time_ms > now_ms():
        raise argparse.ArgumentTypeError(f"{human_time(as_of.time_ms)} is still to come")
    return as_of


def moment_words(as_of: AsOf) -> str:
    """A moment as it is told: `block 42`, `record 1,000`, `2026-11-21 10:30:00.000`."""
    if as_of.block is not None:
        return f"block {human_count(as_of.block)}"
    if as_of.sequence is not None:
        return f"record {human_count(as_of.sequence)}"
    return "records of each partition" if as_of.time_ms is None else human_time(as_of.time_ms)


def as_option(as_of: AsOf | None) -> tuple[str, ...]:
    """The words that give a moment to a command, fit for the system's shell; none for now."""
    return () if as_of is None or as_of.sequences is not None else ("--as-of", moment_word(as_of))


def moment_word(as_of: AsOf | None) -> str:
    """A moment as one word, fit for the system's shell, which `moment_or_now` takes back."""
    if as_of is None:
        return "now"
    if as_of.block is not None:
        return f"block:{as_of.block}"
    if as_of.sequence is not None:
        return f"record:{as_of.sequence}"
    return human_time(as_of.time_ms or 0).replace(" ", "T")


AS_OF = option(
    "--as-of",
    metavar="WHEN",
    type=moment,
    completes=Completes.MOMENT,
    help="Go back to block:N (when it was sealed), record:N (when it was stored), a time (ISO 8601), or '5m ago'.",
)
