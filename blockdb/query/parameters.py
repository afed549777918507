"""Parameters: values that are given when a filter is run, put into its tree."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from blockdb.documents.patterns import Pattern
from blockdb.errors import InvalidData, QueryError
from blockdb.query.lexer import near
from blockdb.query.tree import KEY, And, Between, Comparison, In, Not, Or, Parameter, Scalar, Term, TextTest, Value

__all__ = ["bind"]

MAX_LIST: Final = 100_000
"""So many values one parameter of `in` may have."""


def bind(term: Term, parameters: Mapping[str, Any] | None, text: str = "") -> Term:
    """The tree with values in the place of parameters; `text` is the filter, for errors to point at.

    A value is text, a number, True, False or None; a datetime becomes RFC 3339 text and bytes become base64, as in a
    document (for `_key`, bytes are the key). For `in`, it is a list, tuple or set of values. Raises QueryError for what
    is missing or does not fit, InvalidData for what the filter does not name.
    """
    given = {} if parameters is None else dict(parameters)
    used: set[str] = set()
    bound = _Binder(given, used, text).bind(term)
    if unused := [name for name in given if name not in used]:
        hint = near(str(unused[0]), used)
        raise InvalidData(f"The filter has no parameter `:{unused[0]}`{hint or '.'}")
    return bound


class _Binder:
    def __init__(self, given: dict[str, Any], used: set[str], text: str) -> None:
        self._given = given
        self._used = used
        self._text = text

    def bind(self, term: Term) -> Term:
        match term:
            case And(terms):
                return And(tuple(map(self.bind, terms)))
            case Or(terms):
                return Or(tuple(map(self.bind, terms)))
            case Not(inner):
                return Not(self.bind(inner))
            case Comparison(path, operator, value):
                return Comparison(path, operator, self._scalar(value, path == KEY))
            case Between(path, low, high):
                return Between(path, self._scalar(low, path == KEY), self._scalar(high, path == KEY))
            case In(path, values):
                return In(path, self._several(values, path == KEY))
            case TextTest(path, operator, Parameter() as parameter):
                return TextTest(path, operator, self._text_of(parameter, operator, path == KEY))
        return term

    def _scalar(self, value: Value, is_key: bool) -> Value:
        return self._value(value, self._of(value), is_key) if isinstance(value, Parameter) else value

    def _several(self, values: tuple[Value, ...] | Parameter, is_key: bool) -> tuple[Value, ...]:
        if not isinstance(values, Parameter):
            return tuple(self._scalar(value, is_key) for value in values)
        given = self._of(values)
        if not isinstance(given, (list, tuple, set, frozenset)):
            raise self._unfit(values, f"is {type(given).__name__}, and `in` takes a list, tuple or set of values")
        if len(given) > MAX_LIST:
            raise self._unfit(values, f"has {len(given):,} values, {MAX_LIST:,} are the limit")
        return tuple(self._value(values, value, is_key) for value in given)

    def _text_of(self, parameter: Parameter, operator: str, is_key: bool) -> str:
        value = self._value(parameter, self._of(parameter), is_key)
        if not isinstance(value, str):
            raise self._unfit(parameter, f"is {type(value).__name__}, and `{operator}` takes text")
        if operator == "matches":
            try:
                Pattern(value)
            except InvalidData as error:
                raise self._unfit(parameter, f"is no pattern: {error}") from None
        return value

    def _of(self, parameter: Parameter) -> Any:
        self._used.add(parameter.name)
        try:
            return self._given[parameter.name]
        except KeyError:
            hint = near(parameter.name, [str(name) for name in self._given])
            raise self._unfit(parameter, f"has no value{hint.rstrip('?')}") from None

    def _value(self, parameter: Parameter, value: Any, is_key: bool) -> Scalar:
        found = _plain(value, is_key)
        if found is _UNFIT:
            raise self._unfit(parameter, f"is {_kind(value)}; it has to be text, a number, True, False or None")
        return found  # type: ignore[no-any-return]

    def _unfit(self, parameter: Parameter, what: str) -> QueryError:
        return QueryError(self._text, parameter.position, f"The parameter `:{parameter.name}` {what.rstrip('.')}.")


_UNFIT: Final = object()


def _plain(value: Any, is_key: bool) -> Any:
    """The value as a document would have it, or `_UNFIT`."""
    if value is None or isinstance(value, (bool, int)):
        return value if value is None or isinstance(value, bool) else int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else _UNFIT
    if isinstance(value, (bytes, bytearray)):
        return _key_text(bytes(value)) if is_key else b64encode(value).decode()
    if isinstance(value, datetime):
        return _moment(value)
    return str(value) if isinstance(value, str) and _is_whole(value) else _UNFIT


def _key_text(key: bytes) -> Any:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return _UNFIT


def _moment(value: datetime) -> Any:
    if value.tzinfo is None:
        return _UNFIT
    text = value.isoformat()
    return text.replace("+00:00", "Z") if value.utcoffset() == UTC.utcoffset(None) else text


def _is_whole(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _kind(value: Any) -> str:
    if isinstance(value, float):
        return f"{value}, which no document has"
    if isinstance(value, datetime):
        return "a datetime without a zone"
    if isinstance(value, (bytes, bytearray)):
        return "a key that is not UTF-8, which `get` finds and no filter"
    if isinstance(value, str):
        return "text with half a character in it"
    return type(value).__name__
