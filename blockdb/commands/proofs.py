"""prove, check, checkpoint, export-tiles: what can be proven to somebody who has neither the database nor our word."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.types import REDACTED

from .choice import COLLECTION, collection_of
from .command import FLAT, Argument, Command, Completes, Need, flag, option, positional
from .context import Context
from .display import human_count, human_time, plural
from .exporting import replaced
from .failures import DONE, FAILED, UsageError
from .line import to_bytes
from .parsing import count
from .records import read_file
from .results import Document, Facts, Result, Words
from .shapes import record_object

if TYPE_CHECKING:
    from blockdb import RangeReceipt, Receipt, RunReceipt, Verified

__all__ = ["COMMANDS", "OUTPUT"]


def records_of(text: str) -> tuple[int, int]:
    """`FIRST-LAST`, or one number: the first record and how many."""
    first, mark, last = text.partition("-")
    try:
        start, stop = count(first), count(last if mark else first)
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is not like 17-42: the numbers of the first and the last record") from None
    if stop < start:
        raise ArgumentTypeError(f"{text!r} ends before it begins")
    return start, stop - start + 1


def prove(context: Context, arguments: Namespace) -> Result:
    """Make a receipt."""
    receipt = _receipt(context, arguments)
    return written(receipt.text, {"receipt": receipt.text}, arguments.output, "Receipt")


def _receipt(context: Context, arguments: Namespace) -> Receipt | RunReceipt | RangeReceipt:
    a_range = (arguments.prefix, arguments.start, arguments.end)
    asked = [arguments.key is not None, arguments.records is not None, any(bound is not None for bound in a_range)]
    if sum(asked) != 1 or (arguments.absent and arguments.key is None):
        raise UsageError("name a KEY, or --records, or a range of keys (--prefix, --start, --end); one of them")
    collection = collection_of(context, arguments)
    if arguments.records is not None:
        return collection.prove_run(*arguments.records)
    if arguments.key is None:
        prefix, start, end = (None if bound is None else to_bytes(bound) for bound in a_range)
        return collection.prove_range(prefix=prefix, start=start, end=end)
    key = to_bytes(arguments.key)
    return collection.prove_absent(key) if arguments.absent else collection.prove(key)


def written(text: str, data: dict[str, Any], output: str | None, what: str) -> Document | Words:
    """A text as the answer, or in a file."""
    if output is None:
        return Document(text, data)
    with replaced(Path(output).expanduser()) as file:
        file.write(text.encode())
    return Words(f"{what} written to {output}", {"output": output}, role="success")


def check(context: Context, arguments: Namespace) -> Result:
    """Check a receipt, without any database."""
    from blockdb import InvalidProof, verify_receipt

    try:
        text = read_file(arguments.file, context).decode()
    except UnicodeDecodeError:
        raise InvalidProof("This is no receipt: it is not UTF-8.") from None
    verified = verify_receipt(text, *arguments.key)
    return Facts("✓ The receipt is valid", tuple(_facts(verified)), _data(verified))


def _facts(verified: Verified) -> list[tuple[str, str]]:
    facts = [
        ("Database", verified.origin),
        ("Of", plural(verified.size, "record")),
        ("Signed by", ", ".join(verified.signed_by)),
    ]
    facts += [(f"Seen by {seen.witness.name}", human_time(seen.time_s * 1000)) for seen in verified.witnessed]
    if verified.kind == "range":
        bounds = [("from", verified.start), ("before", verified.end)]
        said = " ".join(f"{word} {bound.decode(errors='backslashreplace')}" for word, bound in bounds if bound)
        facts.append(("Range", f"keys {said}" if said else "all keys"))
        facts.append(("In it", f"{plural(len(verified.records), 'record')}, and no other"))
        facts.append(("As of", human_time(verified.as_of_ms or 0)))
    for record in verified.records[:_SHOWN]:
        key, value = (data.decode(errors="backslashreplace") for data in (record.key, record.value))
        value = "(redacted)" if record.value is REDACTED else value
        facts.append((f"Record {record.index}" if record.index is not None else "Record", f"{key} = {value}"))
        facts.append(("Written", human_time(record.time_ms)))
    if len(verified.records) > _SHOWN:
        facts.append(("And", f"{human_count(len(verified.records) - _SHOWN)} more; --format json has them all"))
    return facts


_SHOWN = 10


def _data(verified: Verified) -> dict[str, Any]:
    from .shapes import encode_base64

    bounds = {"start": verified.start, "end": verified.end}
    return {
        "valid": True,
        "kind": verified.kind,
        "origin": verified.origin,
        "size": verified.size,
        "signed_by": list(verified.signed_by),
        "witnessed": [{"key": str(seen.witness), "time_s": seen.time_s} for seen in verified.witnessed],
        **{name: encode_base64(bound) for name, bound in bounds.items() if bound is not None},
        **({} if verified.as_of_ms is None else {"as_of_ms": verified.as_of_ms}),
        "records": [
            {"index": record.index, "time_ms": record.time_ms, **record_object(record.key, record.value)}
            for record in verified.records
        ],
    }


def checkpoint(context: Context, arguments: Namespace) -> Result:
    """Sign what is stored; of the whole database, give it to the anchors."""
    if arguments.collection is None:
        published = context.database.publish()
        note, failures = published.note, dict(published.failures)
    else:
        note, failures = context.database.checkpoint(arguments.collection), {}
    origin, size, root = note.split("\n")[:3]
    data = {"origin": origin, "size": int(size), "root": root, "note": note, "failures": failures}
    result = written(note, data, arguments.output, "Checkpoint")
    told = tuple(f"Error: Anchor: {where}: {what}" for where, what in failures.items())
    return replace(result, failures=told, exit_code=FAILED if told else DONE)


def export_tiles(context: Context, arguments: Namespace) -> Result:
    """Write the log as tiles."""
    collection = collection_of(context, arguments)
    total = collection.stats().records
    directory = Path(arguments.directory).expanduser()
    with context.progress("Exporting", total, "records") as advance_to:
        exported = collection.export_tiles(directory, entries=not arguments.hashes_only, progress=advance_to)
    data = {"directory": str(directory), "origin": exported.origin, "size": exported.size}
    return Words(f"Exported {plural(exported.size, 'record')} as tiles to {directory}", data, role="success")


OUTPUT: Argument = option(
    *("-o", "--output"), metavar="FILE", completes=Completes.FILE, help="Write to this file; else to standard output."
)

COMMANDS = (
    Command(
        "prove",
        "Make a receipt: a file with which anybody can check what is stored.",
        prove,
        (
            positional("key", "The key whose record is to be proven.", Completes.KEY, nargs="?"),
            flag("--absent", help="Prove that there is no such key."),
            option(
                "--records", metavar="FIRST-LAST", type=records_of, help="Prove these records, a batch for instance."
            ),
            option(
                "--prefix",
                metavar="TEXT",
                help="Prove all records whose keys begin so, and that there is no other.",
                completes=Completes.KEY,
            ),
            option("--start", metavar="KEY", help="Prove all records from this key on.", completes=Completes.KEY),
            option("--end", metavar="KEY", help="And before this one.", completes=Completes.KEY),
            OUTPUT,
            COLLECTION,
        ),
        details="A receipt for a record is a C2SP tlog-proof, which tools of others read; docs/RECEIPTS.md tells of "
        "the other kinds. It holds the record itself, the way from its hash to the root of the tree, and a "
        "signed checkpoint. A first receipt for a range or an absent key after a write needs a database that "
        "nobody else has open.",
        examples=(
            ("prove user:1 -o user1.tlog-proof", "Write the receipt for a record"),
            ("prove user:2 --absent", "Prove that there is no such key"),
            ("prove --prefix user: -o users.proof", "Prove a whole scan"),
        ),
        need=Need.PROVE,
        formats=("table", "json", "jsonl", "raw"),
    ),
    Command(
        "check",
        "Check a receipt, offline and without the database.",
        check,
        (
            positional("file", "The receipt, or - for standard input.", Completes.FILE),
            option(
                "--key",
                metavar="VKEY",
                action="append",
                default=[],
                help="A verifier key that is trusted, the owner's or a witness's. Can be given several times.",
            ),
        ),
        details="The owner's key is what `blockdb keys show` prints; have it from the owner, not with the receipt. "
        "Every witness whose key is given must have signed too. A receipt that proves nothing is an error, "
        "and the exit code 1.",
        examples=(("check user1.tlog-proof --key VKEY", "What does it prove?"),),
        need=Need.NOTHING,
        formats=FLAT,
    ),
    Command(
        "checkpoint",
        "Sign what is stored: the size and the root of the tree.",
        checkpoint,
        (
            positional("collection", "A collection; without it, the whole database.", Completes.COLLECTION, nargs="?"),
            OUTPUT,
        ),
        details="A checkpoint (C2SP signed note) that is kept elsewhere shows later whether anything was changed or "
        "taken away. That of the whole database commits to all collections, and needs a database that nobody "
        "else has open. It is given to every anchor (see `anchor add`), and printed with what witnesses added; what "
        "fails at one is told on standard error, the exit code is 1, and the others have it all the same.",
        examples=(
            ("checkpoint", "Of the whole database"),
            ("checkpoint default -o today.checkpoint", "Of a collection"),
        ),
        need=Need.PROVE,
        formats=("table", "json", "jsonl", "raw"),
    ),
    Command(
        "export-tiles",
        "Write the log as static files (C2SP tiles) that public tools read and check.",
        export_tiles,
        (
            positional("directory", "Where to; it is made, or continued.", Completes.FILE),
            flag("--hashes-only", help="Without the records: the tree alone."),
            COLLECTION,
        ),
        details="An export into the same directory adds what is new.",
        examples=(("export-tiles ./public", "Write them"),),
        formats=("table", "json", "jsonl"),
        directory_only=True,
    ),
)
