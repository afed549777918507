"""What a schema is made of: fields and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blockdb.documents.kinds import FieldType
from blockdb.documents.paths import MISSING, Missing, Path, Value
from blockdb.documents.rules import Rule

__all__ = ["MAX_FIELDS", "Field", "SchemaIndex"]

MAX_FIELDS: Final = 1000
"""So many fields, required ones and indexes a schema may have, each."""


@dataclass(frozen=True, slots=True)
class Field:
    """What is expected of one field. It may be missing unless it is required; it is never null."""

    type: FieldType
    required: bool = False
    default: Value | Missing = MISSING
    """What is put there where a document that is stored does not have it; `MISSING` if nothing is."""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaIndex:
    """An index that a collection with this schema has."""

    name: str
    fields: tuple[Path, ...]
    unique: bool = False
    sparse: bool = False
