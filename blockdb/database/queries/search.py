"""Running a query: from a plan to the documents, as of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Final, NamedTuple

import msgspec

from blockdb.database.queries.giving_up import insist_on_being_wanted
from blockdb.database.queries.moment import Moment, Origin
from blockdb.documents.document import Document
from blockdb.errors import InvalidData
from blockdb.format.index import place_bytes
from blockdb.format.ordered import Bound, encode_all, span, text_span
from blockdb.lsm.index_view import IndexView
from blockdb.query.access import Index, IndexRanges, KeyRange, KeyRanges, Source
from blockdb.query.constraints import ValueRange
from blockdb.query.evaluation import Compiled, compiled
from blockdb.query.plan import Plan
from blockdb.query.text import order_text
from blockdb.query.tree import ALL
from blockdb.storage.chain import Chain
from blockdb.storage.columns import LAST_WINDOW, Columns, at_places, backward, forward
from blockdb.storage.view import Range, View
from blockdb.types import REDACTED

MAX_SORT_BYTES: Final = 256 * 1024 * 1024
"""What a sort in memory may take."""

ENTRY_BYTES: Final = 150
"""About what one document takes in a sort besides its sort key."""

SMALL_LIMIT: Final = 10_000
"""With a limit up to this, no more documents than that are kept while they are sorted."""

SPARE: Final = 1_000
"""So many more are kept, and twice as many as are wanted, before the worst of them are let go."""

NO_DOCUMENT: Final = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""What decoding raises for a value that is no JSON object."""

decode_whole: Final[Callable[[bytes], dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any]).decode

_ByteRange = tuple[bytes, bytes | None]
Keyer = Callable[[Mapping[str, Any]], list[bytes]]
Project = Callable[[dict[str, Any]], dict[str, Any]]


class SearchedIndex(NamedTuple):
    """An index as it was at the call."""

    view: IndexView
    keyer: Keyer
    """The values of a document as its entries have them."""


class Hit(NamedTuple):
    """A record for which the filter is true."""

    place: int
    key: bytes
    value: bytes
    sequence: int | None = None


@dataclass
class Tally:
    """What a search went through."""

    touched: int = 0
    left_out: int = 0
    redacted: int = 0

    def leave_out(self, value: bytes) -> None:
        """Count a value that is no document."""
        if value is REDACTED:
            self.redacted += 1
        else:
            self.left_out += 1


def whole(value: bytes, tally: Tally) -> dict[str, Any] | None:
    """The document that a value is, or None where it is none after all, which is counted."""
    try:
        return decode_whole(value)
    except NO_DOCUMENT:
        tally.leave_out(value)
        return None


def documents_of(
    moment: Moment, hits: Iterable[Hit], tally: Tally, project: Project | None
) -> Iterator[tuple[int, Document]]:
    """The documents of records, each with the place of its record."""
    for hit in hits:
        value = whole(hit.value, tally)
        if value is not None:
            shown = value if project is None else project(value)
            yield hit.place, Document(hit.key, shown, partial(moment.details, hit.place, hit.sequence))


def looked_up(moment: Moment, places: Iterable[int], project: Project | None) -> Iterator[tuple[int, Document]]:
    """The documents of the records at these places, in commit order, as far as the moment has them."""
    low, high = moment.low.place, moment.high.place
    parts = at_places(moment.chain, [place for place in places if low <= place < high])
    hits = (map(Hit, part.places, part.keys, part.values) for part in parts)
    return documents_of(moment, chain.from_iterable(hits), Tally(), project)


@dataclass
class Search:
    """A plan that is run at a moment. For one thread."""

    moment: Moment
    plan: Plan
    indexes: Mapping[str, SearchedIndex]
    is_checked: bool = False
    """Whether all values are known to be documents, since the collection refuses others."""
    after: int | None = None
    """The place of the record behind which, in the order, the answer begins."""
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        plan = self.plan
        self._low, self._high = self.moment.borders(plan.window)
        is_streamed = plan.is_sorted or plan.by_commit
        self._ready: Compiled = compiled(plan.residual, () if is_streamed else plan.order)
        if self.after is not None and plan.by_commit:
            if plan.reverse:
                self._high = min(self._high, self.moment.before(self.after))
            else:
                self._low = max(self._low, self.moment.after(self.after))

    # Answers.

    def documents(self, limit: int | None, project: Project | None = None) -> Iterator[tuple[int, Document]]:
        """The documents in order, each with the place of its record; `limit` is the most that will be asked for.

        Raises InvalidData where a sort takes more memory than it may, and Corruption.
        """
        return documents_of(self.moment, self._in_order(limit), self.tally, project)

    def count(self) -> int:
        """How many documents there are."""
        entries = self._count_of_entries()
        if entries is not None:
            return entries
        is_document = self._is_document
        return sum(is_document(columns.values[at]) for columns in self._unordered() for at, _ in self._fitting(columns))

    def _count_of_entries(self) -> int | None:
        """The same from the size of an index's ranges, where they say it all."""
        plan = self.plan
        (source,) = plan.sources if len(plan.sources) == 1 else (None,)
        is_whole = self.moment.is_now and not self._low.place and self._high == self.moment.high
        if not is_whole or plan.residual != ALL or not isinstance(source, IndexRanges) or source.index.plural:
            return None
        return entries_of(self.moment, self.indexes, source)

    def _is_document(self, value: bytes) -> bool:
        """Whether the value is a document as a whole: a filter looks at parts of it."""
        if not self.is_checked or value is REDACTED:
            return whole(value, self.tally) is not None
        return True

    # Records for which the filter is true.

    def _in_order(self, limit: int | None) -> Iterator[Hit]:
        if self.plan.is_sorted:
            return chain.from_iterable(map(self._hits, self._sorted_columns()))
        if self.plan.by_commit:
            return chain.from_iterable(map(self._hits, self._by_place(self.plan.reverse)))
        return self._sorted(limit)

    def _unordered(self) -> Iterator[Columns]:
        if self.plan.sources:
            return self._by_place()
        return forward(self._chain, self.moment.history, self._low, self._high)

    def _by_place(self, reverse: bool = False) -> Iterator[Columns]:
        """The records of all sources in commit order. Their places are in memory, 8 bytes each or some times that."""
        places = {place for source in self.plan.sources for place in self._places(source)}
        seen = [place for place in places if self._low.place <= place < self._high.place]
        seen.sort(reverse=reverse)
        return at_places(self._chain, seen)

    def _hits(self, columns: Columns) -> Iterable[Hit]:
        keys, values, places, first = columns
        fitting = self._fitting(columns)
        return [Hit(places[at], keys[at], values[at], None if first is None else first + at) for at, _ in fitting]

    def _fitting(self, columns: Columns) -> Iterable[tuple[int, Any]]:
        """Which of some records fit, and what the filter takes of their documents."""
        insist_on_being_wanted()
        ready, values = self._ready, columns.values
        self.tally.touched += len(values)
        if ready.special:
            return self._fitting_one_by_one(columns)
        if not ready.needs_value:
            return enumerate(repeat(None, len(values)))
        try:
            test = ready.test
            return [(at, document) for at, document in enumerate(map(ready.decode, values)) if test(document, None)]
        except NO_DOCUMENT:
            return self._fitting_one_by_one(columns)

    def _fitting_one_by_one(self, columns: Columns) -> Iterator[tuple[int, Any]]:
        ready, (keys, values, places, first) = self._ready, columns
        for at, (key, value, place) in enumerate(zip(keys, values, places, strict=True)):
            try:
                document = ready.decode(value) if ready.needs_value else None
            except NO_DOCUMENT:
                self.tally.leave_out(value)
                continue
            if ready.test(document, Origin(self.moment, key, place, None if first is None else first + at)):
                yield at, document

    # Sorted in memory.

    def _sorted(self, limit: int | None) -> Iterator[Hit]:
        """All of them by their sort keys, of which only some more are kept than are wanted, if that is few."""
        keyed = self._keyed()
        best = sorted(self._within_memory(keyed)) if limit is None or limit > SMALL_LIMIT else self._best(keyed, limit)
        for columns in at_places(self._chain, [place for _, place in best]):
            yield from map(Hit, columns.places, columns.keys, columns.values)

    def _best(self, keyed: Iterable[tuple[bytes, int, bytes]], limit: int) -> list[tuple[bytes, int]]:
        best: list[tuple[bytes, int]] = []
        worst: bytes | None = None
        for key, place, value in keyed if limit else ():
            if (worst is None or key < worst) and self._is_document(value):
                best.append((key, place))
                if len(best) > 2 * limit + SPARE:
                    best.sort()
                    del best[limit:]
                    worst = best[-1][0]
        return sorted(best)[:limit]

    def _within_memory(self, keyed: Iterable[tuple[bytes, int, bytes]]) -> Iterator[tuple[bytes, int]]:
        taken = 0
        for key, place, value in keyed:
            if not self._is_document(value):
                continue
            taken += len(key) + ENTRY_BYTES
            if taken > MAX_SORT_BYTES:
                raise InvalidData(
                    f"Sorting by {order_text(self.plan.order[:-1])} would take more than {MAX_SORT_BYTES >> 20} MB of "
                    f"memory. Set a limit of up to {SMALL_LIMIT:,}, or make an index of these fields."
                )
            yield key, place

    def _keyed(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Sort keys, places and values of what fits, behind the record where the answer begins."""
        sort_key, origin = self._ready.sort_key, Origin(self.moment, b"", 0, None)
        edge = b"" if self.after is None else self._sort_key_at(self.after)
        for columns in self._unordered():
            keys, values, places, _ = columns
            for at, document in self._fitting(columns):
                origin.key, origin.place = keys[at], places[at]
                key = sort_key(document, origin)
                if key > edge:
                    yield key, origin.place, values[at]

    def _sort_key_at(self, place: int) -> bytes:
        key, value = self._item_at(place)
        document = self._ready.decode(value) if self._ready.needs_value else None
        return self._ready.sort_key(document, Origin(self.moment, key, place, None))

    # Sources.

    @property
    def _chain(self) -> Chain:
        return self.moment.chain

    def _places(self, source: Source) -> Iterable[int]:
        """The places of all records that a source has, in any order, perhaps some twice."""
        if isinstance(source, KeyRanges):
            return chain.from_iterable(map(self._places_of_keys, source.ranges))
        view = self.indexes[source.index.name].view
        return chain.from_iterable(self._places_of_range(view, range_, source) for range_ in source.ranges)

    def _places_of_keys(self, range_: KeyRange) -> Iterable[int]:
        view = self.moment.view
        if range_.is_one_key:
            found = view.find(range_.start)
            return () if found is None else found[:1]
        return view.places(Range(range_.start, range_.stop), self._low, self._high)

    def _places_of_range(self, view: IndexView, range_: ValueRange, source: IndexRanges) -> Iterable[int]:
        if len(range_.equal) == len(source.index.fields):
            return view.places(encode_all(range_.equal), self._high.place)
        start, stop = _span(range_)
        return [place for _, place in view.scan(start, stop, self._high.place)] if start < stop else ()

    def _sorted_columns(self) -> Iterator[Columns]:
        """The records of the source in its order, which is the one asked for."""
        if not self.plan.sources:
            walk = backward if self.plan.reverse else forward
            return walk(self._chain, self.moment.history, self._low, self._high)
        (source,) = self.plan.sources
        if isinstance(source, KeyRanges):
            return self._by_key(source)
        return at_places(self._chain, self._places_in_order(source))

    def _by_key(self, source: KeyRanges) -> Iterator[Columns]:
        view, reverse = self.moment.view, self.plan.reverse
        edge = None if self.after is None else self._chain.item_at(self.after)[0]
        for start, stop in self._behind([(range_.start, range_.stop) for range_ in source.ranges], edge):
            items = view.scan(Range(start, stop), 0, None, reverse, self._high, self._low)
            while some := list(islice(items, LAST_WINDOW)):
                keys = [key for key, _ in some]
                yield Columns(keys, [value for _, value in some], _PlacesOfKeys(view, keys))

    def _places_in_order(self, source: IndexRanges) -> Iterator[int]:
        """The places of an index's entries, each of them once."""
        view, keyer = self.indexes[source.index.name]
        spans = [(start, stop) for start, stop in map(_span, source.ranges) if start < stop]
        for start, stop in self._behind(spans, self._entry_of(self.after, spans, source.index, keyer)):
            entries = view.scan(start, stop, self._high.place, reverse=self.plan.reverse)
            seen = (place for _, place in entries if place >= self._low.place)
            yield from _distinct(seen) if source.index.plural else seen

    def _entry_of(
        self, place: int | None, spans: Sequence[tuple[bytes, bytes]], index: Index, keyer: Keyer
    ) -> bytes | None:
        """The entry of a record in these ranges of an index. Raises InvalidData if the record was redacted."""
        if place is None:
            return None
        document = decode_whole(self._item_at(place)[1])
        suffix = b"" if index.unique else place_bytes(place)
        entries = [values + suffix for values in keyer(document)]
        return next(entry for entry in entries if any(start <= entry < stop for start, stop in spans))

    def _item_at(self, place: int) -> tuple[bytes, bytes]:
        key, value = self._chain.item_at(place)
        if value is REDACTED:
            raise InvalidData("The document at which this cursor stands was redacted: begin again without the cursor.")
        return key, value

    def _behind(self, ranges: Sequence[tuple[bytes, bytes | None]], edge: bytes | None) -> Iterator[_ByteRange]:
        """What of some ranges, in order, lies behind an edge in the direction of the plan."""
        for start, stop in reversed(ranges) if self.plan.reverse else ranges:
            if edge is None:
                yield start, stop
            elif self.plan.reverse:
                if start < edge:
                    yield start, edge if stop is None else min(stop, edge)
            elif stop is None or edge < stop:
                yield max(start, edge + b"\0"), stop


class _PlacesOfKeys(Sequence[int]):
    """The places of the records of some keys, looked up one by one: most are never asked for."""

    def __init__(self, view: View, keys: Sequence[bytes]) -> None:
        self._view = view
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, at: Any) -> Any:
        found = self._view.find(self._keys[at])
        assert found is not None, "the view has the keys that it gave"
        return found[0]


def entries_of(moment: Moment, indexes: Mapping[str, SearchedIndex], source: Source) -> int:
    """How many entries a source has, or keys. O(ranges · log n)."""
    if isinstance(source, KeyRanges):
        ranges = [Range(range_.start, range_.stop) for range_ in source.ranges]
        return sum(moment.view.count(range_) for range_ in ranges)
    view = indexes[source.index.name].view
    return sum(view.count(*_span(range_)) for range_ in source.ranges)


def _distinct(places: Iterable[int]) -> Iterator[int]:
    seen: set[int] = set()
    for place in places:
        if place not in seen:
            seen.add(place)
            yield place


def _span(range_: ValueRange) -> tuple[bytes, bytes]:
    """The bytes of a range of an index; the first ones are not below the second ones where it is empty."""
    if range_.beginning is not None:
        return text_span(range_.equal, range_.beginning)
    low, high = (None if bound is None else Bound(*bound) for bound in (range_.low, range_.high))
    return span(range_.equal, low, high)
