"""watch: the change stream of a collection, printed as it comes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, collection_of
from .command import Command, flag, option
from .context import Context
from .display import human_time, printable
from .parsing import count
from .records import PREFIX, argument_bytes
from .results import Live, Result
from .shapes import record_object

if TYPE_CHECKING:
    from blockdb import AnyFeed, Change

__all__ = ["COMMANDS"]

PATIENCE_S = 0.5
"""Where nothing came for so long, it is looked whether somebody still reads the output."""


def after(text: str) -> int:
    """A sequence number, or -1."""
    return -1 if text == "-1" else count(text)


def watch(context: Context, arguments: Namespace) -> Result:
    """Print records as they are stored."""
    collection = collection_of(context, arguments)
    last = collection.stats().records - 1
    start = last if arguments.after is None else arguments.after
    if arguments.until_end and arguments.after is None:
        start = -1
    feed = collection.watch(prefix=argument_bytes(arguments.prefix, False, "prefix"), after=start)
    watching = Watching(feed, last if arguments.until_end else None, arguments.count, start)
    return Live(iter(watching), watching.interrupted)


class Watching:
    """The changes of a feed: up to the record `last`, and so many, if that is given. It knows which was the last."""

    def __init__(self, feed: AnyFeed, last: int | None, most: int | None, start: int) -> None:
        self._feed = feed
        self._last = last
        self._most = most
        self._done = start

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
        given = 0
        while not self._feed.is_over() and given != self._most:
            change = self._feed.take(PATIENCE_S if self._last is None else 0)
            if self._last is not None and (change is None or change.sequence > self._last):
                return
            if change is None:
                yield None
                continue
            yield _line(change), _data(change)
            given, self._done = given + 1, change.sequence

    def interrupted(self) -> str:
        """From where to go on."""
        return f"Interrupted; --after {self._done} goes on from here."


def _line(change: Change) -> str:
    record = change.record
    value = "(redacted)" if record.redacted else printable(record.value)
    place = f"{change.sequence}  block {change.block}.{change.index}  {human_time(record.time_ms)}"
    return f"{place}  {printable(record.key)} = {value}"


def _data(change: Change) -> dict[str, Any]:
    record = change.record
    place = {"block": change.block, "index": change.index, "sealed": record.block is not None}
    hashed = {"time_ms": record.time_ms, "leaf": change.leaf.hex()}
    return {"sequence": change.sequence, **record_object(record.key, record.value), **place, **hashed}


COMMANDS = (
    Command(
        "watch",
        "Print records as they are stored, each with its place in the chain.",
        watch,
        (
            PREFIX,
            option(
                "--after",
                metavar="N",
                type=after,
                help="Begin after the record with this sequence number; -1: with the first one. Else with what is "
                "stored from now on.",
            ),
            option("--count", metavar="N", type=count, help="End after N records."),
            flag("--until-end", help="End with the last record that is there now; without --after, from the first on."),
            COLLECTION,
        ),
        details="Every record comes once, in the order of the chain, as soon as it is acknowledged; whoever knows the "
        "sequence number of the last one that arrived goes on with --after, also after a crash. It works beside a "
        "process that writes. ^C ends it and says where to go on. In a pipe each record is a line of JSON: its "
        "sequence number, key and value, the block that has or will have it, its index there, whether that block is "
        "sealed, the time and the leaf hash.",
        examples=(
            ("watch", "What is stored from now on"),
            ("watch --after 41 --prefix user: --format jsonl", "From record 42 on, for a program"),
            ("watch -c orders --until-end", "Everything that is there"),
        ),
        formats=("table", "jsonl"),
    ),
)
