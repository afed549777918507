"""Which fields the documents of a collection have: by its schema, its indexes, and some of the documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from blockdb.query.lexer import KEYWORDS
from blockdb.types import REDACTED

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["SPECIAL_FIELDS", "fields_of", "paths_in"]

SPECIAL_FIELDS: Final = ("_key", "_sequence", "_time")
SAMPLED_OLD, SAMPLED_NEW = 50, 150
SAMPLED_BYTES = 32 * 1024
DEEPEST = 4
MOST_FIELDS = 500

_PLAIN = re.compile(r"[A-Za-z_$][\w$]*")


def fields_of(collection: AnyCollection) -> tuple[str, ...]:
    """The paths of the fields that are known: of the schema, the indexes and some documents. Raises BlockDBError."""
    schema = collection.schema
    declared = list(schema.to_json()["fields"]) if schema is not None else []
    indexed = [field for index in collection.indexes() for field in index.fields]
    seen = chain.from_iterable(paths_in(document) for document in _sample(collection))
    fields = dict.fromkeys(map(_typable, islice(chain(declared, indexed, seen), 50 * MOST_FIELDS)))
    return (*sorted(islice(fields, MOST_FIELDS)), *SPECIAL_FIELDS)


def _typable(path: str) -> str:
    """A path in which what cannot be seen is escaped, as names in quotes may be."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in path)


def _sample(collection: AnyCollection) -> Iterator[dict[str, Any]]:
    """The oldest and the newest documents, the large ones left out."""
    records = collection.stats().records
    old = collection.records(0, SAMPLED_OLD)
    new = collection.records(max(SAMPLED_OLD, records - SAMPLED_NEW), SAMPLED_NEW) if records > SAMPLED_OLD else ()
    for record in chain(old, new):
        if record.value is REDACTED or len(record.value) > SAMPLED_BYTES or record.value[:1] != b"{":
            continue
        try:
            document = json.loads(record.value)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def paths_in(document: dict[str, Any]) -> Iterator[str]:
    """The paths of a document's fields, some levels deep."""
    yield from _paths(document, "", DEEPEST)


def _paths(value: Any, prefix: str, levels: int) -> Iterator[str]:
    if isinstance(value, dict) and levels:
        for name, member in value.items():
            path = f"{prefix}.{_named(name)}" if prefix else _named(name)
            yield path
            yield from _paths(member, path, levels - 1)
    elif isinstance(value, list) and levels and prefix:
        path = f"{prefix}[]"
        yield path
        for member in value[:3]:
            yield from _paths(member, path, levels - 1)


def _named(name: str) -> str:
    """A name as it stands in a path: in quotes, and as in JSON, unless it is plain."""
    if _PLAIN.fullmatch(name) and name.isascii() and name.lower() not in KEYWORDS:
        return name
    return json.dumps(name)
