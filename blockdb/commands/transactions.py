"""begin, commit, abort: transactions in the shell; and which ones are under way."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .command import Command, Need, Where, flag, option
from .context import Context
from .display import human_duration, plural
from .failures import UsageError
from .results import Column, Result, Table, Words

if TYPE_CHECKING:
    from blockdb import AnyDatabase

__all__ = ["COMMANDS"]

_WAITING = (Column("waits_for", "Waits for"), Column("wanted", "Wants"))


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return found


def begin(context: Context, arguments: Namespace) -> Result:
    """Begin a transaction."""
    if context.keep is None:
        raise UsageError("a transaction lasts from line to line of the shell; there is none here")
    if context.transaction is not None:
        raise UsageError(f"transaction {context.transaction.id} is open; commit or abort it first")
    transaction = context.database.transaction(arguments.timeout)
    context.keep(transaction)
    return Words(f"Transaction {transaction.id} begun", {"transaction": transaction.id}, role="success")


def commit(context: Context, arguments: Namespace) -> Result:
    """Commit it."""
    transaction = _open(context)
    try:
        stored = transaction.commit(sync=arguments.sync)
    finally:
        _end(context)
    records = {name: len(sequences) for name, sequences in stored.items()}
    words = f"Transaction {transaction.id} committed: {plural(sum(records.values()), 'record')}"
    if len(records) > 1:
        words += f" in {plural(len(records), 'collection')}"
    return Words(words, {"transaction": transaction.id, "records": records}, role="success")


def abort(context: Context, _: Namespace) -> Result:
    """Abort it."""
    transaction = _open(context)
    transaction.abort()
    _end(context)
    return Words(f"Transaction {transaction.id} aborted: nothing of it is stored", {"transaction": transaction.id})


def listing(context: Context, arguments: Namespace) -> Result:
    """List those that are under way, or those that ended last."""
    database = context.database
    infos = database.recent_transactions() if arguments.ended else database.transactions()
    columns = (
        Column("id", "ID", "count"),
        Column("age", "Took" if arguments.ended else "Age"),
        Column("locks", "Locks", "count"),
        Column("writes", "Writes", "count"),
        Column("collections", "Collections"),
        *((Column("outcome", "Outcome"),) if arguments.ended else _WAITING),
    )

    def rows() -> Iterator[Mapping[str, Any]]:
        for info in infos:
            yield {
                **asdict(info),
                "age": human_duration(info.age_s),
                "collections": ", ".join(info.collections),
                "waits_for": ", ".join(map(str, info.waits_for)),
                "wanted": info.wanted or "",
            }

    return Table(columns, rows(), None if infos else _of_whom(database))


def _of_whom(database: AnyDatabase) -> str | None:
    """What is to be said where there are none: those of another process cannot be seen."""
    is_alone = database.read_only and hasattr(database, "path")
    return "transactions are in the memory of the process that writes; ask its server, with --url" if is_alone else None


def _open(context: Context) -> Any:
    if context.transaction is None:
        raise UsageError("no transaction is open; begin opens one")
    return context.transaction


def _end(context: Context) -> None:
    if context.keep is not None:
        context.keep(None)


COMMANDS = (
    Command(
        "begin",
        "Begin a transaction.",
        begin,
        (
            option(
                "--timeout",
                metavar="SECONDS",
                type=seconds,
                help="After this time it gives way to others; else after the setting transaction_timeout.",
            ),
        ),
        details="Until commit or abort, put, get, scan and find are part of it, in all collections; other "
        "commands that read show what is committed. What it reads and writes "
        "stays locked; others see nothing of it before it is committed. A transaction that gave way to others (after "
        "a deadlock, or too long a time) stays open, and refuses everything, until it is committed or aborted.",
        examples=(("begin", "Begin one"), ("begin --timeout 5", "One that lasts five seconds if others wait for it")),
        need=Need.WRITE_OR_MAKE,
        where=Where.SHELL,
        in_transaction=True,
    ),
    Command(
        "commit",
        "Store all that was put since begin, in all collections, or nothing.",
        commit,
        (flag("--sync", help="Have it on the disk before this returns."),),
        examples=(("commit", "Commit the open transaction"),),
        need=Need.WRITE_OR_MAKE,
        where=Where.SHELL,
        in_transaction=True,
    ),
    Command(
        "abort",
        "Forget all that was put since begin.",
        abort,
        examples=(("abort", "Give the open transaction up"),),
        need=Need.WRITE_OR_MAKE,
        where=Where.SHELL,
        aliases=("rollback",),
        in_transaction=True,
    ),
    Command(
        "transactions",
        "List the transactions that are under way, their locks, and whom they wait for.",
        listing,
        (flag("--ended", help="Those that ended last, the newest first, and how: 64 at most."),),
        details="Of a server, those of everybody that the server has; else those of this very process.",
        examples=(
            ("transactions", "Who holds locks, and who waits"),
            ("transactions --ended", "What became of the last ones"),
        ),
        formats=("table", "json", "jsonl", "csv"),
    ),
)
