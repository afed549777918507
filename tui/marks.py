"""What a record wears: the version of the schema under which it was written, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from blockdb.commands.display import human_count, printable

from .widgets.virtual_table import Column

if TYPE_CHECKING:
    from blockdb import AnyCollection, Record
    from blockdb.commands.standing import Standing
    from blockdb.commands.trust import Trust

__all__ = ["Marks", "read_with_version", "schema_mark", "trust_column", "trust_mark"]

Marks = list[tuple[str, str]]
"""Words and the roles that colour them."""

T = TypeVar("T")


def read_with_version(
    collection: AnyCollection, key: bytes, then: Standing | None = None
) -> tuple[Record | None, int | None]:
    """A record, and the version of the schema that it was held to. Waits for the disk; raises BlockDBError.

    With `then`, None for one that was not there at that moment.
    """
    record = collection.record(key)
    if record is not None and then is not None and not then.saw(record.sequence):
        record = None
    return record, None if record is None else collection.schema_version(record.sequence)


def schema_mark(version: int | None) -> Marks:
    """The version of the schema that a record was held to, where there was one."""
    return [] if version is None else [(f"schema {human_count(version)}", "secondary")]


def trust_mark(trust: Trust) -> Marks:
    """Glyph, word and height."""
    return [(printable(str(trust)), trust.degree.role)]


def trust_column(trust_of: Callable[[T], Trust]) -> Column[T]:
    """A narrow column with the glyph alone; the word stands in the view of the value, and in the help."""
    return Column("", lambda row: trust_of(row).degree.glyph, width=1, role=lambda row: trust_of(row).degree.role)
