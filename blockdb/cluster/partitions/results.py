"""The documents of a query over several partitions, in its order, and where the next page begins in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, Protocol

import msgspec

from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.spreading import Spreading
from blockdb.database.queries.results import Results
from blockdb.documents.document import Document
from blockdb.errors import InvalidData
from blockdb.interface import AnyResults
from blockdb.query.evaluation import order_key
from blockdb.query.parser import parse_fields, parse_order
from blockdb.query.projection import projection
from blockdb.query.tree import SPECIAL, OrderTerm
from blockdb.wire.cursors import place_of, token_of, told_by

__all__ = ["Ask", "MergedResults", "Page", "Standing", "fields_for", "standing_of"]


class Ask(Protocol):
    """A query to one partition: behind a cursor of its database, so many documents, with what of each."""

    def __call__(self, after: str | None, limit: int | None, fields: Iterable[str] | None) -> AnyResults:
        """Ask it. Raises as `find`."""


class Standing(msgspec.Struct, array_like=True):
    """What a cursor says: as of which record each partition is read, and the cursor in it, if anything was taken."""

    horizons: tuple[int, ...]
    behind: tuple[str | None, ...]


def standing_of(cursor: str, partitions: int) -> Standing:
    """What a cursor says. Raises InvalidData."""
    found = told_by(cursor, Standing)
    if len(found.horizons) != partitions or len(found.behind) != partitions or min(found.horizons) < -1:
        raise InvalidData("This is no cursor of this query: `after` takes one of the same collection, as it was given.")
    return found


class Page(NamedTuple):
    """The order of a query, and how much of its answer is wanted."""

    order: str
    fields: str | Iterable[str] | None
    offset: int
    limit: int | None

    @property
    def wanted(self) -> int | None:
        """How many documents of one partition may be needed."""
        return None if self.limit is None else self.offset + self.limit


def fields_for(page: Page) -> list[str] | None:
    """What partitions are asked for: the fields, and what it takes to order by. Raises QueryError."""
    if page.fields is None:
        return None
    steps = parse_order(page.order) if page.order else ()
    paths = [*parse_fields(page.fields), *(step.path for step in steps if step.path not in SPECIAL)]
    return list(dict.fromkeys(map(str, paths)))


class MergedResults(Results):
    """See `blockdb.Results`. Documents of equal rank come in the order of their sequence numbers."""

    def __init__(self, asks: dict[int, Ask], start: Standing, page: Page, spreading: Spreading) -> None:
        """`asks` has the partitions that have anything. All are asked when this returns. Raises as `find`."""
        steps = parse_order(page.order) if page.order else ()
        ranking = _Ranking(steps)
        self._start = start
        self._project = None if page.fields is None else projection(parse_fields(page.fields))
        self._readings = [_Reading(number, ask, start, page, ranking, spreading) for number, ask in asks.items()]
        each([reading.advance for reading in self._readings])
        self._heap = [reading for reading in self._readings if reading.head is not None]
        heapify(self._heap)
        self._current: _Reading | None = None
        self._left = page.limit
        for _ in range(page.offset):
            if self._next() is None:
                break

    def __next__(self) -> Document:
        found = None if self._left == 0 else self._next()
        if found is None:
            if self._left != 0:
                self._current = None
            raise StopIteration
        if self._left is not None:
            self._left -= 1
        if self._project is None:
            return found
        return Document(found.key, self._project(found.value), lambda: found.details)

    def _next(self) -> Document | None:
        """The next one; that of the partition of the last one is fetched only now, so that its cursor stands there."""
        current = self._current
        if current is not None:
            current.advance()
            if current.head is not None:
                heappush(self._heap, current)
        if not self._heap:
            self._current = None
            return None
        self._current = heappop(self._heap)
        return self._current.take()

    @property
    def cursor(self) -> str | None:
        """See `blockdb.Results.cursor`. Pages that it leads to are of the moment of the first one."""
        if self._current is None:
            return None
        behind: list[str | None] = list(self._start.behind)
        found = each([partial(reading.cursor, reading is self._current) for reading in self._readings])
        for reading, cursor in zip(self._readings, found, strict=True):
            behind[reading.partition] = cursor
        return token_of(Standing(self._start.horizons, tuple(behind)))


class _Ranking:
    """The order of a query: what is compared first, and what decides between equals."""

    def __init__(self, steps: Sequence[OrderTerm]) -> None:
        self.key: Callable[[dict[str, Any], Any], bytes] = order_key(tuple(steps))
        self.descending = bool(steps) and steps[-1].descending


class _Origin(NamedTuple):
    """What of a document its rank may take besides its value, looked up when it is asked for."""

    document: Document

    @property
    def key(self) -> bytes:
        return self.document.key

    @property
    def place(self) -> int:
        return self.document.sequence

    @property
    def time_ms(self) -> int:
        return self.document.time_ms


class _Reading:
    """One partition's part of a query, which stands at `head`. In a heap, the one whose head is next is first."""

    def __init__(
        self, partition: int, ask: Ask, start: Standing, page: Page, ranking: _Ranking, spreading: Spreading
    ) -> None:
        self.partition = partition
        self.head: Document | None = None
        self._rank = b""
        self._ask = ask
        self._begun_at = start.behind[partition]
        self._page = page
        self._ranking = ranking
        self._spreading = spreading
        self._results: AnyResults | None = None
        self._taken = 0
        self._behind: str | None = None
        """The cursor behind the last document that was taken, where it costs nothing to know it."""

    def __lt__(self, other: _Reading) -> bool:
        if self._rank != other._rank:
            return self._rank < other._rank
        if self._ranking.descending:
            return other.number < self.number
        return self.number < other.number

    @property
    def number(self) -> int:
        """The sequence number of the document at which it stands."""
        assert self.head is not None, "what is compared has one"
        return self.head.sequence

    def advance(self) -> None:
        """Fetch the next document."""
        results = self._results
        if results is None:
            results = self._results = self._ask(self._begun_at, self._page.wanted, fields_for(self._page))
        elif isinstance(results, Results):
            self._behind = results.cursor
        found = next(results, None)
        self.head = None if found is None else self._spreading.document(found, self.partition)
        if self.head is not None:
            self._rank = self._ranking.key(self.head.value, _Origin(self.head))

    def take(self) -> Document:
        """The document at which it stands."""
        assert self.head is not None, "it was in the heap"
        self._taken += 1
        return self.head

    def cursor(self, is_current: bool) -> str | None:
        """Where to go on behind what was taken, as the partition's database has it. A remote one is asked for it."""
        if not self._taken:
            return self._begun_at
        if is_current:
            assert self._results is not None, "something was taken from it"
            return _kept(self._results)
        if self._behind is not None:
            return self._behind
        again = self._ask(self._begun_at, self._taken, ["_key"])
        for _ in again:
            pass
        return _kept(again)


def _kept(results: AnyResults) -> str | None:
    """The cursor as the database has it; one that came over the network says, beside that, what it is as of."""
    cursor = results.cursor
    if cursor is None or isinstance(results, Results):
        return cursor
    return place_of(cursor).behind.decode()
