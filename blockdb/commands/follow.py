"""follow, and verify of one record: a write on its way to its proof, with the time of each stage."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, collection_of
from .command import Command, Completes, option, positional
from .context import Context
from .display import printable
from .failures import FAILED, UsageError
from .following import Following, Stage
from .line import to_bytes
from .parsing import count
from .results import Column, Live, Result, Table
from .trust import PROVEN

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["COMMANDS", "verify_last", "verify_record"]

TIMEOUT_S = 60
NAME, WHEN = 10, 32


def follow(context: Context, arguments: Namespace) -> Result:
    """Follow one write, or tell what is known of one."""
    key = None if arguments.key is None else to_bytes(arguments.key)
    following = Following(context.database, collection_of(context, arguments), key=key)
    if key is None:
        context.announce("Waiting for the next write ...")
    return Live(_lines(following, arguments.timeout), lambda: "Interrupted.")


def _lines(following: Following, timeout_s: float) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
    for stage in following.stages(timeout_s):
        yield None if stage is None else (_line(stage), _data(stage))


def _line(stage: Stage) -> str:
    return printable(f"{stage.name:<{NAME}} {stage.when:<{WHEN}} {stage.words}")


def _data(stage: Stage) -> dict[str, Any]:
    return {"stage": stage.name, "ms": stage.ms, "within_ms": stage.within_ms, "words": stage.words}


def verify_last(context: Context) -> Result:
    """Prove the record that this shell wrote or read last. Raises UsageError where there is none."""
    last = context.memory.last
    if last is None:
        raise UsageError("no record was written or read in this shell yet; verify --record KEY names one")
    collection = context.database if last.collection is None else context.database.collection(last.collection)
    database = context.database
    return _proven(Following(database, collection, key=last.key, trace=last.trace, took_ms=last.took_ms, waits=False))


def verify_record(context: Context, collection: AnyCollection, key: bytes) -> Result:
    """Prove one record."""
    return _proven(Following(context.database, collection, key=key, waits=False))


def _proven(following: Following) -> Table:
    stages = [stage for stage in following.stages(TIMEOUT_S) if stage is not None]
    is_proven = any(stage.trust is not None and stage.trust.degree is PROVEN for stage in stages)
    rows = ({**_data(stage), "when": stage.when} for stage in stages)
    return Table(_COLUMNS, rows, exit_code=0 if is_proven else FAILED)


_COLUMNS = (
    Column("stage", "STAGE", role="key"),
    Column("when", "WHEN", role="number"),
    Column("words", "WHAT IS KNOWN"),
)

COMMANDS = (
    Command(
        "follow",
        "Follow one write: each stage from its log to its proof, with the milliseconds.",
        follow,
        (
            positional("key", "A record that is stored; without it, the next one that is.", Completes.KEY, nargs="?"),
            option("--timeout", metavar="S", type=count, default=TIMEOUT_S, help="End after so long without a stage."),
            COLLECTION,
        ),
        details="The stages are accepted, logged (it survives a killed process), forced (a power cut), in a cluster "
        "replicated, committed and applied on each node, then sealed in a block, proven by a receipt that is "
        "recomputed here, and anchored, where there are anchors. Where another process or a server writes, a time is "
        "when the stage was first seen, and it says within how many milliseconds. docs/TRUST.md says more.",
        examples=(
            ("follow", "The next write"),
            ("follow user:1001", "What is known of one, and what is still to come"),
        ),
        formats=("table", "jsonl"),
    ),
)
