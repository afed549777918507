"""Going through a chain commit by commit: how far it goes up to a moment, and what stands behind that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from blockdb.format import batch, record, segment
from blockdb.format.block import Seal, decode_seal
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.walk import Decided
from blockdb.storage.chain import Chain


class Commit(NamedTuple):
    """What was stored at once: a record, or a batch of them."""

    end: int
    """The place after it."""
    records: int
    time_ms: int
    transaction: int
    """The number of the transaction over several collections that it is part of; 0: of none."""


@dataclass(frozen=True)
class Limit:
    """How far a chain is to go: all of it that is given holds."""

    records: int | None = None
    time_ms: int | None = None
    transaction: int | None = None
    """No commit of a transaction with this number, or a later one."""

    def has(self, commit: Commit, records: int) -> bool:
        """Whether a commit, with which there are so many records, is before the limit."""
        return not (
            (self.records is not None and records > self.records)
            or (self.time_ms is not None and commit.time_ms > self.time_ms)
            or (self.transaction is not None and commit.transaction >= self.transaction > 0)
        )


@dataclass
class Reach:
    """How far a chain goes up to a limit."""

    end: int = segment.HEADER_BYTES
    """The place after the last commit."""
    records: int = 0
    time_ms: int = 0
    """When the last of them was stored."""
    transaction: int = 0
    """The last transaction over several collections that is in it,"""
    transaction_ms: int = 0
    """when its part here was stored,"""
    next_transaction: int = 0
    """and the first one that is not; 0: there is none."""
    all_records: int = 0
    """How many records the whole chain has, and"""
    all_end: int = segment.HEADER_BYTES
    """where it ends."""
    seals: list[Seal] = field(default_factory=list)
    """Those behind the limit that are of blocks before it."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing stands behind the limit."""
        return self.end == self.all_end


def reach(chain: Chain, end: int, limit: Limit, decided: Decided) -> Reach:
    """How far a chain that ends at a place goes up to a limit. O(records). Raises Corruption."""
    found = Reach()
    is_before, times = True, 0
    for step in _steps(chain, end):
        if isinstance(step, Commit):
            if step.transaction and not decided(step.transaction):
                found.all_end = end
                break  # nor does what follows count: it is what a power cut left
            times = max(times, step.time_ms)
            found.all_records += step.records
            is_before = is_before and limit.has(step, found.all_records)
            if is_before:
                found.end, found.records, found.time_ms = step.end, found.all_records, times
                if step.transaction:
                    found.transaction, found.transaction_ms = step.transaction, times
            elif step.transaction and not found.next_transaction:
                found.next_transaction = step.transaction
            found.all_end = step.end
        else:
            place_after, seal = step
            if is_before:
                found.end = place_after
            elif seal.header.first_sequence + seal.header.records <= found.records:
                found.seals.append(seal)
            found.all_end = place_after
    return found


def _steps(chain: Chain, end: int) -> Iterator[Commit | tuple[int, Seal]]:
    """The commits of a chain, and its seals, each with the place after it."""
    left = records = transaction = 0
    for stretch in chain.stretches(segment.HEADER_BYTES, end):
        buffer, offset = stretch.buffer, stretch.first
        while offset < stretch.last:
            place = stretch.base + offset
            try:
                type_ = buffer[offset + CHECK_BYTES]
                if type_ == RECORD:
                    time_ms, after = record.time_and_end(buffer, offset)
                    left = max(0, left - 1)
                    if not left:
                        yield Commit(stretch.base + after, records or 1, time_ms, transaction)
                        records = transaction = 0
                elif type_ in batch.HEADERS:
                    header = batch.decode(buffer, offset)
                    left, records, transaction = header.records, header.records, header.transaction
                    after = offset + header.header_bytes
                else:
                    seal, size = decode_seal(buffer, offset)
                    after = offset + size
                    yield stretch.base + after, seal
            except IndexError:
                raise chain.corruption(place, "the chain ends inside a frame") from None
            except BadFrame as error:
                raise chain.corruption(place, str(error)) from None
            offset = after


def end_of_block(chain: Chain, end: int, number: int) -> int | None:
    """How many records there are up to the end of a block; None where it is not sealed. O(records)."""
    for step in _steps(chain, end):
        if not isinstance(step, Commit) and step[1].header.number == number:
            return step[1].header.first_sequence + step[1].header.records
    return None
