"""verify, blocks, block: the chain that vouches for the records."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from blockdb.errors import Corruption

from .anchors import ANCHOR, ANCHOR_KEY, named_anchors
from .choice import COLLECTION, ONLY, collection_of, is_named
from .command import FLAT, Command, Completes, flag, option, positional
from .context import Context
from .display import human_bytes, human_count, human_duration, human_time, plural
from .entering import enter_apart
from .failures import FAILED, CannotOpen, UsageError
from .follow import verify_last, verify_record
from .line import to_bytes
from .opening import secrets
from .parsing import count
from .records import ALL, LIMIT, screenful
from .results import Column, Facts, Records, Result, Table, Words
from .shapes import record_object

if TYPE_CHECKING:
    from blockdb import Anchor, AnyCollection, Block, Problem, Report
    from blockdb.config import DatabaseConfig

__all__ = ["COMMANDS", "problem_object", "verify_collection"]

VERIFIED = "✓ Blockchain integrity verified successfully"
FAILED_TO_VERIFY = "✗ Blockchain integrity verification failed"


def verify(context: Context, arguments: Namespace) -> Result:
    """Check every record, block and signature; with `--repair`, rebuild what can be rebuilt."""
    anchors = named_anchors(arguments.anchors)
    if arguments.last is not None or arguments.record is not None:
        return _one(context, arguments, anchors)
    if is_named(arguments) and (arguments.repair or anchors):
        raise UsageError("--repair and --anchor are about the whole database; leave --collection out")
    if arguments.repair:
        context.insist_on_directory("verify --repair")
    if arguments.repair and context.config is not None:
        return _repair(context, context.config)
    context.announce("Verifying blockchain integrity...")
    if is_named(arguments):
        return verify_collection(context, collection_of(context, arguments))
    return _result(_report(context, anchors))


def _one(context: Context, arguments: Namespace, anchors: list[Anchor]) -> Result:
    """Prove one record: the one that is named, or the one that the shell wrote or read last."""
    if arguments.repair or anchors or (arguments.last is not None and arguments.record is not None):
        raise UsageError("one record is proven alone; leave the other arguments out")
    if arguments.record is not None:
        return verify_record(context, collection_of(context, arguments), to_bytes(arguments.record))
    if arguments.last != "last" or not context.in_shell:
        raise UsageError("a record is named with --record KEY; in the shell, `verify last` is the one used last")
    return verify_last(context)


def verify_collection(context: Context, collection: AnyCollection) -> Result:
    """Check every record, block and signature of one collection."""
    with context.progress("Verifying", collection.stats().records, "records") as advance_to:
        return _result(collection.verify(lambda progress: advance_to(progress.records_done)))


def _repair(context: Context, config: DatabaseConfig) -> Result:
    """Repair the files of a database that nobody has open, this process included."""
    from blockdb import repair

    context.announce("Verifying blockchain integrity, and repairing what can be repaired...")
    with context.progress("Verifying", None, "records") as advance_to:
        done = repair(config.data_dir, lambda progress: advance_to(progress.records_done), **secrets(config))
    if done.after.valid:
        enter_apart(config, "verify --repair")
    for problem in done.before.problems:
        context.announce(f"Found: {problem}")
    for action in done.actions:
        context.announce(f"Repair: {action}")
    if done.quarantine is not None:
        context.announce(f"Repair: what was replaced stands in {done.quarantine}")
    repaired = {
        "found": [problem_object(problem) for problem in done.before.problems],
        "actions": done.actions,
        "quarantine": None if done.quarantine is None else str(done.quarantine),
        "salvaged": done.salvaged,
    }
    return _result(done.after, repaired)


def _result(report: Report, more_data: Mapping[str, Any] | None = None) -> Result:
    data = {
        "valid": report.valid,
        "blocks": report.blocks,
        "records": report.records,
        "elapsed_ms": round(report.elapsed_ms, 3),
        "problems": [problem_object(problem) for problem in report.problems],
        **(more_data or {}),
    }
    if not report.valid:
        failures = tuple(f"Error: Corruption: {problem}" for problem in report.problems)
        return Words(FAILED_TO_VERIFY, data, failures=failures, role="error", exit_code=FAILED)
    checked = f"{plural(report.blocks, 'block')} and {plural(report.records, 'record')}"
    more = f"{checked} checked in {human_duration(report.elapsed_ms / 1000)}"
    return Words(VERIFIED, data, more, role="success")


def _report(context: Context, anchors: list[Anchor]) -> Report:
    """The report of the open database, or, of one that is too damaged to be opened, of its files."""
    try:
        verify_it, total = partial(context.database.verify, anchors=anchors), context.database.stats().records
    except CannotOpen as error:
        if not isinstance(error.__cause__, Corruption) or context.config is None:
            raise
        from blockdb import verify as verify_files

        verify_it = partial(verify_files, context.config.data_dir, **secrets(context.config))
        total = None  # no anchor matters any more
    with context.progress("Verifying", total, "records") as advance_to:
        return verify_it(lambda progress: advance_to(progress.records_done))


def problem_object(problem: Problem) -> dict[str, Any]:
    """A problem as JSON has it."""
    place = {"path": problem.path, "offset": problem.offset, "block": problem.block, "sequence": problem.sequence}
    compared = {"what": problem.what, "expected": problem.expected, "found": problem.found}
    return {**place, **({} if problem.key is None else record_object(problem.key, None)), **compared}


def blocks(context: Context, arguments: Namespace) -> Result:
    """List the sealed blocks."""
    collection = collection_of(context, arguments)
    limit = screenful(context, arguments.limit, arguments.all)
    found = collection.blocks(arguments.first, limit, reverse=arguments.reverse)
    more = None
    statistics = collection.stats()
    if limit != arguments.limit and (statistics.partitions == 1 or not arguments.first):
        total = statistics.blocks
        reached = arguments.first + 1 if arguments.reverse and arguments.first else total
        left = (reached if arguments.reverse else total - arguments.first) - (limit or 0)
        more = f"{human_count(left)} more; --all shows them, --limit and --first choose" if left > 0 else None
    return Table(_COLUMNS, (_row(block) for block in found), more)


_COLUMNS = (
    Column("number", "BLOCK", "count", "number"),
    Column("records", "RECORDS", "count"),
    Column("bytes", "DATA", "bytes"),
    Column("hash", "HASH", "hash", "secondary"),
    Column("previous_hash", "PREVIOUS", "hash", "muted"),
    Column("time_ms", "TIME", "time", "muted"),
)


def _row(block: Block) -> dict[str, Any]:
    return {
        "number": block.number,
        "records": block.count,
        "bytes": block.data_bytes,
        "hash": block.hash.hex(),
        "previous_hash": block.previous_hash.hex(),
        "time_ms": block.last_time_ms,
    }


def block(context: Context, arguments: Namespace) -> Result:
    """Show one sealed block, or its records."""
    collection = collection_of(context, arguments)
    found = collection.block(arguments.number)
    if arguments.records:
        return Records((record.key, record.value) for record in collection.block_records(arguments.number))
    steps = "" if found.step == 1 else f" in steps of {found.step}"
    facts = (
        ("Hash", found.hash.hex()),
        ("Previous hash", found.previous_hash.hex()),
        ("Tree root", f"{found.root.hex()} of {human_count(found.size)} records"),
        ("Records", f"{human_count(found.count)} (sequence {found.first_sequence} to {found.last_sequence}{steps})"),
        ("Data", human_bytes(found.data_bytes)),
        ("Time", f"{human_time(found.first_time_ms)} to {human_time(found.last_time_ms)}"),
        ("Signature", found.signature.hex()),
        ("Signing key", found.key_id.hex()),
    )
    more = {
        "root": found.root.hex(),
        "first_sequence": found.first_sequence,
        "last_sequence": found.last_sequence,
        "first_time_ms": found.first_time_ms,
        "signature": found.signature.hex(),
        "key_id": found.key_id.hex(),
    }
    return Facts(f"Block {found.number}", facts, {**_row(found), **more})


COMMANDS = (
    Command(
        "verify",
        "Check every record, block and signature.",
        verify,
        (
            positional("last", "The word `last`: prove the record that this shell wrote or read last.", nargs="?"),
            option("--record", metavar="KEY", completes=Completes.KEY, help="Prove this record alone."),
            flag(
                "--repair",
                help="Rebuild from the chain what can be rebuilt, and set aside what cannot. Nobody may have it open.",
            ),
            ANCHOR,
            ANCHOR_KEY,
            ONLY,
        ),
        details="Reads the whole database and computes every hash again, and holds it against its anchors. What is "
        "wrong is named on standard error, line by line, and the exit code is 1; so is an anchor that cannot be asked. "
        "Name with --anchor those that you know of: whoever rewrites the database can shorten its own list. A repair "
        "keeps everything that it replaces in the directory quarantine/; records that had to leave the chain stand "
        "there in salvaged.jsonl, to be imported again.\n\n"
        "Of one record (--record, or `last` in the shell) the stages are told that it has reached, with milliseconds "
        "where this shell wrote it, and a receipt is made for it and every hash of it recomputed here.",
        examples=(
            ("verify", "Check the database"),
            ("verify --format json", "The report, for a program"),
            ("verify --anchor /mnt/safe/checkpoints", "Also against what is kept elsewhere"),
            ("verify --repair", "Rebuild what is damaged"),
            ("verify --record user:1001", "Prove one record, hash by hash"),
        ),
        changes_with=("repair",),
        formats=FLAT,
    ),
    Command(
        "blocks",
        "List the sealed blocks.",
        blocks,
        (
            option("--first", metavar="NUMBER", type=count, default=0, help="Begin with this block."),
            LIMIT,
            ALL,
            flag("--reverse", help="From the newest block (or from --first) down."),
            COLLECTION,
        ),
        details="On a terminal the default format is a table, which shortens hashes; elsewhere it is JSON lines.",
        examples=(("blocks --reverse --limit 5", "The five newest blocks"), ("blocks --format csv", "All, as CSV")),
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "block",
        "Show one sealed block.",
        block,
        (
            positional("number", "The number of the block, from 0.", type=count),
            flag("--records", help="List the records of the block, in the order they were written."),
            COLLECTION,
        ),
        examples=(("block 0", "The header of the first block"), ("block 0 --records", "Its records")),
        formats=("table", "json", "jsonl", "csv"),
    ),
)
