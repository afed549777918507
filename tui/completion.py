"""What can be typed next in a filter: fields of the collection, operators, and the words between tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import blockdb

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["Completion", "complete", "fields_of"]

SPECIAL_FIELDS = ("_key", "_sequence", "_time")
BEFORE_FIELD = ("not", "exists")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
WORD_OPERATORS = ("in", "between", "contains", "starts with", "ends with", "matches", "not in")
VALUES = ("true", "false", "null")
BETWEEN_TESTS = ("and", "or", "order by")

SAMPLED_OLD, SAMPLED_NEW = 50, 150
SAMPLED_BYTES = 32 * 1024
DEEPEST = 4
MOST_FIELDS = 500
MOST_SHOWN = 40

_WORDS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"(?:\[\]|\.[\w$]+)*|[\w$.\[\]:+-]+|[<>=!]+|[(),]")
_OPEN_TEXT = re.compile(r"'(?:[^']|'')*$")
_BEING_TYPED = re.compile(r"(?:[\w$.\[\]]|\"(?:[^\"\\]|\\.)*\"?)*$")
_PLAIN = re.compile(r"[A-Za-z_$][\w$]*")
_KEYWORDS = frozenset(
    (*BETWEEN_TESTS[:2], *BEFORE_FIELD, *VALUES, "in", "between", "contains", "starts", "ends", "with", "matches")
)


@dataclass(frozen=True)
class Completion:
    """What may stand instead of the text from `start` to the cursor."""

    start: int
    words: Sequence[str]


def complete(text: str, cursor: int, fields: Sequence[str]) -> Completion:
    """What may be typed at a place; nothing inside of a text in quotes. O(length of the text + fields)."""
    before = text[:cursor]
    typed = _BEING_TYPED.search(before)
    start = typed.start() if typed else cursor
    if _OPEN_TEXT.search(_without_texts(before)):
        return Completion(cursor, ())
    word = before[start:]
    offered = _offered(_WORDS.findall(before[:start]), fields)
    fitting = [name for name in offered if name.lower().startswith(word.lower()) and name != word]
    return Completion(start, tuple(islice(fitting, MOST_SHOWN)))


def _without_texts(text: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "", text)


def _offered(words: Sequence[str], fields: Sequence[str]) -> Iterable[str]:
    last = words[-1].lower() if words else ""
    if last in ("", "and", "or", "(", "exists", "by"):
        return chain(fields, BEFORE_FIELD if last not in ("exists", "by") else ())
    if last == "not":
        return chain(fields, ("in", "exists")) if len(words) < 2 or not _is_field(words[-2]) else ("in", "between")
    if last in ("=", "!=", "<", "<=", ">", ">=", "contains"):
        return VALUES
    if _is_field(words[-1]) and not _is_value(words):
        return chain(OPERATORS, WORD_OPERATORS)
    return BETWEEN_TESTS


def _is_field(word: str) -> bool:
    return word.lower() not in (*_KEYWORDS, "order", "by") and bool(_PLAIN.match(word) or word.startswith('"'))


def _is_value(words: Sequence[str]) -> bool:
    """Whether the last word stands where a value does: behind an operator, so that no operator can follow."""
    return len(words) > 1 and (words[-2] in OPERATORS or words[-2].lower() in ("contains", "with", "matches", "desc"))


# ── which fields there are ──


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
        if record.value is blockdb.REDACTED or len(record.value) > SAMPLED_BYTES or record.value[:1] != b"{":
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
    if _PLAIN.fullmatch(name) and name.isascii() and name.lower() not in _KEYWORDS:
        return name
    return json.dumps(name)
