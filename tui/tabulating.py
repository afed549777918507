"""Documents as rows of a table, a column for each field that was found: what a screen needs of them, and no more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from blockdb.commands.display import printable

from .drawing import fit
from .widgets.virtual_table import Column

if TYPE_CHECKING:
    from blockdb import Document

__all__ = ["DocumentRow", "Documents"]

DEEPEST = 3
MOST_FIELDS = 200
"""Of further fields it is told that there are some."""
MOST_CELL = 120
WIDEST, WIDEST_KEY = 40, 32
MOST_KEPT_BYTES = 32 * 1024**2
"""When the cells take more, further rows have their keys alone."""


@dataclass(frozen=True)
class DocumentRow:
    """A document: its key, and its fields as text that is fit to be shown."""

    key: bytes
    cells: dict[str, str] = field(default_factory=dict)


class _Field:
    """What is known of a field: how wide its values are, and whether all of them are numbers."""

    def __init__(self, name: str) -> None:
        self.title = printable(name)
        self.width = min(WIDEST, max(1, cell_len(self.title)))
        self.is_number = True

    def note(self, value: Any, text: str) -> None:
        """Takes a value."""
        self.width = min(WIDEST, max(self.width, cell_len(text)))
        self.is_number = self.is_number and isinstance(value, (int, float)) and not isinstance(value, bool)


class Documents:
    """The rows of one search, as a table lists them. `take` may be called by another thread."""

    def __init__(self) -> None:
        self.rows: list[DocumentRow] = []
        self.fields: dict[str, _Field] = {}
        """By their names, in the order in which they were found."""
        self.has_more_fields = False
        self._key_width = 8
        self._bytes = 0
        self._lock = threading.Lock()

    def take(self, document: Document) -> None:
        """Adds a document. O(its fields)."""
        cells: dict[str, str] = {}
        with self._lock:
            self._key_width = min(WIDEST_KEY, max(self._key_width, cell_len(printable(document.key[:WIDEST_KEY]))))
            if self._bytes < MOST_KEPT_BYTES:
                for name, value in _flat(document.value, "", DEEPEST):
                    self._note(cells, name, value)
            self.rows.append(DocumentRow(document.key, cells))

    def _note(self, cells: dict[str, str], name: str, value: Any) -> None:
        known = self.fields.get(name)
        if known is None:
            if len(self.fields) >= MOST_FIELDS:
                self.has_more_fields = True
                return
            known = self.fields[name] = _Field(name)
        text = _text(value)
        known.note(value, text)
        cells[name] = text
        self._bytes += len(text) + 64

    # ── what a table asks for ──

    def count(self) -> int:
        return len(self.rows)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[DocumentRow]:
        return self.rows[first : min(first + limit, count)]

    def locate(self, row: DocumentRow, count: int) -> int:
        """Where a row stands; rows are never moved, so the first with its key."""
        return next((at for at, other in enumerate(self.rows) if other is row), 0)

    def columns(self, skipped: int = 0) -> list[Column[DocumentRow]]:
        """The key, and the fields behind it but the first few that are `skipped`."""
        with self._lock:
            shown = list(self.fields.items())[skipped:]
            key = Column[DocumentRow]("KEY", lambda row: printable(row.key[:400]), width=self._key_width, role="key")
            return [key, *(_column(name, known) for name, known in shown)]


def _column(name: str, known: _Field) -> Column[DocumentRow]:
    role = "number" if known.is_number else "text"
    return Column(known.title, lambda row: row.cells.get(name, ""), known.width, role=role, right=known.is_number)


def _flat(value: dict[str, Any], before: str, levels: int) -> Iterator[tuple[str, Any]]:
    """The fields of a document, those of objects in it as `outer.inner`."""
    for name, member in value.items():
        path = f"{before}{name}"
        if isinstance(member, dict) and member and levels > 1:
            yield from _flat(member, f"{path}.", levels - 1)
        else:
            yield path, member


def _text(value: Any) -> str:
    """A value as a cell: a text as it is, anything else as JSON; not more than a screen has room for."""
    if isinstance(value, str):
        return fit(printable(value[:MOST_CELL]), MOST_CELL).rstrip() if len(value) > MOST_CELL else printable(value)
    if isinstance(value, list) and len(value) > MOST_CELL:
        value = value[:MOST_CELL]  # no more of them is seen; of a long list the rest need not be written
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        text = "···"
    return printable(text if len(text) <= MOST_CELL else text[: MOST_CELL - 1] + "…")
