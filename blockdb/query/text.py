"""From trees back to text: one canonical form, which the parser reads as the same tree."""

from __future__ import annotations

from blockdb.documents.paths import EACH, Path
from blockdb.query.lexer import KEYWORDS
from blockdb.query.tree import (
    And,
    Between,
    Comparison,
    Exists,
    In,
    Not,
    Or,
    OrderTerm,
    Parameter,
    Term,
    TextTest,
    Value,
)

__all__ = ["filter_text", "order_text", "path_text", "value_text"]


def filter_text(term: Term) -> str:
    """A filter, with as few parentheses as it takes. Empty for `ALL`."""
    match term:
        case Or(terms):
            return " or ".join(map(filter_text, terms))
        case And(terms):
            return " and ".join(_within(part, Or) for part in terms)
        case Not(Exists(_) | Not(_) as inner):
            return f"not {filter_text(inner)}"
        case Not(inner):
            tail = _tail(inner)
            if tail is not None and not (isinstance(inner, Comparison) and tail[1][0] in "=!<>"):
                return f"{tail[0]} not {tail[1]}"
            return f"not {_within(inner, And, Or)}"
        case Exists(path):
            return f"exists {path_text(path)}"
    tail = _tail(term)
    assert tail is not None
    return " ".join(tail)


def order_text(order: tuple[OrderTerm, ...]) -> str:
    """An order, as `age desc, name`."""
    return ", ".join(f"{_unlike(step.path, 'asc', 'desc')}{' desc' * step.descending}" for step in order)


def path_text(path: Path) -> str:
    """A path as it stands in a filter: a keyword in double quotes."""
    return _unlike(path, *KEYWORDS)


def value_text(value: Value) -> str:
    """A value as it stands in a filter."""
    match value:
        case Parameter(name):
            return f":{name}"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
    return repr(value)


def _tail(term: Term) -> tuple[str, str] | None:
    """A predicate as its path and the rest; None for what is not of that form."""
    match term:
        case Comparison(Path(parts), "=", value) if parts[-1] is EACH:
            return path_text(Path(parts[:-1])), f"contains {value_text(value)}"
        case Comparison(path, operator, value):
            return path_text(path), f"{operator} {value_text(value)}"
        case Between(path, low, high):
            return path_text(path), f"between {value_text(low)} and {value_text(high)}"
        case In(path, Parameter() as values):
            return path_text(path), f"in {value_text(values)}"
        case In(path, tuple() as values):
            return path_text(path), f"in ({', '.join(map(value_text, values))})"
        case TextTest(path, operator, text):
            return path_text(path), f"{operator} {value_text(text)}"
    return None


def _within(term: Term, *looser: type[And] | type[Or]) -> str:
    text = filter_text(term)
    return f"({text})" if isinstance(term, looser) else text


def _unlike(path: Path, *words: str) -> str:
    text = str(path)
    return f'"{text}"' if text.lower() in words else text
