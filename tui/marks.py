"""What a record wears: the version of the schema under which it was written, and how far it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.display import human_count

if TYPE_CHECKING:
    from blockdb import AnyCollection, Record

    from .verification import Verification

__all__ = ["Marks", "marks_of", "read_with_version"]

Marks = list[tuple[str, str]]
"""Words and the roles that colour them."""


def read_with_version(collection: AnyCollection, key: bytes) -> tuple[Record | None, int | None]:
    """A record, and the version of the schema that it was held to. Waits for the disk; raises BlockDBError."""
    record = collection.record(key)
    return record, None if record is None else collection.schema_version(record.sequence)


def marks_of(
    record: Record | None, version: int | None, collection: AnyCollection | None, verification: Verification
) -> Marks:
    """The marks of a record of a collection."""
    if record is None or collection is None:
        return []
    marks: Marks = [] if version is None else [(f"schema {human_count(version)}", "secondary")]
    if record.block is None:
        return [*marks, ("✓ proven", "success")] if verification.reads_are_proven else marks
    if record.block in verification.bad_blocks(collection):
        return [*marks, ("✗ failed", "error")]
    if verification.reads_are_proven:
        return [*marks, ("✓ proven", "success")]
    if record.block < verification.proven_to(collection):
        return [*marks, (f"✓ {verification.good}", "success")]
    return [*marks, ("· read", "muted")]
