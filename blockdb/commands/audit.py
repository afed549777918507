"""audit: recomputing everything, for somebody who trusts neither the database nor whoever runs it."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from blockdb.errors import DatabaseNotFound

from .anchors import ANCHOR, ANCHOR_KEY, named_anchors
from .chain import problem_object
from .command import FLAT, Command, Completes, Need, flag, option, positional
from .context import Context
from .display import human_bytes, human_duration, human_time, plural
from .failures import FAILED, CannotOpen
from .opening import secrets
from .results import Result, Words

if TYPE_CHECKING:
    from blockdb import GoodBlock, Report

__all__ = ["COMMANDS"]


def audit(context: Context, arguments: Namespace) -> Result:
    """Audit a directory or an export, and tell all that was found."""
    from blockdb import verify

    if arguments.path is None:
        context.insist_on_directory("audit without a path")
    location = arguments.path or (context.config.data_dir if context.config is not None else ".")
    context.announce(f"Auditing {location}...")
    try:
        with context.progress("Auditing", None, "records") as advance_to:
            report = verify(
                location,
                lambda progress: advance_to(progress.records_done),
                first=arguments.first,
                checkpoints=arguments.checkpoint,
                keys=arguments.key,
                hashes_only=arguments.hashes_only,
                **(secrets(context.config) if context.config is not None else {}),
                anchors=named_anchors(arguments.anchors),
            )
    except DatabaseNotFound as error:
        raise CannotOpen(str(error)) from error
    return _result(report)


def _result(report: Report) -> Result:
    data = {
        "valid": report.valid,
        "blocks": report.blocks,
        "records": report.records,
        "read_bytes": report.read_bytes,
        "elapsed_ms": round(report.elapsed_ms, 3),
        "problems": [problem_object(problem) for problem in report.problems],
        "last_good": [_good(good) for good in report.last_good],
        "notes": list(report.notes),
    }
    blocks = f"{plural(report.blocks, 'block')} and " if report.blocks else ""
    checked = f"{blocks}{plural(report.records, 'record')} recomputed"
    lines = [
        f"{checked}, {human_bytes(report.read_bytes)} read in {human_duration(report.elapsed_ms / 1000)}",
        *(f"Last good block: {_in_words(good)}" for good in report.last_good if not report.valid),
        *report.notes,
    ]
    if report.valid:
        return Words("\n".join(["✓ Everything is as it was written", *lines]), data, role="success")
    text = "\n".join([f"✗ {plural(len(report.problems), 'problem')} found", *lines])
    failures = tuple(f"Error: Corruption: {problem}" for problem in report.problems)
    return Words(text, data, failures=failures, role="error", exit_code=FAILED)


def _in_words(good: GoodBlock) -> str:
    how = "" if good.recomputed else " (by its seal alone)"
    return (
        f"{good.number}, up to {plural(good.size, 'record')}, of {human_time(good.time_ms)}{how}\n"
        f"  root {good.root.hex()}\n  hash {good.hash.hex()}"
    )


def _good(good: GoodBlock) -> dict[str, Any]:
    return {
        "collection": good.collection,
        "number": good.number,
        "size": good.size,
        "root": good.root.hex(),
        "hash": good.hash.hex(),
        "time_ms": good.time_ms,
        "recomputed": good.recomputed,
    }


COMMANDS = (
    Command(
        "audit",
        "Recompute everything, and name what was changed.",
        audit,
        (
            positional(
                "path", "A database directory, or a static export: its directory or address.", Completes.FILE, nargs="?"
            ),
            flag("--first", help="Stop at the first bad block, and read no more than it takes to find it."),
            option(
                "--checkpoint",
                metavar="FILE",
                completes=Completes.FILE,
                action="append",
                default=[],
                help="Signed checkpoints that were kept elsewhere, one or many: the history has to have them all.",
            ),
            option(
                "--key",
                metavar="VKEY",
                action="append",
                default=[],
                help="A public key, as a verifier key: nobody else may have signed blocks and checkpoints.",
            ),
            flag("--hashes-only", help="The export was made without its records: recompute the tree alone."),
            ANCHOR,
            ANCHOR_KEY,
        ),
        details="Opens nothing: it reads the files, beside a writer too, and of a database that cannot be opened any "
        "more. Anchors are asked after that (see `anchor add`), for which it is opened to read. For each problem "
        "it names file, byte, block, record and key, what was expected and what was found, on standard "
        "error; the exit code is 1 if there is one. The last good block is the last before the damage whose signature "
        "and root hold. Damage in a chain file ends the audit of its collection: of what follows nobody can "
        "say where it belongs. With --first, seals are looked at before records, a "
        "thousandth of the data; with --checkpoint it is told between which two of them the history was "
        "rewritten. JSON has the fields valid, blocks, records, read_bytes, elapsed_ms, problems (path, "
        "offset, block, sequence, key, what, expected, found), last_good (collection, number, size, root, "
        "hash, time_ms, recomputed) and notes.",
        examples=(
            ("audit", "Recompute everything"),
            ("audit --first --format json", "The first bad block, for a program"),
            ("audit --checkpoint anchors.txt", "Hold it against what was kept outside"),
            ("audit https://example.org/log --key VKEY", "Audit an export that somebody serves"),
        ),
        need=Need.NOTHING,
        formats=FLAT,
    ),
)
