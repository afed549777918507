"""audit-log: who did what, as the database's servers and its owners left it."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from .command import Command, flag, option
from .context import Context
from .display import human_time, plural, printable, shortened
from .failures import UsageError
from .parsing import count
from .results import Live, Result
from .shapes import record_object
from .watching import after

if TYPE_CHECKING:
    from blockdb import Act, Database

__all__ = ["COMMANDS", "Follower", "act_keys"]

TAIL = 20
POLL_S = 0.2
OK = "ok"
_SHORTENED_BYTES = 64
_KEPT_BYTES = 48


def audit_log(context: Context, arguments: Namespace) -> Result:
    """Print entries of the audit log."""
    if arguments.tail is not None and arguments.after is not None:
        raise UsageError("--tail counts from the end and --after from the beginning: give one of them")
    reading = _Reading(cast("Database", context.database), arguments)
    return Live(iter(reading), reading.interrupted)


class _Reading:
    """The entries that are asked for, and, if that is wanted, those that come. It knows which was the last."""

    def __init__(self, database: Database, arguments: Namespace) -> None:
        self._database = database
        self._arguments = arguments
        self._done = -1 if arguments.after is None else arguments.after

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
        arguments = self._arguments
        if arguments.after is None:
            yield from map(self._shown, self._last(TAIL if arguments.tail is None else arguments.tail))
        if arguments.after is not None or arguments.follow:
            yield from self._from_there_on()

    def interrupted(self) -> str:
        """From where to go on."""
        return f"Interrupted; --after {self._done} goes on from here."

    def _last(self, most: int) -> list[Act]:
        """The last entries that are asked for, in order; from where they are looked for, following goes on."""
        found: deque[Act] = deque()
        for act in self._database.acts(reverse=True):
            self._done = max(self._done, act.sequence)
            if len(found) >= most:
                break
            if self._is_wanted(act):
                found.appendleft(act)
        return list(found)

    def _from_there_on(self) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
        reader = Follower(self._database, self._done)
        while True:
            for act in reader.take():
                self._done = act.sequence
                if self._is_wanted(act):
                    yield self._shown(act)
            if not self._arguments.follow:
                return
            yield None
            time.sleep(POLL_S)

    def _is_wanted(self, act: Act) -> bool:
        wanted = self._arguments
        return (
            wanted.principal in (None, act.principal, act.token_id)
            and wanted.operation in (None, act.operation)
            and not (wanted.failed and act.outcome == OK)
        )

    def _shown(self, act: Act) -> tuple[str, Mapping[str, Any]]:
        return _line(act), _data(act)


class Follower:
    """Gives the entries of an audit log after a number, and those that came since; beside it or over the network."""

    def __init__(self, database: Database, after: int) -> None:
        here = getattr(database, "follow_acts", None)
        self._take = None if here is None else here(after).take
        self._database = database
        self._after = after

    def take(self) -> Iterator[Act]:
        """Those that are there. Raises BlockDBError."""
        if self._take is not None:
            yield from self._take()
            return
        for act in self._database.acts(after=self._after):
            self._after = act.sequence
            yield act


def act_keys(act: Act) -> str:
    """The first key of an entry, and how many there were, safe to show."""
    if not act.keys:
        return ""
    is_whole = act.key_bytes <= _SHORTENED_BYTES
    key = printable(act.key) if is_whole else f"{printable(act.key[:_KEPT_BYTES])}…"
    return key if act.keys == 1 else f"{key} and {plural(act.keys - 1, 'more key')}"


def _line(act: Act) -> str:
    where = "" if act.collection is None else f" {printable(act.collection)}"
    keys = act_keys(act)
    what = f"{printable(act.operation)}{where}{keys and ' '}{keys}"
    who = printable(act.principal)
    via = "".join(f"  {printable(part)}" for part in (act.door, act.peer) if part)
    return f"{act.sequence}  {human_time(act.time_ms)}  {printable(act.outcome)}  {who}  {shortened(what, 400)}{via}"


def _data(act: Act) -> dict[str, Any]:
    fields = act._asdict()
    return {"sequence": fields.pop("sequence"), **fields, **record_object(fields.pop("key"), None)}


COMMANDS = (
    Command(
        "audit-log",
        "Print who did what: the entries of the audit log.",
        audit_log,
        (
            option("--tail", metavar="N", type=count, help=f"The last N entries (default: {TAIL})."),
            option(
                "--after",
                metavar="N",
                type=after,
                help="Instead: all entries after this number; -1: from the first one on.",
            ),
            option("--principal", metavar="NAME", help="Those of this name alone, or of the token with this id."),
            option("--operation", metavar="NAME", help="Those of this operation alone, such as put or drop."),
            flag("--failed", help="Those alone that were refused, or failed."),
            flag("--follow", help="Go on with what is entered from now on, until ^C."),
        ),
        details="A server enters each change before it answers, and whoever it refused. Where a database has a log, "
        "commands that write to its directory are entered too. It works beside the server. That "
        "nothing of it was changed or taken away is part of verify and audit: see docs/AUDIT_LOG.md. In a pipe each "
        "entry is a line of JSON: sequence, time_ms, principal, token_id, peer, door, operation, collection, "
        "key_bytes, keys (how many), outcome (ok, or the kind of the error), request_id, key (the first; encoding is "
        "base64 where it is no text). Of a key of more than 64 bytes there are the first 48 and 16 of its SHA-256.",
        examples=(
            ("audit-log --tail 5", "The last five"),
            ("audit-log --failed --follow", "Who is refused, as it happens"),
            ("audit-log --after -1 --principal ann --format jsonl", "All that ann did, for a program"),
        ),
        formats=("table", "jsonl"),
        directory_only=True,
    ),
)
