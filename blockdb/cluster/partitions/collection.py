"""A collection that is spread over partitions, each of them the collection of that name in a database of its own.

What is about a key goes to its partition; what is about many records is asked of all partitions and merged. What is
about a chain can be asked of one partition alone, since each has its own. With one partition, it answers everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Protocol, cast, runtime_checkable

from blockdb.cluster.database.context import already_confirmed
from blockdb.cluster.partitions.changing import ChangingCollection
from blockdb.cluster.partitions.filters import filter_of
from blockdb.cluster.partitions.merging import cut, each, flows, merged
from blockdb.cluster.partitions.parts import asked
from blockdb.cluster.partitions.results import Ask, MergedResults, Page, Standing, standing_of
from blockdb.cluster.partitions.summing import explanation_of
from blockdb.database.collection import KEYS_IN_FILTER
from blockdb.database.finding import check_page
from blockdb.database.queries.results import Results
from blockdb.documents.document import Document
from blockdb.errors import BlockNotFound, InvalidData
from blockdb.format.checks import check_bounds, check_counts
from blockdb.interface import AnyCollection, AnyResults
from blockdb.query.explanation import Explanation
from blockdb.types import AsOf, Block, Record
from blockdb.wire.cursors import cursor_of

__all__ = ["PartitionedCollection"]


class PartitionedCollection(ChangingCollection):
    """A collection over partitions. Safe for threads.

    Its sequence and block numbers are unique, and have gaps: number s of partition n of P is s * P + n. What it reads
    from several partitions is, in each, of the moment of the call.
    """

    # Reading in key order.

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        """See `Collection.get`."""
        if as_of is None or self._parts.count == 1:
            return self._parts.of_key(key).get(key, as_of=as_of)
        own = self._parts.as_of_in(as_of, self._parts.number_of(key))
        return None if own is None else self._parts.of_key(key).get(key, as_of=own)

    def exists(self, key: bytes) -> bool:
        """See `Collection.exists`."""
        return self._parts.of_key(key).exists(key)

    __contains__ = exists

    def record(self, key: bytes) -> Record | None:
        """See `Collection.record`."""
        found = self._parts.of_key(key).record(key)
        return None if found is None else self._spreading.record(found, self._parts.number_of(key))

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """See `Collection.scan`. O(offset) more, with several partitions."""
        if (only := self._parts.only) is not None:
            return only.scan(
                prefix=prefix, start=start, end=end, limit=limit, offset=offset, reverse=reverse, as_of=as_of
            )

        def scan(part: AnyCollection, most: int | None, own: AsOf | None) -> Iterator[tuple[bytes, bytes]]:
            return part.scan(prefix=prefix, start=start, end=end, limit=most, reverse=reverse, as_of=own)

        check_bounds(prefix, start, end)
        return self._merged_scan(scan, itemgetter(0), limit, offset, reverse, as_of)

    def keys(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[bytes]:
        """See `Collection.keys`."""

        def keys(part: AnyCollection, most: int | None, own: AsOf | None) -> Iterator[bytes]:
            return part.keys(prefix=prefix, start=start, end=end, limit=most, reverse=reverse, as_of=own)

        check_bounds(prefix, start, end)
        return self._merged_scan(keys, bytes, limit, offset, reverse, as_of)

    def _merged_scan(
        self,
        ask: Callable[[AnyCollection, int | None, AsOf | None], Iterator[Any]],
        key: Callable[[Any], bytes],
        limit: int | None,
        offset: int,
        reverse: bool,
        as_of: AsOf | None,
    ) -> Iterator[Any]:
        check_counts(limit, offset)
        most = None if limit is None else offset + limit
        sources = flows([partial(ask, part, most, own) for _, part, own in self._seen(as_of)])
        return cut(merged(sources, key, reverse=reverse), offset, limit)

    def _seen(self, as_of: AsOf | None) -> list[tuple[int, AnyCollection, AsOf | None]]:
        """The partitions of which something is seen as of a moment, by their numbers, each with that moment."""
        parts = self._parts.current()
        if as_of is None or self._parts.count == 1:
            return [(number, part, as_of) for number, part in enumerate(parts)]
        newest = self._parts.horizons(as_of)
        return [(n, part, AsOf(sequence=newest[n])) for n, part in enumerate(parts) if newest[n] >= 0]

    def count(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        as_of: AsOf | None = None,
    ) -> int:
        """See `Collection.count`."""
        if where is None or self._parts.count == 1:

            def count(part: AnyCollection) -> int:
                return part.count(prefix=prefix, start=start, end=end, where=where, parameters=parameters, as_of=as_of)

            return sum(self._parts.each(count))
        if (prefix, start, end) != (None, None, None):
            raise InvalidData(KEYS_IN_FILTER)
        filters = filter_of(where, parameters, self._spreading)

        def count_found(number: int, part: AnyCollection, own: AsOf | None) -> int:
            text, values = filters(number)
            return part.count(where=text, parameters=values, as_of=own)

        return sum(each([partial(count_found, *seen) for seen in self._seen(as_of)]))

    # Queries.

    def document(self, key: bytes) -> Document | None:
        """See `Collection.document`."""
        found = self._parts.of_key(key).document(key)
        return None if found is None else self._spreading.document(found, self._parts.number_of(key))

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        after: str | None = None,
        fields: str | Iterable[str] | None = None,
        as_of: AsOf | None = None,
    ) -> Results:
        """See `Collection.find`. With several partitions, all pages are of the moment of the first one."""
        if (only := self._parts.only) is not None:
            found = only.find(
                where, parameters, order=order, limit=limit, offset=offset, after=after, fields=fields, as_of=as_of
            )
            return cast(Results, found)
        check_page(limit, offset)
        start = self._start(after, as_of)
        filters = filter_of(where, parameters, self._spreading)
        page = Page(order, fields if fields is None or isinstance(fields, str) else tuple(fields), offset, limit)

        def ask(number: int, part: AnyCollection) -> Ask:
            text, values = filters(number)
            return _Query(part, text, values, order, AsOf(sequence=start.horizons[number])).ask

        asks = {n: ask(n, part) for n, part in enumerate(self._parts.current()) if start.horizons[n] >= 0}
        with already_confirmed():  # the horizons were just asked for
            return MergedResults(asks, start, page, self._spreading)

    def _start(self, after: str | None, as_of: AsOf | None) -> Standing:
        """Where a page begins. Raises InvalidData."""
        count = self._parts.count
        if after is None:
            return Standing(self._parts.horizons(as_of), (None,) * count)
        start = standing_of(after, count)
        if as_of is not None and self._parts.horizons(as_of) != start.horizons:
            raise InvalidData("This is no cursor of this query: `after` takes one of the same moment.")
        return start

    def explain(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        as_of: AsOf | None = None,
    ) -> Explanation:
        """See `Collection.explain`."""
        if (only := self._parts.only) is not None:
            return only.explain(where, parameters, order=order, limit=limit, offset=offset, as_of=as_of)
        check_page(limit, offset)
        most = None if limit is None else offset + limit
        filters = filter_of(where, parameters, self._spreading)
        newest = None if as_of is None else self._parts.horizons(as_of)

        def explain(number: int, part: AnyCollection) -> Explanation:
            text, values = filters(number)
            if newest is None:
                return part.explain(text, values, order=order, limit=most)
            own = AsOf(sequence=newest[number]) if newest[number] >= 0 else None
            return part.explain(text, values, order=order, limit=most if own else 0, as_of=own)

        return explanation_of(self._parts.numbered(explain), limit, offset)

    # By number.

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        """Records from a number on, in the order of their numbers: in each partition that is commit order."""
        check_counts(limit, first)

        def records(number: int, part: AnyCollection) -> Iterator[Record]:
            found = part.records(self._spreading.first_from(first, number), limit)
            return (self._spreading.record(record, number) for record in found)

        sources = flows([partial(records, n, part) for n, part in enumerate(self._parts.current())])
        return cut(merged(sources, attrgetter("sequence")), 0, limit)

    def block(self, number: int) -> Block:
        """See `Collection.block`."""
        own, partition = self._spreading.parted(number)
        try:
            return self._spreading.block(self._parts.current()[partition].block(own), partition)
        except BlockNotFound:
            if self._parts.count == 1:
                raise
            raise self._parts.no_block(number) from None

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        """Sealed blocks by their numbers: see `Collection.blocks`."""
        check_counts(limit, first)
        if (only := self._parts.only) is not None:
            return only.blocks(first, limit, reverse=reverse)

        def blocks(number: int, part: AnyCollection) -> Iterator[Block]:
            found = self._down(part, number, first, limit) if reverse else self._up(part, number, first, limit)
            return (self._spreading.block(block, number) for block in found)

        sources = flows([partial(blocks, n, part) for n, part in enumerate(self._parts.current())])
        return cut(merged(sources, attrgetter("number"), reverse=reverse), 0, limit)

    def _up(self, part: AnyCollection, number: int, first: int, limit: int | None) -> Iterator[Block]:
        return part.blocks(self._spreading.first_from(first, number), limit)

    def _down(self, part: AnyCollection, number: int, first: int, limit: int | None) -> Iterator[Block]:
        """From `first` down, or from the newest; in one partition, 0 would stand for the newest too."""
        last = self._spreading.last_to(first, number)
        if not first or last > 0:
            return part.blocks(last if first else 0, limit, reverse=True)
        return islice(part.blocks(0, 1), last + 1)

    def block_records(self, number: int) -> list[Record]:
        """See `Collection.block_records`. The number after the last sealed one of a partition is its open block."""
        own, partition = self._spreading.parted(number)
        found = self._of_block(number, lambda part: part.block_records(own))
        return [self._spreading.record(record, partition) for record in found]

    def block_leaves(self, number: int) -> list[bytes]:
        """See `Collection.block_leaves`."""
        own, _ = self._spreading.parted(number)
        return self._of_block(number, lambda part: part.block_leaves(own))

    def _of_block(self, number: int, ask: Callable[[AnyCollection], list[Any]]) -> list[Any]:
        _, partition = self._spreading.parted(number)
        try:
            return ask(self._parts.current()[partition])
        except BlockNotFound:
            if self._parts.count == 1:
                raise
            raise self._parts.no_block(number) from None


@runtime_checkable
class Detailed(Protocol):
    """A collection over the network, which is asked for all that is known of documents, and for it at once."""

    _find_detailed: Callable[..., AnyResults]


class _Query:
    """A query to one partition as of a record of it."""

    def __init__(
        self, part: AnyCollection, where: str, parameters: Mapping[str, Any] | None, order: str, as_of: AsOf
    ) -> None:
        self._part = part
        self._where = where
        self._parameters = parameters
        self._order = order
        self._as_of = as_of

    def ask(self, after: str | None, limit: int | None, fields: Iterable[str] | None) -> AnyResults:
        """See `Ask`."""
        return asked(self._part, lambda collection: self._asked_of(collection, after, limit, fields))

    def _asked_of(
        self, collection: AnyCollection, after: str | None, limit: int | None, fields: Iterable[str] | None
    ) -> AnyResults:
        if isinstance(collection, Detailed):
            find, cursor = collection._find_detailed, None if after is None else cursor_of(self._as_of, after.encode())
        else:
            find, cursor = collection.find, after
        return find(
            self._where,
            self._parameters,
            order=self._order,
            limit=limit,
            after=cursor,
            fields=fields,
            as_of=self._as_of,
        )
