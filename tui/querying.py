"""Queries as they are typed and run: what is wrong with one and where, how it is answered, and what it finds.

All of it waits for the disk, so it is called off the event loop. A search keeps the keys that it found, so many and no
more, and looks through a collection without an index a stretch at a time, so that it can be told to stop.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import blockdb
from blockdb.commands.display import human_count, human_duration, plural, printable

from .listing import Row, row_of

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf, Document
    from blockdb.commands.standing import Standing

__all__ = ["MOST_FOUND", "Found", "Mistake", "Plan", "Query", "Search", "plan_of"]

MOST_FOUND = 10_000
STRETCH_RECORDS = 20_000
ALL_RECORDS = "all records"
TOLD_WITHIN_S = 2.0
"""A search that took longer is not run again to count what it touched."""

_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^']|'')*'?|\"(?:[^\"\\]|\\.)*\"?")


@dataclass(frozen=True)
class Query:
    """A filter, and perhaps an order: `age >= 30 order by age desc`; `order_at` is where the order begins."""

    where: str
    order: str = ""
    order_at: int = 0

    @classmethod
    def of(cls, asked: Query | str) -> Query:
        """A query, or what a text asks for."""
        return cls.parse(asked) if isinstance(asked, str) else asked

    @classmethod
    def parse(cls, text: str) -> Query:
        """What a text asks for. `order by` in quotes is text like any other."""
        bare = _TEXT.sub(lambda match: " " * len(match[0]), text)
        found = _ORDER_BY.search(bare)
        if found is None:
            return cls(text)
        order = text[found.end() :]
        return cls(text[: found.start()], order.strip() or ",", found.end() + len(order) - len(order.lstrip()))


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a text, and at which character."""

    position: int
    what: str


@dataclass(frozen=True)
class Plan:
    """How a query is answered, in words that are fit to be shown."""

    access: str
    words: str


def plan_of(collection: AnyCollection, asked: Query | str, as_of: AsOf | None = None) -> Plan | Mistake:
    """How a query will be answered, without running it, or what is wrong with it. Raises BlockDBError."""
    query = Query.of(asked)
    try:
        told = collection.explain(query.where, order=query.order, limit=0, as_of=as_of)
    except blockdb.QueryError as error:
        at = query.order_at if error.text == query.order and query.order else 0
        return Mistake(at + error.position, printable(error.what))
    words = [printable(told.access)]
    if told.estimated is not None:
        words.append(f"about {plural(told.estimated, 'entry').replace('entrys', 'entries')}")
    if query.order:
        words.append(printable(told.sort))
    return Plan(told.access, " · ".join([*words, *map(printable, told.notes)]))


class Search:
    """One query, run by a thread of its own from `start` on until all is found, or as many as are kept, or `stop`.

    It finds what is there now, or, with `then`, what was there at that moment.
    """

    def __init__(
        self,
        collection: AnyCollection,
        asked: Query | str,
        plan: Plan,
        then: Standing | None = None,
        *,
        most: int | None = None,
        fields: str = "",
        take: Callable[[Document], None] | None = None,
    ) -> None:
        """It keeps `most` keys (None: `MOST_FOUND`). `take` is called in its thread with each document.

        Those have the `fields` that are named, or all of them.
        """
        self.plan = plan
        self._most, self._take = MOST_FOUND if most is None else most, take
        self._shape: dict[str, Any] = {"fields": fields} if fields else {}
        self.keys: list[bytes] = []
        self.searched = self.total = 0
        """How many records were looked through, of how many; zeros where an index tells."""
        self.done = False
        self.trouble: Exception | None = None
        self.told = ""
        """What it took, once that is known."""
        self.as_of = None if then is None else then.as_of
        self._then = then
        self._collection = collection
        self._query = Query.of(asked)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="explorer-search", daemon=True)

    def start(self) -> None:
        """Begins to search."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the search with what was found; from any thread, and waits for nothing."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it was ended before all was found."""
        return self._stopped.is_set()

    @property
    def is_full(self) -> bool:
        """Whether as many were found as are kept."""
        return len(self.keys) >= self._most

    def progress(self) -> str:
        """How far it is, and what came of it, in words that are fit to be shown."""
        if self.trouble is not None:
            return printable(f"{type(self.trouble).__name__}: {self.trouble}")
        found = f"{'the first ' if self.is_full else ''}{human_count(len(self.keys))} found"
        if self.done:
            return f"{found} · {self.told or self.plan.words}{' · stopped' if self.stopped else ''}"
        far = f" in {human_count(self.searched)} of {human_count(self.total)}" if self.total else ""
        return f"◐ {found}{far} · Esc stops"

    # ── the thread ──

    def _run(self) -> None:
        try:
            for document in self._documents():
                if self._take is not None:
                    self._take(document)
                self.keys.append(document.key)
                if self.is_full or self._stopped.is_set():
                    break
            self._tell()
        except (blockdb.BlockDBError, OSError) as error:
            self.trouble = error
        finally:
            self.done = True

    def _documents(self) -> Iterator[Any]:
        collection, query = self._collection, self._query
        if self.plan.access != ALL_RECORDS or query.order:
            yield from collection.find(
                query.where, order=query.order, limit=self._most, as_of=self.as_of, **self._shape
            )
            return
        self.total = collection.next_sequence if self._then is None else self._then.next_sequence
        while self.searched < self.total and not self._stopped.is_set():
            end = min(self.searched + STRETCH_RECORDS, self.total)
            stretch = _stretch(query.where, self.searched, end)
            yield from collection.find(stretch, as_of=self.as_of, **self._shape)
            self.searched = end

    def _tell(self) -> None:
        """Finds out what the query touches. It is run once more for that, so only if it was quick."""
        if self._stopped.is_set() or self.is_full or self.total > STRETCH_RECORDS:
            return
        query = self._query
        told = self._collection.explain(query.where, order=query.order, limit=self._most, as_of=self.as_of)
        took = human_duration(told.elapsed_ms / 1000)
        self.told = f"{printable(told.access)} · {plural(told.touched, 'record')} touched · {took}"


def _stretch(where: str, first: int, end: int) -> str:
    window = f"_sequence >= {first} and _sequence < {end}"
    return f"({where}) and {window}" if where.strip() else window


class Found:
    """The documents that a search has found so far, in its order, as a table lists them."""

    def __init__(self, collection: AnyCollection, search: Search) -> None:
        self.search = search
        self._collection = collection

    def count(self) -> int:
        return len(self.search.keys)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[Row]:
        keys, as_of = self.search.keys[first : min(first + limit, count)], self.search.as_of
        return [row_of(self._collection, key, as_of) for key in keys]

    def locate(self, row: Row, count: int) -> int:
        return self.position(row.key)

    def position(self, key: bytes) -> int:
        """Where a key stands; 0 where it was not found."""
        try:
            return self.search.keys.index(key)
        except ValueError:
            return 0
