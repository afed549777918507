"""Filters and documents by chance, a naive way to evaluate, and what a document is to a filter besides its value."""

from dataclasses import dataclass
from typing import Any

import re2
from hypothesis import strategies as st

from blockdb.documents.paths import Path
from blockdb.query.tree import (
    KEY,
    SEQUENCE,
    SPECIAL,
    And,
    Between,
    Comparison,
    Exists,
    In,
    Not,
    Or,
    Term,
    TextTest,
    all_of,
    any_of,
)


@dataclass
class Origin:
    key: bytes = b"k"
    sequence: int = 0
    time_ms: int = 0
    place: int = 0


# ── by chance ────────────────────────────────────────────────────────────────────────────────────────────────────

PATHS = ["a", "b", "in", '"odd \\"name"', "a.b", "a.b.c.d.e", "t[]", "a.t[]", "o[].a", "o[].t[]", "t[][]"]
SCALARS = [None, True, False, 0, 1, 2, -1, 0.5, 1.0, 2**70, 1e300, "", "a", "ab", "b", "é", "'", "\U0001f600"]
OPERATORS = ["=", "!=", "<", "<=", ">", ">="]

scalars = st.sampled_from(SCALARS)
paths = st.sampled_from(PATHS).map(Path.parse)
all_paths = paths | st.sampled_from(sorted(SPECIAL, key=str))
texts = st.sampled_from(["", "a", "ab", "é", "'"])
patterns = st.sampled_from(["a", "^a", "b$", "^(a|b)+$", ".", "é"])


def leaves(path: st.SearchStrategy[Path]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.builds(Comparison, path, st.sampled_from(OPERATORS), scalars),
        st.builds(Between, path, scalars, scalars),
        st.builds(In, path, st.lists(scalars, min_size=1, max_size=4).map(tuple)),
        st.builds(TextTest, path, st.sampled_from(["starts with", "ends with"]), texts),
        st.builds(TextTest, path, st.just("matches"), patterns),
        st.builds(Exists, path),
    )


def filters(path: st.SearchStrategy[Path] = all_paths) -> st.SearchStrategy[Term]:
    def larger(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
        several = st.lists(inner, min_size=2, max_size=4)
        return st.one_of(inner.map(Not), several.map(all_of), several.map(any_of))

    return st.recursive(leaves(path), larger, max_leaves=8)


def _documents() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a", "b", "c", "d", "e", "t", "o", "in", 'odd "name'])

    def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)

    return st.dictionaries(names, st.recursive(scalars, larger, max_leaves=10), max_size=6)


documents = _documents()


# ── naive ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fits(term: Term, document: dict[str, Any], origin: Origin) -> bool:
    """Whether a document fits, said as docs/QUERIES.md says it."""
    match term:
        case And(terms):
            return all(fits(part, document, origin) for part in terms)
        case Or(terms):
            return any(fits(part, document, origin) for part in terms)
        case Not(inner):
            return not fits(inner, document, origin)
    if term.path == KEY and not (isinstance(term, TextTest) and term.operator == "matches"):
        return one_fits(as_bytes(term), origin.key.decode("latin-1"))
    if term.path in SPECIAL:
        special = {KEY: origin.key.decode("utf-8", "replace"), SEQUENCE: origin.sequence}
        values = [special.get(term.path, origin.time_ms)]
    else:
        values = term.path.values(document)
    return any(one_fits(term, value) for value in values)


def as_bytes(term: Comparison | Between | In | TextTest | Exists) -> Comparison | Between | In | TextTest | Exists:
    """The same about bytes, a character for each: keys are compared so, since they need not be text."""

    def of(value: Any) -> Any:
        return value.encode().decode("latin-1") if isinstance(value, str) else value

    match term:
        case Comparison(path, operator, right):
            return Comparison(path, operator, of(right))
        case Between(path, low, high):
            return Between(path, of(low), of(high))
        case In(path, several):
            assert isinstance(several, tuple)
            return In(path, tuple(map(of, several)))
        case TextTest(path, operator, text):
            return TextTest(path, operator, of(text))
    return term


def one_fits(term: Comparison | Between | In | TextTest | Exists, value: Any) -> bool:
    match term:
        case Exists():
            return True
        case Comparison(_, operator, right):
            return compare(operator, value, right)
        case Between(_, low, high):
            return compare(">=", value, low) and compare("<=", value, high)
        case In(_, several):
            assert isinstance(several, tuple)
            return any(compare("=", value, one) for one in several)
        case TextTest(_, operator, str() as text):
            if not isinstance(value, str):
                return False
            if operator == "matches":
                return re2.search(text, value) is not None
            return value.startswith(text) if operator == "starts with" else value.endswith(text)
    raise AssertionError(term)


def kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "!=":
        return not compare("=", left, right)
    if kind(left) != kind(right):
        return False
    if left is None:
        return operator in ("=", "<=", ">=")
    sign = (left > right) - (left < right)
    return {"=": sign == 0, "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[operator]


RANKS = {"NoneType": 1, "bool": 2, "number": 3, "str": 4, "list": 5, "dict": 6}


def rank(value: Any) -> Any:
    """The place of a value in the order of all values; of nothing, that of a missing one."""
    if value is ...:
        return (0,)
    if isinstance(value, list):
        return (5, [rank(item) for item in value])
    if isinstance(value, dict):
        return (6, [((4, name), rank(value[name])) for name in sorted(value)])
    return (RANKS[kind(value)], 0 if value is None else value)
