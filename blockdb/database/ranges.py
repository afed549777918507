"""Ranges of keys as callers give them."""

from __future__ import annotations

from blockdb.format.checks import check_bounds
from blockdb.storage.view import Range


def range_of(prefix: bytes | None, start: bytes | None, end: bytes | None) -> Range:
    """The keys with `prefix`, from `start` on, before `end`. Raises InvalidData."""
    check_bounds(prefix, start, end)
    return Range.of(prefix, start, end)
