"""Saving what is shown to a file: all rows of a table, a value, or the screen. It never replaces a file.

The rules that make data safe to show hold for terminals: a file gets what is stored, as `blockdb export` writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

import blockdb
from blockdb.commands.display import human_bytes
from blockdb.commands.shapes import CSV_HEADER, csv_line, encode_base64, record_csv, record_json

from .listing import Row
from .past_listing import ByKeyThen

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, AsOf

    from .listing import Listing
    from .widgets.virtual_table import Column

__all__ = ["MOST_ROWS", "Cancelled", "Sheet", "Work", "kind_of", "save_bytes", "save_sheet"]

MOST_ROWS = 1_000_000
"""Of a longer table the first ones are saved, which is said."""
BATCH_ROWS = 512
FOR_OWNER = 0o600

KINDS = (".json", ".jsonl", ".csv", ".txt", ".svg")


class Cancelled(Exception):
    """Somebody did not want to wait for it; nothing is left of the file."""


@dataclass
class Work:
    """How far it is; another thread may read it, and end it."""

    rows: int = 0
    total: int = 0
    is_cancelled: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table that can be saved: its listing, its columns, and where its rows are looked up."""

    listing: Listing[Any]
    columns: Sequence[Column[Any]]
    collection: AnyCollection
    database: AnyDatabase
    as_of: AsOf | None = None
    work: Work = field(default_factory=Work)

    def rows(self) -> Iterator[Sequence[Any]]:
        """The rows in batches, as they are when it begins. Raises `Cancelled`, `BlockDBError` and `OSError`."""
        while isinstance(self.listing, ByKeyThen) and not (self.listing.done or self.work.is_cancelled):
            self.listing.go_on()  # all of it is saved, not what has been walked by now
        count = self.listing.count()
        self.work.total = min(count, MOST_ROWS)
        while self.work.rows < self.work.total:
            if self.work.is_cancelled:
                raise Cancelled
            limit = min(BATCH_ROWS, self.work.total - self.work.rows)
            batch = self.listing.fetch(self.work.rows, limit, count)
            if not batch:
                return
            yield batch
            self.work.rows += len(batch)


def kind_of(path: Path) -> str:
    """What kind of file a name asks for: one of `KINDS`, or nothing."""
    return suffix if (suffix := path.suffix.lower()) in KINDS else ""


def save_bytes(path: Path, data: bytes) -> int:
    """Writes bytes to a new file. Returns their number. Raises `FileExistsError` and `OSError`."""
    return _save(path, lambda file: file.buffer.write(data))


def save_sheet(path: Path, sheet: Sheet) -> int:
    """Writes a table to a new file of the kind that its name says. Returns the number of bytes.

    Raises `FileExistsError`, `OSError`, `BlockDBError`, and `Cancelled` when `sheet.work` was; no file is left then.
    """
    lines = {".json": _json, ".jsonl": _json_lines, ".csv": _csv, ".txt": _text}[kind_of(path)](sheet)
    return _save(path, lambda file: file.writelines(lines))


def _save(path: Path, write: Callable[[TextIO], object]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FOR_OWNER)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            write(file)
        return path.stat().st_size
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


# ── kinds of files ──


def _json_lines(sheet: Sheet) -> Iterator[str]:
    for batch in sheet.rows():
        for text in _objects(sheet, batch):
            yield text + "\n"


def _json(sheet: Sheet) -> Iterator[str]:
    before = "[\n"
    for batch in sheet.rows():
        for text in _objects(sheet, batch):
            yield before + text
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _csv(sheet: Sheet) -> Iterator[str]:
    has_header = False
    for batch in sheet.rows():
        if isinstance(batch[0], Row):
            if not has_header:
                yield ",".join(CSV_HEADER) + "\n"
            yield from (record_csv(key, value) + "\n" for key, value in _records(sheet, batch))
        else:
            objects = [_plain(sheet, row) for row in batch]
            if not has_header:
                yield csv_line(list(objects[0])) + "\n"
            yield from (csv_line([_field(value) for value in each.values()]) + "\n" for each in objects)
        has_header = True


def _text(sheet: Sheet) -> Iterator[str]:
    """As it is to be read: the columns of the screen, tabs between them."""
    yield "\t".join(column.title for column in sheet.columns) + "\n"
    for batch in sheet.rows():
        for row in batch:
            yield "\t".join(column.cell(row) for column in sheet.columns) + "\n"


def _objects(sheet: Sheet, batch: Sequence[Any]) -> Iterable[str]:
    if isinstance(batch[0], Row):
        return (record_json(key, value) for key, value in _records(sheet, batch))
    return (json.dumps(_plain(sheet, row), ensure_ascii=False) for row in batch)


def _field(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ── rows ──


def _records(sheet: Sheet, rows: Sequence[Row]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and whole values; of what has been erased meanwhile, that."""
    for row in rows:
        try:
            value = sheet.collection.get(row.key, as_of=sheet.as_of) if sheet.as_of else sheet.collection.get(row.key)
        except blockdb.Redacted:
            value = blockdb.REDACTED
        if value is not None:
            yield row.key, value


def _plain(sheet: Sheet, row: Any) -> Mapping[str, Any]:
    """The fields of a row that is no record, as JSON has them; of the name of a collection, what there is to know."""
    if isinstance(row, str):
        return _plain(sheet, sheet.database.collection(row).describe())
    if is_dataclass(row) and not isinstance(row, type):
        fields: Mapping[str, Any] = asdict(row)
    elif isinstance(row, msgspec.Struct):
        fields = {name: getattr(row, name) for name in row.__struct_fields__}
    else:
        fields = row._asdict() if hasattr(row, "_asdict") else {"row": str(row)}
    return {name: _value(value) for name, value in fields.items()}


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"base64:{encode_base64(value)}"
    if isinstance(value, Mapping):
        return {str(name): _value(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_value(each) for each in value]
    if isinstance(value, msgspec.Struct):
        return {name: _value(getattr(value, name)) for name in value.__struct_fields__}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def told(sheet: Sheet, path: Path, size: int) -> str:
    """What was saved, in words."""
    count = sheet.work.rows
    left = f"; the table has more than the {MOST_ROWS:,} that are saved at most" if count == MOST_ROWS else ""
    return f"Saved {count:,} rows, {human_bytes(size)}, to {path}{left}."
