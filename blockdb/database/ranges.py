"""Ranges of keys as callers give them."""

from __future__ import annotations

from blockdb.errors import InvalidData
from blockdb.storage.view import Range


def range_of(prefix: bytes | None, start: bytes | None, end: bytes | None) -> Range:
    """The keys with `prefix`, from `start` on, before `end`. Raises InvalidData."""
    for bound in (prefix, start, end):
        if bound is not None and not isinstance(bound, bytes):
            raise InvalidData(f"prefix, start and end are bytes, not {type(bound).__name__}.")
    return Range.of(prefix, start, end)
