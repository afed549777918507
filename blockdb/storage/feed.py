"""The change stream of a collection: its records in commit order, as they come, each with its place in the chain.

It reads the chain and keeps no queue, so a slow consumer costs nothing; and whoever knows the sequence number of the
last record that it had goes on behind it, also after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from time import monotonic
from typing import Final

from blockdb.errors import DatabaseClosed, InvalidData
from blockdb.format.limits import BLOCK_MAX_BYTES
from blockdb.format.record import RecordFrame
from blockdb.storage.history import record_of
from blockdb.storage.reader import Reader
from blockdb.storage.sources import Horizon
from blockdb.types import Change

PAGE_RECORDS: Final = 256
"""After so many records it is looked anew where the chain is: a file of it may have been replaced meanwhile."""


def sequence_of(after: int | str | None) -> int | None:
    """The number of a record that is given as a number, or as its text. Raises InvalidData."""
    if not isinstance(after, str):
        return after
    if re.fullmatch("-1|[0-9]{1,19}", after) is None:
        raise InvalidData(
            f"after is the sequence number of a record, or -1, not {after!r}: there is one partition here."
        )
    return int(after)


class Feed:
    """An iterator of changes, which waits for the next one. For one thread; `stop` may be called from any.

    It ends when the database is closed, when it is stopped, and when nothing came for `timeout_s`. Raises Corruption,
    and CollectionNotFound where the collection was dropped.
    """

    def __init__(
        self,
        reader: Reader,
        prefix: bytes = b"",
        after: int | None = None,
        timeout_s: float | None = None,
        forced_only: bool = False,
    ) -> None:
        """Begin behind the record with the sequence number `after`: -1 for all, None for what is stored from now on.

        Only keys with the prefix are given; with `forced_only`, only what is on the disk. Raises InvalidData.
        """
        reader.check_open()
        reader.refresh(wait=True)
        history = reader.history()
        first = history.records_count if after is None else after + 1
        if not 0 <= first <= history.records_count:
            raise InvalidData(
                f"There is no record {after} to go on after: there are {history.records_count}, from 0 up."
            )
        extent = history.extent(history.block_of(first))
        self._reader = reader
        self._prefix = prefix
        self._first = first
        self._timeout_s = timeout_s
        self._forced_only = forced_only
        self._is_stopped = False
        self._sequence, self._place = extent.first_sequence, extent.first_place
        """Of the next record that is looked at."""
        self._block, self._index, self._block_bytes = extent.number, 0, 0
        """Its place in the blocks, and the bytes of the records before it in its block."""
        self._page: Iterator[Change] = iter(())

    @property
    def position(self) -> int:
        """The sequence number of the last record that was looked at, given or not: where another feed goes on after."""
        return max(self._sequence, self._first) - 1

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> Change:
        change = self.take(self._timeout_s)
        if change is None:
            raise StopIteration
        return change

    def take(self, timeout_s: float | None = None) -> Change | None:
        """The next change; None where none came in time (0: where none is there), or when it is over.

        Raises CollectionNotFound where the collection was dropped.
        """
        try:
            change = self._take(timeout_s)
        except DatabaseClosed:  # in the middle of it
            change = None
        if change is None and self._reader.is_dropped:
            self._reader.check_open()
        return change

    def _take(self, timeout_s: float | None) -> Change | None:
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while not self.is_over():
            change = next(self._page, None)
            if change is not None:
                return change
            known = Horizon(self._sequence, self._place)
            ahead = self._reader.acknowledged(self._forced_only)
            if ahead.is_beyond(known):
                self._page = self._changes(ahead)
                continue
            left_s = None if deadline is None else deadline - monotonic()
            if left_s is not None and left_s <= 0:
                return None
            self._reader.wait_beyond(known, self._forced_only, self.is_over, left_s)
        return None

    def stop(self) -> None:
        """End it, also while another thread waits for the next change."""
        self._is_stopped = True
        self._reader.wake()

    def is_over(self) -> bool:
        """Whether it was stopped, or its database closed: nothing comes any more."""
        return self._is_stopped or self._reader.closed

    def _changes(self, ahead: Horizon) -> Iterator[Change]:
        """The changes among the next records, a page of them at most, before that horizon."""
        blocks, cache = self._reader.blocks, self._reader.cache
        epoch = cache.epoch
        count = min(ahead.records - self._sequence, PAGE_RECORDS)
        page_end = self._sequence + count
        for _, end, frame in islice(self._reader.chain.records(self._place, ahead.place), count):
            if cache.epoch != epoch:
                return  # values were erased, perhaps this one: it is read anew
            change = self._change(frame, blocks)
            self._place = end
            self._step(len(frame.body))
            if change.record.sequence >= self._first and frame.key.startswith(self._prefix):
                yield change
        if self._sequence < page_end:  # seals alone were left
            self._place = ahead.place

    def _change(self, frame: RecordFrame, blocks: int) -> Change:
        block = self._block if self._block < blocks else None
        leaf = sha256(frame.leaf).digest()
        return Change(record_of(self._sequence, frame, block), self._block, self._index, leaf)

    def _step(self, body_bytes: int) -> None:
        """Go on to the next record; where the block is full it is the first of the next one, whoever seals it, when."""
        self._sequence += 1
        self._index += 1
        self._block_bytes += body_bytes
        if self._index == self._reader.metadata.blockchain_batch_size or self._block_bytes >= BLOCK_MAX_BYTES:
            self._block, self._index, self._block_bytes = self._block + 1, 0, 0
