"""Records out of a file or an endless pipe, one after the other and in bounded memory."""

from __future__ import annotations

import csv
import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import UnsupportedOperation
from typing import BinaryIO, TypeAlias

from blockdb.errors import InvalidData

from .shapes import CSV_HEADER, MAX_LINE_BYTES, from_csv, from_json

__all__ = ["Malformed", "Parsed", "lines", "parse"]

_CHUNK_BYTES = 1 << 18
_IDLE_S = 0.2
_TOO_LONG = f"the line is longer than {MAX_LINE_BYTES:,} bytes"


@dataclass(frozen=True)
class Malformed:
    """A line (or a row of CSV that begins there) that is no record, and why."""

    line: int
    reason: str


Parsed: TypeAlias = tuple[int, bytes, bytes]
"""A line's number, key and value."""

Line: TypeAlias = "bytes | None"
"""A line with its end; None stands for one that is too long."""


def lines(file: BinaryIO, on_idle: Callable[[], None], on_bytes: Callable[[int], None]) -> Iterator[Line]:
    """The lines of a file. `on_idle` is called when a pipe has nothing to give for a while."""
    pieces: list[bytes] = []
    length = 0
    for chunk in _chunks(file, on_idle):
        on_bytes(len(chunk))
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            pieces.append(piece)
            yield b"".join([*pieces, b"\n"]) if length + len(piece) <= MAX_LINE_BYTES else None
            pieces, length = [], 0
        length += len(rest)
        pieces = [*pieces, rest] if length <= MAX_LINE_BYTES else []
    if length:
        yield b"".join(pieces) if length <= MAX_LINE_BYTES else None


def _chunks(file: BinaryIO, on_idle: Callable[[], None]) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)  # what is there now, where a pipe can tell
    while True:
        if not _ready(file):
            on_idle()
        if not (chunk := read(_CHUNK_BYTES)):
            return
        yield chunk


def _ready(file: BinaryIO) -> bool:
    try:
        return bool(select.select([file], [], [], _IDLE_S)[0])
    except (UnsupportedOperation, ValueError):  # not a file of the system
        return True


def parse(source: Iterable[Line], format: str) -> Iterator[Parsed | Malformed]:
    """The records of lines in a format, `jsonl` or `csv`. Raises `InvalidData` if the header of CSV is no header."""
    return _parse_csv(_without_mark(source)) if format == "csv" else _parse_jsonl(_without_mark(source))


def _without_mark(source: Iterable[Line]) -> Iterator[Line]:
    """Without the byte order mark that some programs put before the first line."""
    for number, line in enumerate(source):
        yield line.removeprefix(b"\xef\xbb\xbf") if number == 0 and line else line


def _parse_jsonl(source: Iterable[Line]) -> Iterator[Parsed | Malformed]:
    for number, line in enumerate(source, 1):
        if line is None:
            yield Malformed(number, _TOO_LONG)
        elif not line.isspace():
            try:
                key, value = from_json(line)
            except InvalidData as error:
                yield Malformed(number, str(error))
            else:
                yield number, key, value


def _parse_csv(source: Iterable[Line]) -> Iterator[Parsed | Malformed]:
    with _long_fields():
        rows = csv.reader(map(_csv_text, source), strict=True)
        columns = None
        while True:
            number = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Malformed(number, f"not CSV: {error}")
                continue
            if columns is None:
                columns = _columns(row)
            elif row:
                yield _csv_record(number, row, columns)


def _csv_text(line: Line) -> str:
    """A line for the reader of CSV. One too long becomes what is an error inside and outside of quotes."""
    return '"x"x\n' if line is None else line.decode("utf-8", "surrogateescape")


def _csv_record(number: int, row: list[str], columns: dict[str, int]) -> Parsed | Malformed:
    try:
        return (number, *from_csv(row, columns))
    except InvalidData as error:
        return Malformed(number, str(error))


def _columns(row: list[str]) -> dict[str, int]:
    columns = {name.strip().lower(): index for index, name in enumerate(row)}
    if not {"key", "value"} <= columns.keys() <= set(CSV_HEADER) or len(columns) < len(row):
        raise InvalidData("the first line of CSV has to name the columns: key,value or key,value,encoding")
    return columns


@contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module refuses fields above 128 KB, for the whole process, unless it is told otherwise."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
