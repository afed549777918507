"""Giving up a query whose answer nobody waits for any more.

Whoever runs a query says within `while_wanted` how to ask that; the query asks between its steps, of some thousand
records at most. A query only reads, so that nothing is left half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from blockdb.errors import RequestTimeout

__all__ = ["insist_on_being_wanted", "while_wanted"]

_is_given_up: Final[ContextVar[Callable[[], bool]]] = ContextVar("is_given_up", default=bool)


@contextmanager
def while_wanted(is_given_up: Callable[[], bool]) -> Iterator[None]:
    """Have the queries of this thread, or task, end with RequestTimeout as soon as `is_given_up()`."""
    token = _is_given_up.set(is_given_up)
    try:
        yield
    finally:
        _is_given_up.reset(token)


def insist_on_being_wanted() -> None:
    """Raises RequestTimeout where nobody waits for the answer any more."""
    if _is_given_up.get()():
        raise RequestTimeout("The query was given up: nobody waits for its answer any more.")
