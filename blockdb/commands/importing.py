"""import: records in from a file or a pipe, in atomic batches, as often as it takes."""

from __future__ import annotations

import os
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from blockdb.errors import BlockDBError, DuplicateKey, InvalidData, UniqueViolation

from .choice import COLLECTION, collection_of
from .command import Command, Completes, Need, flag, option, positional
from .context import Context
from .display import human_count, printable, quoted
from .failures import DONE, FAILED, INTERRUPTED, IoError, UsageError
from .records import NO_STDIN
from .results import Result, Words
from .shapes import json_text

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["COMMANDS"]

BATCH_RECORDS = 1_000
BATCH_BYTES = 8 * 1024 * 1024
NAMED = 10
"""How many malformed and refused lines are named; the others are counted, and all go to `--errors`."""


@dataclass
class Tally:
    """What became of the lines."""

    stored: int = 0
    present: int = 0
    refused: int = 0
    malformed: int = 0

    def __str__(self) -> str:
        parts = (
            (self.stored, "stored"),
            (self.present, "already there"),
            (self.refused, "refused as duplicates"),
            (self.malformed, "malformed"),
        )
        return ", ".join(f"{human_count(number)} {word}" for number, word in parts)


@dataclass
class Importer:
    """Stores records batch by batch and keeps the tally."""

    collection: AnyCollection
    errors: BinaryIO | None = None
    is_distant: bool = False
    """Whether a server has the collection, which may take its time to answer: ^C does not wait for that."""
    tally: Tally = field(default_factory=Tally)
    named: list[str] = field(default_factory=list)
    _waiting: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    _waiting_bytes: int = 0

    def add(self, number: int, key: bytes, value: bytes) -> None:
        """Take a record; a full batch is stored."""
        from blockdb import MAX_KEY_BYTES, MAX_VALUE_BYTES

        if not 0 < len(key) <= MAX_KEY_BYTES:
            return self.malformed(number, f"the key has {len(key):,} bytes; 1 to {MAX_KEY_BYTES:,} are possible")
        if len(value) > MAX_VALUE_BYTES:
            return self.malformed(number, f"the value has {len(value):,} bytes; up to {MAX_VALUE_BYTES:,} are possible")
        self._waiting.append((number, key, value))
        self._waiting_bytes += len(key) + len(value)
        if len(self._waiting) >= BATCH_RECORDS or self._waiting_bytes >= BATCH_BYTES:
            self.commit()
        return None

    def malformed(self, number: int, reason: str) -> None:
        """Count a line that is no record."""
        self.tally.malformed += 1
        self._name(number, "malformed", reason)

    def refused(self, number: int, reason: str) -> None:
        """Count a record that cannot stand beside those that are there."""
        self.tally.refused += 1
        self._name(number, "refused", reason)

    def commit(self) -> None:
        """Store what waits. ^C waits until that is done, if it is done here."""
        if self._waiting:
            with nullcontext() if self.is_distant else _uninterrupted():
                self._store(self._waiting)
                self._waiting, self._waiting_bytes = [], 0

    def _store(self, batch: list[tuple[int, bytes, bytes]]) -> None:
        """One atomic batch; without the records that are there already, if there are any."""
        while batch:
            try:
                self.collection.put_many([(key, value) for _, key, value in batch])
            except DuplicateKey as error:
                fresh = self._without_duplicates(batch, error)
                if len(fresh) == len(batch):
                    raise
                batch = fresh
            except (InvalidData, UniqueViolation) as error:  # what the collection does not take: looked for by halving
                if len(batch) == 1:
                    is_taken = isinstance(error, UniqueViolation)
                    return (self.refused if is_taken else self.malformed)(batch[0][0], str(error))
                middle = len(batch) // 2
                self._store(batch[:middle])
                batch = batch[middle:]
            else:
                self.tally.stored += len(batch)
                return None
        return None

    def _without_duplicates(
        self, batch: list[tuple[int, bytes, bytes]], error: DuplicateKey
    ) -> list[tuple[int, bytes, bytes]]:
        fresh: dict[bytes, tuple[int, bytes, bytes]] = {}
        for number, key, value in batch:
            if error.expired and key == error.key:
                self.refused(number, f"key {quoted(key)} has expired, but the chain keeps it")
                continue
            there = fresh[key][2] if key in fresh else self.collection.get(key)
            if there is None:
                fresh[key] = number, key, value
            elif there == value:
                self.tally.present += 1
            else:
                self.refused(number, f"key {quoted(key)} is there with another value")
        return list(fresh.values())

    def _name(self, number: int, problem: str, reason: str) -> None:
        if len(self.named) < NAMED:
            self.named.append(f"line {number}: {problem}: {reason}")
        if self.errors:
            line = json_text({"line": number, "problem": problem, "reason": printable(reason)})
            self.errors.write(line.encode() + b"\n")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold ^C back until the end of the block (signals come to the main thread alone)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


def run(context: Context, arguments: Namespace) -> Result:
    """Import a file or standard input."""
    shape = arguments.input_format or ("csv" if arguments.file.lower().endswith(".csv") else "jsonl")
    name = "standard input" if arguments.file == "-" else arguments.file
    with ExitStack() as stack:
        source = _source(arguments.file, context, stack)
        errors = None if arguments.errors is None else stack.enter_context(_opened(arguments.errors, "wb"))
        importer = Importer(collection_of(context, arguments), errors, context.server is not None)
        advance_to = stack.enter_context(context.progress(f"Importing {name}", _size(source), "bytes"))
        try:
            _import(importer, source, shape, advance_to)
        except KeyboardInterrupt:
            return _summary(f"Interrupted while importing {name}", importer, INTERRUPTED)
        except BlockDBError:
            context.announce(f"Importing {name} stopped: {importer.tally}")
            raise
    failed = arguments.strict and (importer.tally.malformed or importer.tally.refused)
    return _summary(f"Imported {name}", importer, FAILED if failed else DONE)


def _import(importer: Importer, source: BinaryIO, shape: str, advance_to: Callable[[int], None]) -> None:
    from .feed import Malformed, lines, parse

    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        advance_to(done)

    try:
        for item in parse(lines(source, importer.commit, read), shape):
            if isinstance(item, Malformed):
                importer.malformed(item.line, item.reason)
            else:
                importer.add(*item)
    except KeyboardInterrupt:
        if not importer.is_distant:
            importer.commit()
        raise
    importer.commit()


def _source(name: str, context: Context, stack: ExitStack) -> BinaryIO:
    if name != "-":
        return stack.enter_context(_opened(name, "rb"))
    if context.stdin is None:
        raise UsageError(NO_STDIN)
    return context.stdin


def _opened(name: str, mode: str) -> BinaryIO:
    try:
        return cast(BinaryIO, Path(name).expanduser().open(mode))
    except OSError as error:
        raise IoError(f"cannot open {name}: {error.strerror}") from error


def _size(file: BinaryIO) -> int | None:
    """How many bytes will come, if that can be known."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, ValueError):
        return None


def _summary(what: str, importer: Importer, exit_code: int) -> Words:
    tally = importer.tally
    unnamed = tally.malformed + tally.refused - len(importer.named)
    rest = (f"{human_count(unnamed)} more are not named here; --errors FILE keeps all of them",) if unnamed else ()
    role = "success" if exit_code == DONE else "warning"
    return Words(f"{what}: {tally}", asdict(tally), None, (*importer.named, *rest), role, exit_code)


COMMANDS = (
    Command(
        "import",
        "Store the records of a file.",
        run,
        (
            positional("file", "JSON lines or CSV; - for standard input.", Completes.FILE),
            option(
                "--format",
                metavar="FORMAT",
                dest="input_format",
                choices=("jsonl", "csv"),
                help="Format of the file; else its name says it (.csv), else it is jsonl.",
            ),
            option(
                "--errors",
                metavar="FILE",
                completes=Completes.FILE,
                help="Write the number of every malformed or refused line, and the reason, to FILE as JSON lines.",
            ),
            flag("--strict", help="Exit with 1 if a line was malformed or refused."),
            COLLECTION,
        ),
        details='A line of JSON is {"key": ..., "value": ...}, with "encoding": "base64" if both are base64. A value '
        "that is not a string is stored as its JSON text, without the blanks between tokens. CSV begins with the names "
        "of its columns: key,value and perhaps encoding.\n\n"
        "Records are stored in atomic batches. A record that is there already, with the same value, is counted and "
        "left alone; so an import that was interrupted is simply run again. One whose key is there with another value "
        f"is refused. The first {NAMED} lines that were refused or malformed are named on standard error.\n\n"
        "--format is the file's; `blockdb --format json import FILE` gives the counts as JSON.",
        examples=(
            ("import commits.jsonl", "A file of JSON lines"),
            ("import users.csv --strict --errors bad.jsonl", "CSV; fail if a line could not be stored"),
            ("import - --format csv", "Standard input"),
        ),
        need=Need.WRITE_OR_MAKE,
    ),
)
