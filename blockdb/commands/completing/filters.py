"""What can be typed next in a filter, an order, or a list of fields: by the grammar of the language, and real fields.

The words before the cursor are read by the language's own lexer; then a small machine goes through them, each state
of which is a place in the grammar (docs/QUERIES.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from blockdb.errors import BlockDBError
from blockdb.query.lexer import KEYWORDS, Token, tokens

from .matching import matching

__all__ = ["Completion", "complete_fields", "complete_filter", "complete_order"]

MOST_SHOWN: Final = 40

OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=")
WORD_OPERATORS: Final = ("in", "between", "contains", "starts with", "ends with", "matches")
BEFORE_FIELD: Final = ("not", "exists")
VALUES: Final = ("true", "false", "null")

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"")
_BEING_TYPED: Final = re.compile(r"[\w$.\[\]-]*(?:\"(?:[^\"\\]|\\.)*\\?)?$|[<>!=]+$")
_ORDER_BY: Final = re.compile(r"\border\s+by\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand instead of the text from `start` to the cursor."""

    start: int
    words: Sequence[str]


def complete_filter(text: str, fields: Sequence[str], *, orders: bool = False) -> Completion:
    """What may stand at the end of half a filter; nothing inside of a text in quotes.

    With `orders` the filter may end with `order by`, as in the explorer. O(length of the text + fields).
    """
    if orders and (found := _ORDER_BY.search(_bare(text))) is not None:
        order = complete_order(text[found.end() :], fields)
        return Completion(found.end() + order.start, order.words)
    return _complete(text, KEYWORDS, lambda found: _in_filter(found, fields, orders))


def complete_order(text: str, fields: Sequence[str]) -> Completion:
    """The same for an order, `age desc, name`."""
    plain = [field for field in fields if "[]" not in field]

    def offered(found: Sequence[Token]) -> Iterable[str]:
        if not found or found[-1].source == ",":
            taken = {token.source for token in found}
            return [field for field in plain if field not in taken]
        return (",",) if found[-1].kind == "keyword" else ("desc", "asc", ",")

    return _complete(text, frozenset(("asc", "desc")), offered)


def complete_fields(text: str, fields: Sequence[str]) -> Completion:
    """The same for a list of fields, `name, address.city`."""

    def offered(found: Sequence[Token]) -> Iterable[str]:
        taken = {token.source for token in found}
        return [it for it in fields if it not in taken] if not found or found[-1].source == "," else ()

    return _complete(text, frozenset(), offered)


def _complete(text: str, keywords: frozenset[str], offered: Callable[[Sequence[Token]], Iterable[str]]) -> Completion:
    bare = _bare(text)
    if "'" in bare:  # a text is being typed
        return Completion(len(text), ())
    typed = _BEING_TYPED.search(bare)
    start = typed.start() if typed else len(text)
    try:
        found = tokens(text[:start], keywords)[:-1]
    except BlockDBError:  # something before has no meaning, and so nothing that follows has
        return Completion(start, ())
    word = text[start:]
    fitting = [name for _, name in matching(list(offered(found)), word, str) if name != word]
    return Completion(start, tuple(fitting[:MOST_SHOWN]))


def _bare(text: str) -> str:
    """The text with plain letters where whole texts and names in quotes are."""
    return _QUOTED.sub(lambda match: "x" * len(match[0]), text)


# The states are the places of the grammar; each says by the next word which state comes after it. `done` is where a
# test is whole.
def _next(state: str, token: Token) -> str:
    word = token.value if token.kind in ("keyword", "symbol") else token.kind
    if state == "name" and word == "path":
        return "done"
    if state == "value" and (word in VALUES or word in ("text", "number", "parameter")):
        return "done"
    return _STEPS.get((state, str(word)), "wrong")


_VALUE_WORDS: Final = ("text", "number", "parameter", *VALUES)
_STEPS: Final[dict[tuple[str, str], str]] = {
    ("test", "not"): "test",
    ("test", "("): "test",
    ("test", "exists"): "name",
    ("test", "path"): "predicate",
    **{("predicate", operator): "value" for operator in OPERATORS},
    ("predicate", "not"): "negated",
    **{
        (state, word): after
        for state in ("predicate", "negated")
        for word, after in {
            "in": "list",
            "between": "low",
            "contains": "value",
            "starts": "with",
            "ends": "with",
            "matches": "text",
        }.items()
    },
    ("with", "with"): "text",
    ("text", "text"): "done",
    ("text", "parameter"): "done",
    ("list", "parameter"): "done",
    ("list", "("): "member",
    **{("member", word): "members" for word in _VALUE_WORDS},
    ("members", ","): "member",
    ("members", ")"): "done",
    **{("low", word): "lower" for word in _VALUE_WORDS},
    ("lower", "and"): "value",
    ("done", "and"): "test",
    ("done", "or"): "test",
    ("done", ")"): "done",
}


def _in_filter(found: Sequence[Token], fields: Sequence[str], orders: bool) -> Iterable[str]:
    state, depth = "test", 0
    for token in found:
        depth += (state == "test" and token.source == "(") - (state == "done" and token.source == ")")
        state = _next(state, token)
    match state:
        case "test":
            return chain(fields, BEFORE_FIELD)
        case "name":
            return fields
        case "predicate":
            return (*OPERATORS, *WORD_OPERATORS, "not in", "not between")
        case "negated":
            return WORD_OPERATORS
        case "value" | "member" | "low":
            return VALUES
        case "list":
            return ("(",)
        case "members":
            return (",", ")")
        case "with":
            return ("with",)
        case "lower":
            return ("and",)
        case "done":
            closing = (")",) if depth > 0 else ()
            return ("and", "or", *closing, *(("order by",) if orders and not closing else ()))
    return ()
