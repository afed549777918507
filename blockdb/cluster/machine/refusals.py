"""Errors that are an outcome: what follows from the commands alone, so that every node comes to the same."""

from __future__ import annotations

from typing import Final

from blockdb.errors import (
    CollectionNotFound,
    Deadlock,
    DuplicateCollection,
    DuplicateIndex,
    DuplicateKey,
    IndexNotFound,
    InvalidData,
    KeyNotFound,
    Redacted,
    UniqueViolation,
)

__all__ = ["REFUSALS"]

REFUSALS: Final = (
    CollectionNotFound,
    Deadlock,
    DuplicateCollection,
    DuplicateIndex,
    DuplicateKey,
    IndexNotFound,
    InvalidData,
    KeyNotFound,
    Redacted,
    UniqueViolation,
)
"""All others are the trouble of one node: it stops, and applies the command again when it is started."""
