"""What several partitions give, as one: asked side by side, merged in order, and closed when it is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeVar

__all__ = ["cut", "each", "flows", "merged"]

THREADS: Final = 32
"""So many partitions are asked at the same time, by all who ask."""

T = TypeVar("T")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "blockdb-partitions")


def each(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What all calls give, made side by side in the context of the caller.

    All have ended when this returns; then the error of the first that failed is raised.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    waiting = [_threads().submit(copy_context().run, call) for call in calls[1:]]
    try:
        found = [calls[0]()]
    finally:
        for one in waiting:
            one.exception()
    return found + [one.result() for one in waiting]


def flows(opens: Sequence[Callable[[], Iterable[T]]]) -> list[Iterator[T]]:
    """Iterators that are opened side by side, the first item of each there already: they are of this moment."""
    return each([partial(_begun, open_) for open_ in opens])


def _begun(open_: Callable[[], Iterable[T]]) -> Iterator[T]:
    source = iter(open_())
    return _continued(list(islice(source, 1)), source)


def _continued(first: list[T], source: Iterator[T]) -> Iterator[T]:
    try:
        yield from first
        yield from source
    finally:
        _close(source)


def merged(sources: Sequence[Iterator[T]], key: Callable[[T], Any], *, reverse: bool = False) -> Iterator[T]:
    """The items of sources that are each in the order of `key` (or against it), in that order, as they are asked for.

    O(log sources) for each item.
    """
    try:
        yield from merge(*sources, key=key, reverse=reverse)
    finally:
        for source in sources:
            _close(source)


def cut(source: Iterator[T], offset: int, limit: int | None) -> Iterator[T]:
    """So many of the items behind the first ones; what is behind them is closed as soon as nobody needs it."""
    try:
        yield from islice(source, offset, None if limit is None else offset + limit)
    finally:
        _close(source)


def _close(source: Iterator[Any]) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()
