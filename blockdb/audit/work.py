"""The jobs into which an audit in bulk falls. Each can be done by any process, in any order."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from xxhash import xxh3_64_digest

from blockdb.audit.columns import Numbers, Positions, hashes_of
from blockdb.audit.cuts import first_block
from blockdb.audit.doubt import Doubt
from blockdb.audit.frames import Portion, read
from blockdb.audit.lookups import Lookups, Tail
from blockdb.audit.order import Beginnings, KeyRange, Order, audit_range, check_distinct, key_ranges
from blockdb.audit.stretch import Blocks, Chain, Cut, Pending, Stretch
from blockdb.audit.tables import TableAudit
from blockdb.format import segment
from blockdb.format.block import Seal
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK, place_of, split_place
from blockdb.ledger.merkle import leaf_hashes

ASKED_RECORDS: Final = 32_000
"""The tables are asked for so many records at a time: a megabyte of columns, which stays in the processor's cache."""


Job = Cut | KeyRange
Answer = Stretch | list[int]
Tell = Callable[[int], None]
Asked = tuple[Numbers, Positions, Numbers]
"""Records in columns: the hashes of their keys, their places, and how their keys begin."""


def memory_bytes(tables: Sequence[TableAudit]) -> int:
    """How much memory the workbenches of an audit share: eight bytes for each slot, some eleven for each record."""
    return 8 * sum(len(table.words) for table in tables)


class Workbench:
    """What it takes to do the jobs of one audit. No two tables have the same records, and earlier ones come first."""

    def __init__(
        self,
        chain: Chain,
        tables: Sequence[TableAudit],
        seals: Sequence[int],
        watched_sequence: int,
        memory: int | None,
    ) -> None:
        """`seals` are the places of the chain's seals. `memory` is the descriptor of `memory_bytes`, which all who work
        at the audit share; None for one alone. Raises Doubt.
        """
        self.chain = chain
        self.tables = tables
        self.seals = seals
        self.watched_sequence = watched_sequence
        self.tail = Tail(tables, chain.segments)
        self._orders = [Order(table, chain.segments) for table in tables]
        self._beginnings = Beginnings(self._orders, [len(table.words) for table in tables], memory)
        self._lookups = [Lookups(*both) for both in zip(tables, self._beginnings.columns, strict=True)]

    def has_all(self, first: int, stop: int) -> bool:
        """Whether tables have all records with these numbers.

        Those that are in no table must all be looked at by one and the same workbench, in their order.
        """
        return sum(len(part) for _, part in self.parts(first, stop - first)) == stop - first

    def key_ranges(self, most: int) -> list[KeyRange]:
        """The jobs that remain when all stretches of the chain are done, of about so many records each."""
        return key_ranges(self._orders, self._beginnings, most) if self.tables else []

    def do(self, job: Job, tell: Tell) -> Answer:
        """Do a job; `tell` hears how many records each portion had. Raises Doubt."""
        if isinstance(job, KeyRange):
            return audit_range(self._orders, self._beginnings, job)
        if job.sequence < 0:
            raise Doubt
        look = Look(self, job.start, tell)
        wanted = (self.watched_sequence - 1, self.watched_sequence)
        stretch = audit_stretch(self.chain, job, self.seals, wanted, look)
        look.finish()
        return stretch

    def look_again(self, cut: Cut) -> None:
        """Ask the tables alone for the records of a stretch whose blocks left a doubt. Raises Doubt."""
        number, offset = split_place(cut.start)
        look, sequence = Look(self, cut.start, None), cut.sequence
        for step in read(self.chain.segments[number], offset, split_place(cut.stop)[1]):
            if isinstance(step, Portion):
                look(sequence, step)
                sequence += len(step)
        look.finish()

    def check_distinct(self, place: int) -> None:
        """No key is in two tables, as far as the chain was looked at, up to a place. Raises Doubt."""
        check_distinct(self._orders, self._beginnings, place)

    def asked(self, keys: list[bytes], places: Positions) -> Asked:
        """What a table is asked for. Raises Doubt."""
        return hashes_of(b"".join(map(xxh3_64_digest, keys))), places, self._beginnings.of(keys)

    def ask(self, number: int, hashes: Numbers, places: Positions, beginnings: Numbers) -> None:
        """Ask a table for records, and note beside what it has of them how their keys begin. Raises Doubt."""
        self._lookups[number].ask(hashes, places, beginnings)

    def parts(self, first: int, records: int) -> Iterator[tuple[int, range]]:
        """Which tables have some of these records, and which ones, counted from the first."""
        for number, table in enumerate(self.tables):
            part = range(max(table.sequences.start - first, 0), min(table.sequences.stop - first, records))
            if part:
                yield number, part


class Look:
    """What is asked of the records of a stretch: that the tables lead to them, and of the others that they are new."""

    def __init__(self, bench: Workbench, start: int, tell: Tell | None) -> None:
        """`start` is the place where it begins. `tell` is None for one whose records in no table were seen."""
        self._bench = bench
        self._start = start
        self._base = start & ~OFFSET_MASK
        self._tell = tell
        self._waiting: dict[int, list[Asked]] = {}
        """What the tables are to be asked for, by the table."""
        self._records = 0

    def __call__(self, sequence: int, portion: Portion) -> None:
        """Ask for records; `sequence` is the number of the first. Raises Doubt."""
        bench, at, keys, places = self._bench, 0, portion.keys, portion.places(self._base)
        for number, part in bench.parts(sequence, len(portion)):
            self._untabled(keys[at : part.start], places[at : part.start])
            at = part.stop
            asked = bench.asked(keys[part.start : part.stop], places[part.start : part.stop])
            self._waiting.setdefault(number, []).append(asked)
        self._untabled(keys[at:], places[at:])
        self._records += len(portion)
        if self._records >= ASKED_RECORDS:
            self.finish()
        if self._tell is not None:
            self._tell(len(portion))

    def _untabled(self, keys: list[bytes], places: Positions) -> None:
        if keys and self._tell is not None:
            self._bench.tail.take(self._start, keys, places.tolist())

    def finish(self) -> None:
        """There are no more: ask for those for which no table was asked yet. Raises Doubt."""
        for number, waiting in self._waiting.items():
            self._bench.ask(number, *map(np.concatenate, zip(*waiting, strict=True)))
        self._waiting.clear()
        self._records = 0


def audit_stretch(
    chain: Chain, cut: Cut, seals: Sequence[int], wanted: Sequence[int], look: Callable[[int, Portion], None]
) -> Stretch:
    """Audit the part of one chain file between two places, where a commit begins and one ends. Raises Doubt.

    `seals` are the places of all seals of the chain. `look` hears of each portion of records, and of the number of the
    first.
    """
    number, offset = split_place(cut.start)
    base = place_of(number, 0)
    stretch = Stretch(cut.sequence)
    closer = _Closer(chain, seals, stretch)
    for step in read(chain.segments[number], offset, split_place(cut.stop)[1]):
        if isinstance(step, Portion):
            first = cut.sequence + stretch.records
            look(first, step)
            stretch.watched.update({w: base + step.offsets[w - first] for w in wanted if 0 <= w - first < len(step)})
            stretch.records += len(step)
            closer.take(pending_of(step, base))
        else:
            place, seal = base + step[0], step[1]
            stretch.seals[place] = seal.header.first_sequence + seal.header.records
            if stretch.seals[place] > stretch.sequence + stretch.records:
                raise Doubt  # it stands before its records
    return stretch


def pending_of(portion: Portion, base: int) -> Pending:
    """Records that a seal will have to answer for, of a chain file that begins at the place `base`."""
    places = array("q")
    places.frombytes(portion.places(base).tobytes())
    return Pending(leaf_hashes(portion.hashed), portion.sizes, places)


def records_between(chain: Chain, start: int, stop: int) -> Pending:
    """The records from a place on, where one begins, up to another, where a commit does. O(bytes). Raises Doubt."""
    found = Pending()
    first, last = start >> OFFSET_BITS, stop >> OFFSET_BITS
    for number in range(first, last + 1):
        base = place_of(number, 0)
        begin = start - base if number == first else segment.HEADER_BYTES
        end = stop - base if number == last else len(chain.segments[number])
        for step in read(chain.segments[number], begin, end):
            if isinstance(step, Portion):
                found.extend(pending_of(step, base))
    return found


class _Closer:
    """Closes the blocks of a stretch as soon as it has all of their records, wherever their seals stand."""

    def __init__(self, chain: Chain, seals: Sequence[int], stretch: Stretch) -> None:
        self._chain = chain
        self._seals = seals
        self._stretch = stretch
        self._pending = stretch.leading
        self._number = first_block(chain, seals, stretch.sequence)
        self._seal = self._next_seal()

    def _next_seal(self) -> Seal | None:
        return self._chain.seal_expected_at(self._seals[self._number]) if self._number < len(self._seals) else None

    def take(self, records: Pending) -> None:
        """Take the next records. Raises Doubt."""
        self._pending.extend(records)
        stretch = self._stretch
        seen = stretch.sequence + stretch.records
        while (seal := self._seal) is not None and seal.header.first_sequence + seal.header.records <= seen:
            if stretch.blocks is None:
                stretch.blocks = self._begin(stretch, seal)
            stretch.blocks.close(seal, stretch.trailing)
            self._number += 1
            self._seal = self._next_seal()

    def _begin(self, stretch: Stretch, seal: Seal) -> Blocks:
        """Come to the first block: what is before it is left to others."""
        stretch.anchor = self._number
        stretch.trailing = stretch.leading
        stretch.leading = stretch.trailing.take(seal.header.first_sequence - stretch.sequence)
        return Blocks.before(self._chain, seal)
