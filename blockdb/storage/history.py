"""Reading a collection in commit order: records by sequence number, blocks by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from blockdb.errors import BlockNotFound, InvalidData
from blockdb.format.block import Seal
from blockdb.format.limits import MAX_BLOCK_RECORDS
from blockdb.format.record import RecordFrame, leaves_of
from blockdb.format.segment import HEADER_BYTES
from blockdb.ledger.merkle import leaf_hash, leaf_hashes
from blockdb.storage.chain import Chain
from blockdb.storage.sources import Horizon
from blockdb.storage.view import View
from blockdb.types import AsOf, Block, Record


class Extent(NamedTuple):
    """Where the records of a block are: from `first_place` on, so many of them; seals of others may lie between."""

    number: int
    first_place: int
    first_sequence: int
    records: int


class History:
    """The chain as of one moment: `blocks` sealed ones, and records up to the place `end`. Immutable."""

    def __init__(self, chain: Chain, view: View, blocks: int, end: int, records: int) -> None:
        self._chain = chain
        self._view = view
        self.end = end
        self.blocks = blocks
        self.records_count = records

    @property
    def start(self) -> Horizon:
        """The border before the first record."""
        return Horizon(0, HEADER_BYTES)

    def block(self, number: int) -> Block:
        """A sealed block. Raises BlockNotFound."""
        seal = self.seal(number)
        header = seal.header
        return Block(
            number=header.number,
            hash=header.hash(),
            previous_hash=header.previous_hash,
            root=header.root,
            first_sequence=header.first_sequence,
            count=header.records,
            data_bytes=header.data_bytes,
            first_time_ms=header.first_time_ms,
            last_time_ms=header.last_time_ms,
            signature=seal.signature,
            key_id=seal.key_id,
        )

    @property
    def sealed_records(self) -> int:
        """How many records are in sealed blocks."""
        if not self.blocks:
            return 0
        header = self.seal(self.blocks - 1).header
        return header.first_sequence + header.records

    def seal(self, number: int) -> Seal:
        """The seal of a block. Raises BlockNotFound. O(1)."""
        place = self._view.block_place(number) if 0 <= number < self.blocks else None
        if place is None:
            raise BlockNotFound(f"There is no sealed block {number}: there are {self.blocks}, counted from 0.")
        return self._chain.seal_at(place)

    def block_records(self, number: int) -> list[Record]:
        """The records of a sealed block, or, for the number after the last, of the open one."""
        extent = self.extent(number)
        block = number if number < self.blocks else None
        frames = enumerate(self._frames(extent), extent.first_sequence)
        return [record_of(sequence, frame, block) for sequence, (_, frame) in frames]

    def block_leaves(self, number: int) -> list[bytes]:
        """The leaf hashes of a block's records, recomputed from the records."""
        return [leaf_hash(frame.leaf[1:]) for _, frame in self._frames(self.extent(number))]

    def leaves(self, first: int, count: int) -> list[bytes]:
        """The leaf hashes of so many records from a sequence number on, those that there are.

        O(log blocks + records in a block + count). What they are made of is not checked: the root tells.
        """
        bodies = self.bodies(first, count)
        return leaf_hashes(leaves_of(bodies)) if bodies else []

    def bodies(self, first: int, count: int) -> list[bytes]:
        """The bodies of so many records from a sequence number on, unchecked like those of `leaves`."""
        count = min(count, self.records_count - first)
        if count <= 0:
            return []
        extent = self.extent(self.block_of(first))
        return self._chain.bodies_from(extent.first_place, self.end, first - extent.first_sequence, count)

    def sequence_at(self, place: int) -> int:
        """The sequence number of the record at a place where one begins. O(log blocks + records in a block)."""
        number = max(self._search(lambda seal: place < seal.first_place) - 1, 0)
        extent = self.extent(number)
        return extent.first_sequence + self._chain.count(extent.first_place, place)

    def block_of(self, sequence: int) -> int:
        """The block that has a record; `blocks` for one that no seal covers yet."""
        return self._search(lambda seal: sequence < seal.header.first_sequence + seal.header.records)

    def records(self, first: int, limit: int | None) -> Iterator[Record]:
        """Records in commit order from a sequence number on."""
        stop = self.records_count if limit is None else min(first + limit, self.records_count)
        if first >= stop:
            return
        number = self.block_of(first)
        extent = self.extent(number)
        sequence, block_stop = extent.first_sequence, extent.first_sequence + extent.records
        for _, _, frame in self._chain.walk(extent.first_place, self.end):
            if not isinstance(frame, RecordFrame):
                continue
            if sequence == block_stop:
                number += 1
                block_stop += self.seal(number).header.records if number < self.blocks else self.records_count
            if sequence >= first:
                yield record_of(sequence, frame, number if number < self.blocks else None)
            sequence += 1
            if sequence >= stop:
                return

    def record_at(self, place: int) -> Record:
        """The record at a place, with its sequence number. O(log blocks + block). Raises Corruption."""
        after = self._search(lambda seal: place < seal.first_place)
        for number in (after - 1, after):
            if number < 0 or number > self.blocks:
                continue
            extent = self.extent(number)
            if number == self.blocks:  # the record may be so new that it is not counted yet
                extent = extent._replace(records=MAX_BLOCK_RECORDS)
            for sequence, (at, frame) in enumerate(self._frames(extent), extent.first_sequence):
                if at == place:
                    return record_of(sequence, frame, number if number < self.blocks else None)
        raise self._chain.corruption(place, "a table points here, but no record begins here")

    def block_since(self, time_ms: int) -> Horizon:
        """The border before the first block that may have records of that time or later, or the open one. O(log)."""
        extent = self.extent(self._search(lambda seal: seal.header.last_time_ms >= time_ms))
        return Horizon(extent.first_sequence, extent.first_place)

    def horizon(self, as_of: AsOf) -> Horizon:
        """What a read as of that moment sees. O(log blocks + records in a block).

        Raises BlockNotFound, or InvalidData for a record that is not there yet.
        """
        if as_of.sequences is not None:
            raise InvalidData("AsOf(sequences=...) is for a collection of several partitions; this one has one.")
        if as_of.block is not None:
            header = self.seal(as_of.block).header
            return self.horizon_at(header.first_sequence + header.records)
        if as_of.sequence is not None:
            if as_of.sequence >= self.records_count:
                raise InvalidData(f"There is no record {as_of.sequence}: there are {self.records_count}, from 0 up.")
            return self.horizon_at(as_of.sequence + 1)
        time_ms = as_of.time_ms or 0
        number = self._search(lambda seal: seal.header.last_time_ms > time_ms)
        return self._horizon_in(number, lambda sequence, frame: frame.time_ms > time_ms)

    def horizon_at(self, records: int) -> Horizon:
        """The border behind the first so many records. O(log blocks + records in a block)."""
        if records >= self.records_count:
            return Horizon(self.records_count, self.end)
        number = self.block_of(records)
        return self._horizon_in(number, lambda sequence, frame: sequence == records)

    def _horizon_in(self, number: int, is_hidden: Callable[[int, RecordFrame], bool]) -> Horizon:
        """The horizon before the first record of a block that is hidden; the block after it, if none is, is open."""
        extent = self.extent(number)
        for sequence, (place, frame) in enumerate(self._frames(extent), extent.first_sequence):
            if is_hidden(sequence, frame):
                return Horizon(sequence, place)
        return Horizon(self.records_count, self.end)

    def extent(self, number: int) -> Extent:
        """Where the records of a block are; those of the open one for the number after the last."""
        if number != self.blocks:
            seal = self.seal(number)
            return Extent(number, seal.first_place, seal.header.first_sequence, seal.header.records)
        if not self.blocks:
            return Extent(0, HEADER_BYTES, 0, self.records_count)
        last = self.extent(number - 1)
        first_sequence = last.first_sequence + last.records
        *_, (place, frame) = self._frames(last)
        return Extent(number, place + frame.size, first_sequence, self.records_count - first_sequence)

    def _frames(self, extent: Extent) -> Iterator[tuple[int, RecordFrame]]:
        left = extent.records
        for place, _, frame in self._chain.walk(extent.first_place, self.end):
            if not left:
                return
            if isinstance(frame, RecordFrame):
                yield place, frame
                left -= 1

    def _search(self, is_at_or_after: Callable[[Seal], bool]) -> int:
        """The first block for which the condition holds, `blocks` if for none; it must hold for all that follow."""
        low, high = 0, self.blocks
        while low < high:
            middle = (low + high) // 2
            if is_at_or_after(self.seal(middle)):
                high = middle
            else:
                low = middle + 1
        return low


def record_of(sequence: int, frame: RecordFrame, block: int | None) -> Record:
    """A record as it is told to callers."""
    return Record(sequence, frame.key, frame.value, frame.time_ms, block, frame.is_redacted)
