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

LOOK_S = 0.02
"""So often it is looked whether the end was reached, where there is one."""

PATIENCE_S = 0.5
"""Where nothing came for so long, it is looked whether somebody still reads the output."""


def after(text: str) -> int | str:
    """A sequence number, or -1; of several partitions, one of each, with dots between."""
    if "." in text:
        return ".".join(str(after(word)) for word in text.split("."))
    return -1 if text == "-1" else count(text)


def watch(context: Context, arguments: Namespace) -> Result:
    """Print records as they are stored."""
    collection = collection_of(context, arguments)
    end, start = None, arguments.after
    if arguments.until_end:
        now = collection.watch()
        end, start = _numbers(now.position), -1 if start is None else start
        now.stop()
    feed = collection.watch(prefix=argument_bytes(arguments.prefix, False, "prefix"), after=start)
    watching = Watching(feed, end, arguments.count)
    return Live(iter(watching), watching.interrupted)


def _numbers(position: int | str) -> list[int]:
    """The last record of each partition, as a position tells it."""
    return [int(word) for word in str(position).split(".")]


class Watching:
    """The changes of a feed: up to the last record of each partition, and so many, if that is given."""

    def __init__(self, feed: AnyFeed, end: list[int] | None, most: int | None) -> None:
        self._feed = feed
        self._end = end
        self._most = most
        self._done = feed.position
        """Behind what was given."""

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
        given = 0
        while not self._feed.is_over() and given != self._most and not self._is_at_end():
            change = self._feed.take(PATIENCE_S if self._end is None else LOOK_S)
            if change is None:
                yield None
            elif not self._is_beyond(change):
                yield _line(change), _data(change)
                given += 1
            self._done = self._feed.position

    def _is_at_end(self) -> bool:
        end = self._end
        return end is not None and all(map(int.__ge__, _numbers(self._feed.position), end))

    def _is_beyond(self, change: Change) -> bool:
        """Whether it came after the end."""
        if self._end is None:
            return False
        own, partition = divmod(change.sequence, len(self._end))
        return own > self._end[partition]

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
