"""From text to trees: filters, orders and lists of fields. Recursive descent; docs/QUERIES.md has the grammar.

filter  = [any]                    any  = all {"or" all}             all = test {"and" test}
test    = "not" test | "exists" path | "(" any ")" | path predicate
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from blockdb.documents.paths import EACH, Path
from blockdb.documents.patterns import Pattern
from blockdb.errors import InvalidData, QueryError
from blockdb.query.lexer import KEYWORDS, Kind, Token, near, tokens
from blockdb.query.tree import (
    ALL,
    SPECIAL,
    Between,
    Comparison,
    Exists,
    In,
    Not,
    OrderTerm,
    Parameter,
    Term,
    TextTest,
    Value,
    all_of,
    any_of,
)

__all__ = ["MAX_DEPTH", "parse_fields", "parse_filter", "parse_order"]

MAX_DEPTH: Final = 32
"""So deep parentheses and `not` may be nested."""

MAX_FIELDS: Final = 1_000

_COMPARISONS: Final = frozenset(("=", "!=", "<", "<=", ">", ">="))
_ORDER_WORDS: Final = frozenset(("asc", "desc"))
_AFTER_FIELD: Final = ("in", "between", "contains", "starts", "ends", "matches", "not")
_NOT_OURS: Final = {
    "like": "write `starts with`, `ends with`, or `matches` with a pattern",
    "ilike": "write `matches` with a pattern that begins with (?i)",
    "is": "write `= null`, `!= null` or `exists`",
    "has": "write `contains`",
    "startswith": "write `starts with`",
    "endswith": "write `ends with`",
    "regexp": "write `matches`",
}


@lru_cache(maxsize=256)
def parse_filter(text: str) -> Term:
    """The tree of a filter; `ALL` for an empty one. Raises QueryError. O(length)."""
    reader = _Reader(text, tokens(text))
    if reader.current.kind == "end":
        return ALL
    term = reader.any_of_them(0)
    reader.end("`and`, `or` or the end")
    return term


@lru_cache(maxsize=256)
def parse_order(text: str) -> tuple[OrderTerm, ...]:
    """The steps of an order, `age desc, name`. Raises QueryError."""
    reader = _Reader(text, tokens(text, _ORDER_WORDS))
    steps: list[OrderTerm] = []
    while True:
        place = reader.current.position
        path = reader.path("the name of a field to order by")
        if path.plural:
            raise QueryError(text, place, f"`{path}` may have several values, and an order needs one.")
        if any(path == step.path for step in steps):
            raise QueryError(text, place, f"`{path}` is in this order already.")
        steps.append(OrderTerm(path, reader.skip("keyword", "desc")))
        if not steps[-1].descending:
            reader.skip("keyword", "asc")
        if not reader.skip("symbol", ","):
            break
    reader.end("`asc`, `desc`, a comma or the end", _ORDER_WORDS)
    return tuple(steps)


def parse_fields(fields: str | Iterable[str]) -> tuple[Path, ...]:
    """The paths of a projection, from one text with commas or from a text each. Raises QueryError, InvalidData."""
    if not isinstance(fields, str):
        if isinstance(fields, (bytes, Mapping)) or not isinstance(fields, Iterable):
            raise InvalidData(f"fields are a text, or some of them, not {type(fields).__name__}.")
        return tuple(path for text in fields for path in parse_fields(text))
    reader = _Reader(fields, tokens(fields, frozenset()))
    paths = [reader.path("the name of a field")]
    while reader.skip("symbol", ","):
        paths.append(reader.path("the name of a field"))
    reader.end("a comma or the end")
    if len(paths) > MAX_FIELDS:
        raise InvalidData(f"At most {MAX_FIELDS:,} fields can be asked for, not {len(paths):,}.")
    return tuple(paths)


class _Reader:
    """Goes through the words of a text, one ahead."""

    def __init__(self, text: str, words: list[Token]) -> None:
        self._text = text
        self._words = words
        self._at = 0

    # Words.

    @property
    def current(self) -> Token:
        return self._words[self._at]

    def skip(self, kind: Kind, value: str) -> bool:
        """Go past the next word if it is this one."""
        found = self.current.kind == kind and self.current.value == value
        self._at += found
        return found

    def take(self) -> Token:
        token = self.current
        self._at += token.kind != "end"
        return token

    def end(self, expected: str, words: frozenset[str] = KEYWORDS) -> None:
        if self.current.kind != "end":
            raise self.error(expected, words)

    def error(self, expected: str, words: Iterable[str] = (), hint: str = "") -> QueryError:
        """What is to be raised where something else was expected."""
        token = self.current
        found = "the end" if token.kind == "end" else f"`{_short(token.source)}`"
        if token.kind == "path" and not hint:
            hint = near(token.source, frozenset(words)) if words else ""
        return QueryError(self._text, token.position, f"Expected {expected}, found {found}{hint or '.'}")

    # Terms.

    def any_of_them(self, depth: int) -> Term:
        terms = [self.all_of_them(depth)]
        while self.skip("keyword", "or"):
            terms.append(self.all_of_them(depth))
        return any_of(terms)

    def all_of_them(self, depth: int) -> Term:
        terms = [self.test(depth)]
        while self.skip("keyword", "and"):
            terms.append(self.test(depth))
        return all_of(terms)

    def test(self, depth: int) -> Term:
        if depth > MAX_DEPTH:
            place = self.current.position
            raise QueryError(self._text, place, f"Parentheses and `not` are nested more than {MAX_DEPTH} deep.")
        if self.skip("keyword", "not"):
            return Not(self.test(depth + 1))
        if self.skip("symbol", "("):
            term = self.any_of_them(depth + 1)
            if not self.skip("symbol", ")"):
                raise self.error("`)`, `and` or `or`", KEYWORDS)
            return term
        if self.skip("keyword", "exists"):
            return Exists(self.path("the name of a field after `exists`"))
        return self.predicate(self.path("the name of a field, `not`, `exists` or `(`"))

    def predicate(self, path: Path) -> Term:
        negated = self.skip("keyword", "not")
        term = self.worded(path) if negated else self.compared(path) or self.worded(path)
        return Not(term) if negated else term

    def compared(self, path: Path) -> Term | None:
        token = self.current
        if token.kind != "symbol" or token.value not in _COMPARISONS:
            return None
        self.take()
        return Comparison(path, token.source, self.value(f"a value after `{token.source}`"))

    def worded(self, path: Path) -> Term:
        """What follows a path that is not a comparison."""
        token = self.current
        word = token.value if token.kind == "keyword" else None
        match word:
            case "in":
                self.take()
                return In(path, self.values())
            case "between":
                self.take()
                low = self.value("a value after `between`")
                if not self.skip("keyword", "and"):
                    raise self.error("`and` and the higher value")
                return Between(path, low, self.value("the higher value after `and`"))
            case "contains":
                self.take()
                self.refuse_special(path, token.position)
                return Comparison(Path((*path.parts, EACH)), "=", self.value("a value after `contains`"))
            case "starts" | "ends":
                self.take()
                if not self.skip("keyword", "with"):
                    raise self.error("`with`")
                return TextTest(path, f"{word} with", self.text(f"a text after `{word} with`"))
            case "matches":
                self.take()
                return TextTest(path, "matches", self.pattern())
        instead = _NOT_OURS.get(token.source.lower(), "")
        raise self.error(
            "a comparison (`=`, `<`, `in`, `contains`, ...)", _AFTER_FIELD, f": {instead}." if instead else ""
        )

    # Parts.

    def path(self, expected: str) -> Path:
        token = self.current
        if token.kind == "keyword":
            raise self.error(expected, hint=f': a field of that name is written "{token.source}".')
        if token.kind == "text":
            raise self.error(expected, hint=": names of fields stand in double quotes, or in none.")
        if not isinstance(token.value, Path):
            raise self.error(expected)
        self.take()
        self.refuse_special(token.value, token.position, len(token.value.parts) > 1)
        return token.value

    def refuse_special(self, path: Path, place: int, goes_on: bool = True) -> None:
        if goes_on and Path(path.parts[:1]) in SPECIAL:
            raise QueryError(self._text, place, f"`{path.parts[0]}` is one value, and nothing is inside of it.")

    def values(self) -> tuple[Value, ...] | Parameter:
        if self.current.kind == "parameter":
            return self.parameter()
        if not self.skip("symbol", "("):
            raise self.error("`(` and the values, or a parameter, after `in`")
        values = [self.value("a value")]
        while self.skip("symbol", ","):
            values.append(self.value("a value after the comma"))
        if not self.skip("symbol", ")"):
            raise self.error("a comma or `)`")
        return tuple(values)

    def value(self, expected: str) -> Value:
        token = self.current
        match token.kind:
            case "text" | "number":
                self.take()
                assert not isinstance(token.value, Path)
                return token.value
            case "parameter":
                return self.parameter()
            case "keyword" if token.value in ("true", "false", "null"):
                self.take()
                return None if token.value == "null" else token.value == "true"
            case "path":
                word = _short(token.source.strip('"'))
                raise self.error(expected, hint=f": text stands in single quotes, as '{word}'.")
        raise self.error(f"{expected} (text in '', a number, true, false, null or :parameter)")

    def text(self, expected: str) -> str | Parameter:
        if self.current.kind == "number":
            raise self.error(expected)
        place = self.current
        value = self.value(expected)
        if not isinstance(value, (str, Parameter)):
            raise QueryError(self._text, place.position, f"Expected {expected}, found `{place.source}`.")
        return value

    def pattern(self) -> str | Parameter:
        place = self.current.position
        value = self.text("a pattern in '' after `matches`")
        if isinstance(value, str):
            try:
                Pattern(value)
            except InvalidData as error:
                raise QueryError(self._text, place, str(error)) from None
        return value

    def parameter(self) -> Parameter:
        token = self.take()
        assert isinstance(token.value, str)
        return Parameter(token.value, token.position)


def _short(source: str) -> str:
    shown = source if len(source) <= 40 else f"{source[:40]}…"
    return "".join(char if char.isprintable() else "·" for char in shown)
