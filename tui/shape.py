"""What the documents of a collection look like: its schemas and its indexes, as rows of tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockdb.commands.display import printable

if TYPE_CHECKING:
    from blockdb import AnyCollection
    from blockdb.commands.standing import Standing
    from blockdb.types import IndexInfo

__all__ = ["FieldRow", "SchemaVersion", "Shape", "shape_of"]


@dataclass(frozen=True)
class FieldRow:
    """A field of a schema, in words that are fit to be shown."""

    path: str
    kind: str
    required: bool
    default: str
    rules: str


@dataclass(frozen=True)
class SchemaVersion:
    """One version of the schema of a collection; it holds for the records from `first_sequence` on."""

    version: int
    first_sequence: int
    time_ms: int
    """When it was set."""
    source: Mapping[str, Any]
    """Its JSON form."""

    def rows(self) -> list[FieldRow]:
        """Its fields in order; those of which it only says that they must be there stand at the end."""
        fields: Mapping[str, Mapping[str, Any]] = self.source.get("fields", {})
        required = self.source.get("required_fields", [])
        rows = [_row(path, field, required) for path, field in fields.items()]
        bare = [FieldRow(printable(path), "any", True, "", "") for path in required if path not in fields]
        return rows + bare


@dataclass(frozen=True)
class Shape:
    """The schema versions of a collection, the oldest first, and its indexes by name."""

    versions: Sequence[SchemaVersion]
    indexes: Sequence[IndexInfo]


def _row(path: str, field: Mapping[str, Any], required: Sequence[str]) -> FieldRow:
    return FieldRow(
        path=printable(path),
        kind=printable(str(field.get("field_type", "any"))),
        required=bool(field.get("required")) or path in required,
        default=printable(json.dumps(field["default_value"], ensure_ascii=False)) if "default_value" in field else "",
        rules=", ".join(_rule(rule) for rule in field.get("validation_rules", ())),
    )


def _rule(rule: Mapping[str, Any]) -> str:
    return ", ".join(printable(f"{name} {json.dumps(value, ensure_ascii=False)}") for name, value in rule.items())


def shape_of(collection: AnyCollection, then: Standing | None = None) -> Shape:
    """What is known of the documents of a collection. Waits for the disk; raises BlockDBError.

    With `then`, the schemas that were set by that moment; the indexes are those of now.
    """
    versions = [
        SchemaVersion(version.version, version.first_sequence, version.time_ms, version.schema.to_json())
        for version in collection.schemas()
        if then is None or version.first_sequence < then.next_sequence or version.time_ms <= then.time_ms
    ]
    return Shape(versions, collection.indexes())
