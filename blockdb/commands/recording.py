"""record, replay: what a database and its cluster do, kept in a file, and told again."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from blockdb.errors import RateLimited, RequestTimeout, Unavailable

from .choice import COLLECTION, collection_of
from .command import Command, Completes, Need, option, positional
from .context import Context
from .display import human_bytes
from .failures import IoError, UsageError
from .results import Live, Result

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase

    from .recordings.keeping import Keeper
    from .recordings.lanes import Sample

__all__ = ["COMMANDS"]

LOOK_S = 0.25
_OUT_OF_TOUCH = (Unavailable, RequestTimeout, RateLimited)
_Line = tuple[str, Mapping[str, Any]]


def _offset_ms(text: str) -> int:
    from .recordings.telling import offset_s

    try:
        return round(offset_s(text) * 1000)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time such as 90, 12.5 or 1:30") from None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e9:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


# ── replay ──


def replay(_: Context, arguments: Namespace) -> Result:
    """Tell what was recorded, at once or as fast as it happened."""
    from .recordings.reading import read_recording
    from .recordings.telling import told

    try:
        recording = read_recording(arguments.file)
    except OSError as error:
        raise IoError(f"{arguments.file} cannot be read: {error.strerror}") from error
    from_ms = recording.first_ms + (getattr(arguments, "from") or 0)
    to_ms = recording.last_ms if arguments.to is None else recording.first_ms + arguments.to
    lines = told(recording, from_ms, to_ms)
    return Live(_paced(lines, from_ms, arguments.speed), lambda: "Interrupted.")


def _paced(lines: Iterator[tuple[int, str, Mapping[str, Any]]], from_ms: int, speed: float | None) -> Iterator[Any]:
    begun_s, waiting = time.monotonic(), Event()
    for time_ms, words, data in lines:
        due_s = begun_s if speed is None else begun_s + (time_ms - from_ms) / 1000 / speed
        while (left_s := due_s - time.monotonic()) > 0:
            waiting.wait(min(left_s, LOOK_S))
            yield None
        yield words, data


# ── record ──


def record(context: Context, arguments: Namespace) -> Result:
    """Keep what a database does, until the time is up or somebody ends it."""
    from .recordings.keeping import Keeper

    collection = collection_of(context, arguments)
    name = context.server.url if context.server is not None else str(context.database.path)
    try:
        keeper = Keeper(arguments.file, name, _now_ms())
    except FileExistsError:
        raise UsageError(f"{arguments.file} is there already; a recording is a new file") from None
    except OSError as error:
        raise IoError(f"{arguments.file} cannot be written: {error.strerror}") from error
    lines = _recorded(keeper, context, collection, arguments.seconds)
    return Live(lines, lambda: f"Interrupted; {keeper.path} has what was seen ({human_bytes(keeper.size_bytes)}).")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _recorded(
    keeper: Keeper, context: Context, collection: AnyCollection, seconds: float | None
) -> Iterator[_Line | None]:
    from .alerts import lookout

    begun_s, waiting, looking = time.monotonic(), Event(), _Looking(keeper, context.database, lookout(context.sources))
    with closing(keeper):
        while not keeper.is_full and (seconds is None or time.monotonic() - begun_s < seconds):
            try:
                looking.look(collection)
            except OSError as error:
                raise IoError(f"{keeper.path} cannot be written: {error.strerror}") from error
            waiting.wait(LOOK_S)
            yield None
    full = "; it is as long as a recording may be" if keeper.is_full else ""
    data = {"file": str(keeper.path), "bytes": keeper.size_bytes, "seconds": round(time.monotonic() - begun_s, 1)}
    yield f"{keeper.path} has {human_bytes(keeper.size_bytes)}{full}", data


class _Looking:
    """Looks again and again, and has what it sees kept."""

    def __init__(self, keeper: Keeper, database: AnyDatabase, lookout: Any) -> None:
        self._keeper = keeper
        self._database = database
        self._lookout = lookout
        self._alerts_due_s = 0.0
        self._is_lost = False
        self._sample: Sample | None = None

    def look(self, collection: AnyCollection) -> None:
        """Once. Raises BlockDBError where it is not the network, and OSError of the file."""
        from .recordings.events import Note

        try:
            self._look(collection)
        except _OUT_OF_TOUCH as error:
            if not self._is_lost:
                self._keeper.take_event(Note(_now_ms(), "lost", type(error).__name__))
            self._is_lost = True
        else:
            if self._is_lost:
                self._keeper.take_event(Note(_now_ms(), "mending", "it answers again"))
            self._is_lost = False

    def _look(self, collection: AnyCollection) -> None:
        self._keeper.take_statistics(_now_ms(), collection.name, collection.stats())
        cluster = getattr(self._database, "cluster", None)
        if cluster is not None:
            self._look_at_nodes(cluster.state())
        if time.monotonic() >= self._alerts_due_s:
            self._alerts_due_s = time.monotonic() + self._lookout.interval_s
            self._keeper.take_alerts(_now_ms(), self._lookout.look(self._database))

    def _look_at_nodes(self, state: Any) -> None:
        from .recordings.changes import changes_between
        from .recordings.lanes import sample_of

        if state.engine != "lone":
            sample = sample_of([state], _now_ms())
            self._keeper.take_sample(sample)
            for event in changes_between(self._sample, sample):
                self._keeper.take_event(event)
            self._sample = sample


COMMANDS = (
    Command(
        "record",
        "Keep what a database does in a file: figures, events, alerts, and no records.",
        record,
        (
            positional("file", "The new file.", Completes.FILE, type=Path),
            option("--seconds", metavar="N", type=_positive, help="End after so long; else when somebody ends it."),
            COLLECTION,
        ),
        details="Four times a second it is asked for its statistics, and, of a cluster, what the node that is asked "
        "says of the nodes. What is kept has no keys and no values; names of collections, of nodes and of directories "
        "it has. The file is readable while it grows, and after a kill. It becomes 64 MiB at most, at 16 KiB a second "
        "at most. The explorer keeps the same with R or --record. `blockdb-tui --replay FILE` and `blockdb replay "
        "FILE` show it.",
        examples=(
            ("record kept.jsonl --seconds 60", "A minute"),
            ("record kept.jsonl -c orders", "Of a collection, until ^C"),
        ),
        formats=("table", "jsonl"),
    ),
    Command(
        "replay",
        "Tell what was recorded: each event, and a line of figures each second.",
        replay,
        (
            positional("file", "A recording.", Completes.FILE, type=Path),
            option("--speed", metavar="N", type=_positive, help="So many times as fast as it happened; else at once."),
            option(
                "--from", metavar="TIME", type=_offset_ms, help="Begin so long after its beginning: 90, 12.5, 1:30."
            ),
            option("--to", metavar="TIME", type=_offset_ms, help="End so long after its beginning."),
        ),
        details="`blockdb-tui --replay FILE` shows the same in the explorer. The format of the file is explained in "
        "docs/EXPLORER.md; those that older versions saved of clusters are told, too.",
        examples=(
            ("replay kept.jsonl", "All of it"),
            ("replay kept.jsonl --from 1:30 --to 2:00 --format jsonl", "Half a minute, for a program"),
            ("replay kept.jsonl --speed 1", "As it happened"),
        ),
        need=Need.NOTHING,
        formats=("table", "jsonl"),
    ),
)
