r"""`\asof`: the moment of the past that lines read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from blockdb.commands.display import human_count
from blockdb.commands.failures import DONE, UsageError
from blockdb.commands.line import split
from blockdb.commands.moment import moment_or_now
from blockdb.commands.standing import Bygone, standing_at

from .directive import Directive

if TYPE_CHECKING:
    from blockdb import AsOf

    from ..session import Session

__all__ = ["DIRECTIVES"]


def _wanted(text: str) -> tuple[bool, AsOf | None]:
    """Whether a moment is given, and which; None for now."""
    words = split(text)
    try:
        return bool(words), moment_or_now(" ".join(words))
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from None


def _as_of(session: Session, wanted: tuple[bool, AsOf | None]) -> int:
    given, as_of = wanted
    if given and session.transaction is not None:
        raise UsageError(f"transaction {session.transaction.id} reads what is there now; commit or abort it first")
    if given:
        session.bygone = None if as_of is None else _looked_up(session, as_of)
    if session.bygone is None:
        session.output.note("Lines read what is there now.", "muted")
    elif not given:
        _looked_up(session, session.bygone.in_(session.name_of(None)))
    return DONE


def _looked_up(session: Session, as_of: AsOf) -> Bygone:
    """The moment, once it is known to be one; what there was then is said."""
    collection = session.target()
    standing = standing_at(collection, as_of)
    there = f"{human_count(standing.records)} of {human_count(sum(collection.record_counts()))} records"
    session.output.note(f"As of {standing.words}: {there} of {collection.name}.", "warning")
    return Bygone.of(standing, collection.name)


DIRECTIVES = (
    Directive(
        "asof",
        "Read as of a moment of the past, in all lines; or say which that is.",
        _wanted,
        _as_of,
        "[MOMENT]",
        details="MOMENT is a block (42 or block:42: when it was sealed), a record (seq:1000: when it was stored), a "
        "time (2026-11-20T10:00, of this machine's time zone unless it names one), how long ago (-5m, 2h ago), or now. "
        "get, scan, find, count and explain go back to it, unless the line has an --as-of of its own; the prompt shows "
        "it behind @. What cannot go back tells of now, and says so. What writes is refused until \\asof now: one "
        "would not see what was written.\n\nBlocks and records are numbered in each collection by itself. In another "
        "collection than the one in which it was named the moment is the time at which the newest record of then was "
        "stored.",
        examples=(
            (r"\asof 42", "When block 42 was sealed"),
            (r"\asof -5m", "Five minutes ago"),
            (r"\asof", "Say which moment is read, and how much there was"),
            (r"\asof now", "Back to now"),
        ),
        choices=lambda: ("now", "block:", "seq:", "-5m"),
    ),
)
