"""export: records out to a file or a pipe, exactly as they went in."""

from __future__ import annotations

import os
import stat
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .choice import COLLECTION, collection_of
from .command import Command, Completes, Need, option
from .context import Context
from .display import plural
from .failures import IoError
from .line import to_bytes
from .records import PREFIX
from .results import Records, Result, Words
from .shapes import record_lines

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["COMMANDS", "replaced"]


def export(context: Context, arguments: Namespace) -> Result:
    """Write all records, or those of a prefix."""
    left_out: Counter[str] = Counter()
    prefix = None if arguments.prefix is None else to_bytes(arguments.prefix)
    items = _items(collection_of(context, arguments), prefix, left_out)
    if arguments.output is None:
        return Records(items)
    shape = getattr(arguments, "format", None) or ("csv" if arguments.output.endswith(".csv") else "jsonl")
    with replaced(Path(arguments.output).expanduser()) as file:
        written = _write(file, record_lines(items, shape)) - (shape == "csv")
    without = f", without {plural(left_out['redacted'], 'redacted one')}" if left_out else ""
    return Words(f"Exported {plural(written, 'record')} to {arguments.output}{without}", role="success")


def _items(
    collection: AnyCollection, prefix: bytes | None, left_out: Counter[str]
) -> Iterator[tuple[bytes, bytes | None]]:
    """Records in commit order: an import of them makes the same chain. Those that come meanwhile are left out.

    So are those that were redacted, which `left_out` counts.
    """
    end = collection.next_sequence
    for record in takewhile(lambda record: record.sequence < end, collection.records()):
        if prefix is not None and not record.key.startswith(prefix):
            continue
        if record.redacted:
            left_out["redacted"] += 1
        else:
            yield record.key, record.value


def _write(file: BinaryIO, lines: Iterable[str]) -> int:
    count = 0
    for line in lines:
        file.write(line.encode() + b"\n")
        count += 1
    return count


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when all of it is on disk, and leaves no trace when it fails.

    What is not a regular file (a pipe, a device) is written as it is. Raises `IoError`.
    """
    try:
        path = path.resolve()
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as file:
                yield file
            return
        temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
        with removed(temporary), temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise IoError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def removed(temporary: Path) -> Iterator[None]:
    """Remove the unfinished file whatever happens."""
    try:
        yield
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


COMMANDS = (
    Command(
        "export",
        "Write records as JSON lines or CSV.",
        export,
        (
            PREFIX,
            option(
                *("-o", "--output"),
                metavar="FILE",
                completes=Completes.FILE,
                help="Write to FILE, whole or not at all.",
            ),
            COLLECTION,
        ),
        details="Records come in the order they were written, so that an import makes the same chain of records. "
        "Those whose values were redacted are left out, and an export to a file says how many. "
        "What is not UTF-8 goes as base64 and says so. The format is jsonl unless --format or the name of the file "
        "says csv.",
        examples=(
            ("export -o backup.jsonl", "Everything into a file"),
            ("export --prefix user: --format csv", "Some of it, as CSV, to standard output"),
        ),
        need=Need.READ,
        formats=("jsonl", "csv"),
        default_format="jsonl",
    ),
)
