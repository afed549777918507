"""From a tree to a function that tells whether a document fits, and from an order to one that gives its place in it.

The functions are generated as Python source, because a call for each term would cost more than the terms. Nothing of a
query ever becomes part of the source: names become numbered attributes, values become arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from msgspec import UNSET

from blockdb.documents.paths import EACH, Part, Path
from blockdb.documents.patterns import Pattern
from blockdb.format.ordered import MISSING, encode
from blockdb.query.shape import Fields, decoder_of, fields_of, struct_of
from blockdb.query.tree import (
    KEY,
    SEQUENCE,
    SPECIAL,
    TIME,
    And,
    Between,
    Comparison,
    Exists,
    In,
    Not,
    Or,
    OrderTerm,
    Term,
    TextTest,
    Value,
    paths_of,
)

__all__ = ["Compiled", "compiled", "order_key"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter that is ready to run: `test(decode(value), origin)`."""

    decode: Callable[[bytes], Any]
    """From the bytes of a document to what `test` takes of it (see `shape.decoder_of`)."""
    test: Callable[[Any, Any], bool]
    """Whether it fits, given that and what has its `key`, `sequence` and `time_ms` (None where `special` is empty)."""
    sort_key: Callable[[Any, Any], bytes]
    """Of the same arguments: bytes whose order is the one asked for. The second has `key`, `place` and `time_ms`."""
    special: frozenset[Path]
    """Which of `_key`, `_sequence` and `_time` it looks at."""
    needs_value: bool
    """Whether it looks at the value at all."""


def compiled(term: Term, order: tuple[OrderTerm, ...] = ()) -> Compiled:
    """A filter without parameters, and an order (in full), as functions.

    O(terms), with most of it cached by the form of the filter.
    """
    paths = paths_of(term) | {step.path for step in order}
    fields = fields_of(sorted(paths - SPECIAL, key=str))
    decode = decoder_of(fields)
    return Compiled(
        decode,
        _function(fields, lambda writer: writer.condition(term)),
        _function(fields, lambda writer: writer.sort_key(order)),
        frozenset(paths_of(term) & SPECIAL),
        bool(paths - SPECIAL),
    )


def order_key(order: tuple[OrderTerm, ...]) -> Callable[[dict[str, Any], Any], bytes]:
    """What puts whole documents in an order: `Compiled.sort_key` for dictionaries as they are."""
    return _function(None, lambda writer: writer.sort_key(order))


def _function(fields: Fields | None, write: Callable[[_Writer], str]) -> Callable[[Any, Any], Any]:
    writer = _Writer(fields)
    source = write(writer)
    return _factory(source, ", ".join(writer.values))(*writer.values.values())


@lru_cache(maxsize=512)
def _factory(source: str, names: str) -> Callable[..., Callable[[Any, Any], Any]]:
    """What makes a function of the values that are in its source."""
    scope: dict[str, Any] = dict(_SCOPE)
    exec(f"def make({names}):\n def run(d, o):\n  return {source}\n return run", scope)
    make: Callable[..., Callable[[Any, Any], Any]] = scope["make"]
    return make


# ── what the source calls ────────────────────────────────────────────────────────────────────────────────────────


def _dig(value: Any, names: tuple[str, ...]) -> Any:
    """What lies that deep in dicts, or UNSET."""
    for name in names:
        if type(value) is not dict:
            return UNSET
        value = value.get(name, UNSET)
    return value


def _members(value: Any, rest: tuple[Part, ...]) -> Iterable[Any]:
    """Of an array the members, or what `rest` leads to from each."""
    values: Iterable[Any] = value if type(value) is list else ()
    for part in rest:
        if part is EACH:
            values = [member for array in values if type(array) is list for member in array]
        else:
            values = [item[part] for item in values if type(item) is dict and part in item]
    return values


def _any_of(test: Callable[[Any], bool], values: Iterable[Any]) -> bool:
    return any(map(test, values))


def _is_in(value: Any, scalars: frozenset[Any], has_null: bool, has_true: bool, has_false: bool) -> bool:
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value in scalars
    return (value is None and has_null) or (value is True and has_true) or (value is False and has_false)


def _key_of(value: Any) -> bytes:
    return encode(MISSING if value is UNSET else value)


def _down(data: bytes) -> bytes:
    return data.translate(_INVERTED)


def _text_key(data: bytes) -> bytes:
    """Bytes that are ordered as keys are, none of which is the beginning of another."""
    return data.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") + b"\0"


_INVERTED: Final = bytes(range(255, -1, -1))
_SCOPE: Final[Mapping[str, Any]] = {
    "M": UNSET,
    "NUMBERS": frozenset((int, float)),
    "any_of": _any_of,
    "dig": _dig,
    "down": _down,
    "key_of": _key_of,
    "pack": Struct(">Q").pack,
    "text_key": _text_key,
    "members": _members,
    "is_in": _is_in,
}


_METHODS: Final = {"starts with": "startswith", "ends with": "endswith"}


# ── writing source ───────────────────────────────────────────────────────────────────────────────────────────────


class _Writer:
    """Writes the condition of a tree; `values` are the arguments that it needs, by name."""

    def __init__(self, fields: Fields | None) -> None:
        self._fields = fields
        self._used = 0
        self.values: dict[str, Any] = {}

    def condition(self, term: Term) -> str:
        match term:
            case And(terms):
                return self._joined(" and ", terms) or "True"
            case Or(terms):
                return self._joined(" or ", terms)
            case Not(inner):
                return f"(not {self.condition(inner)})"
        return self._predicate(term)

    def sort_key(self, order: tuple[OrderTerm, ...]) -> str:
        """Bytes for each step, of which none can be the beginning of others: so they are compared one by one."""
        parts = [self._step(step.path) for step in order]
        turned = [f"down({part})" if step.descending else part for part, step in zip(parts, order, strict=True)]
        return " + ".join(turned) or "b''"

    def _step(self, path: Path) -> str:
        if path == KEY:
            return "text_key(o.key)"
        if path == SEQUENCE:
            return "pack(o.place)"
        return f"key_of({'o.time_ms' if path == TIME else self._at(path.parts)})"

    def _joined(self, word: str, terms: tuple[Term, ...]) -> str:
        return f"({word.join(map(self.condition, terms))})" if terms else ""

    def _predicate(self, term: Comparison | Between | In | TextTest | Exists) -> str:
        path = term.path
        if path == KEY:
            return self._test_of_key(term)
        if path in SPECIAL:
            return self._test(term, "o.sequence" if path == SEQUENCE else "o.time_ms")
        if not path.plural:
            return self._test(term, self._at(path.parts))
        first = path.parts.index(EACH)
        member = self._variable()
        rest = self._value(path.parts[first + 1 :])
        array = self._at(path.parts[:first])
        return f"any_of(lambda {member}: {self._test(term, member)}, members({array}, {rest}))"

    def _at(self, parts: tuple[Part, ...]) -> str:
        """The value at the end of some names, or M."""
        fields, value = self._fields, "d"
        for at, name in enumerate(parts):
            if fields is None:
                return f"dig({value}, {self._value(parts[at:])})"
            assert name is not EACH
            if at:
                owner, struct = self._variable(), self._value(struct_of(fields))
                value = f"({owner}.{fields.attribute(name)} if type({owner} := {value}) is {struct} else M)"
            else:
                value = f"d.{fields.attribute(name)}"
            fields = fields.inside(name)
        return value

    def _value(self, value: Any) -> str:
        name = f"c{len(self.values)}"
        self.values[name] = value
        return name

    def _variable(self) -> str:
        self._used += 1
        return f"x{self._used}"

    # One value, of which the source is given.

    def _test(self, term: Comparison | Between | In | TextTest | Exists, value: str) -> str:
        match term:
            case Comparison(_, operator, right):
                return self._comparison(operator, right, value)
            case Between(_, low, high):
                left = self._variable()
                first = self._comparison(">=", low, f"({left} := {value})")
                return f"({first} and {self._comparison('<=', high, left)})"
            case In(_, values):
                assert isinstance(values, tuple), "parameters are bound"
                scalars = frozenset(item for item in values if item is not None and type(item) is not bool)
                kinds = ", ".join(str(any(item is one for item in values)) for one in (None, True, False))
                return f"is_in({value}, {self._value(scalars)}, {kinds})"
            case TextTest(_, operator, text):
                left = self._variable()
                return f"(type({left} := {value}) is str and {self._text_test(operator, text, left)})"
        return f"({value} is not M)"

    def _text_test(self, operator: str, text: Any, value: str) -> str:
        if operator == "matches":
            return f"{self._value(Pattern(text).search)}({value})"
        return f"{value}.{_METHODS[operator]}({self._value(text)})"

    def _comparison(self, operator: str, right: Value, value: str) -> str:
        if right is None or type(right) is bool:
            return self._constant_comparison(operator, right, value)
        left, constant = self._variable(), self._value(right)
        python = "==" if operator == "=" else operator
        if python not in ("==", "!="):
            kind = "is str" if isinstance(right, str) else "in NUMBERS"
            return f"(type({left} := {value}) {kind} and {left} {python} {constant})"
        is_like_bool = right in (0, 1)
        if python == "==":
            return (
                f"(type({left} := {value}) in NUMBERS and {left} == {constant})"
                if is_like_bool
                else f"({value} == {constant})"
            )
        differs = f"({left} != {constant} or type({left}) is bool)" if is_like_bool else f"{left} != {constant}"
        return f"(({left} := {value}) is not M and {differs})"

    def _constant_comparison(self, operator: str, right: Value, value: str) -> str:
        """With null, true or false, of which there is one object each."""
        left = self._variable()
        if operator == "=" or (right is None and operator in ("<=", ">=")):
            return f"({value} is {right})"
        if operator == "!=":
            return f"(({left} := {value}) is not M and {left} is not {right})"
        return "False" if right is None else f"(type({left} := {value}) is bool and {left} {operator} {right})"

    # The key, which is compared as bytes: their order is that of the text, and keys need not be text.

    def _test_of_key(self, term: Comparison | Between | In | TextTest | Exists) -> str:
        match term:
            case Comparison(_, operator, right):
                return self._comparison_of_key(operator, right)
            case Between(_, low, high):
                return f"({self._comparison_of_key('>=', low)} and {self._comparison_of_key('<=', high)})"
            case In(_, values):
                assert isinstance(values, tuple), "parameters are bound"
                keys = frozenset(item.encode() for item in values if isinstance(item, str))
                return f"(o.key in {self._value(keys)})"
            case TextTest(_, "matches", text):
                return self._text_test("matches", text, "o.key.decode(errors='replace')")
            case TextTest(_, operator, str() as text):
                return f"o.key.{_METHODS[operator]}({self._value(text.encode())})"
        return "True"

    def _comparison_of_key(self, operator: str, right: Value) -> str:
        if not isinstance(right, str):
            return str(operator == "!=")
        python = "==" if operator == "=" else operator
        return f"(o.key {python} {self._value(right.encode())})"
