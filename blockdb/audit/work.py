"""The jobs into which an audit in bulk falls. Each can be done by any process, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from blockdb.audit.frames import Portion, read
from blockdb.audit.lookups import Lookups, Tail
from blockdb.audit.order import Beginnings, KeyRange, Order, audit_range, check_distinct, key_ranges
from blockdb.audit.stretch import Chain, Stretch, audit_stretch
from blockdb.audit.tables import TableAudit
from blockdb.format.place import place_of, split_place


@dataclass(frozen=True)
class Cut:
    """A stretch of the chain: the part of a chain file between two places, and the number of its first record."""

    start: int
    stop: int
    sequence: int


Job = Cut | KeyRange
Answer = Stretch | list[int]
Tell = Callable[[int], None]


def memory_bytes(tables: Sequence[TableAudit]) -> int:
    """How much memory the workbenches of an audit share: eight bytes for each slot, some eleven for each record."""
    return 8 * sum(len(table.words) for table in tables)


class Workbench:
    """What it takes to do the jobs of one audit. No two tables have the same records, and earlier ones come first."""

    def __init__(self, chain: Chain, tables: Sequence[TableAudit], watched_sequence: int, memory: int | None) -> None:
        """`memory` is the descriptor of `memory_bytes`, which all who work at the audit share; None for one alone.

        Raises Doubt.
        """
        self.chain = chain
        self.tables = tables
        self.watched_sequence = watched_sequence
        self.tail = Tail(tables, chain.segments)
        self._orders = [Order(table, chain.segments) for table in tables]
        self._beginnings = Beginnings(self._orders, [len(table.words) for table in tables], memory)

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
        wanted = (self.watched_sequence - 1, self.watched_sequence)
        look = Look(self, job.start, tell)
        stretch = audit_stretch(self.chain, job.start, job.stop, job.sequence, wanted, look)
        look.finish()
        return stretch

    def look_again(self, cut: Cut) -> None:
        """Ask the tables alone for the records of a stretch whose blocks left a doubt. Raises Doubt."""
        number, offset = split_place(cut.start)
        look, sequence = Look(self, cut.start, None), cut.sequence
        for step in read(self.chain.segments[number], offset, split_place(cut.stop)[1]):
            if isinstance(step, Portion):
                look(sequence, step, list(map(place_of(number, 0).__add__, step.offsets)))
                sequence += len(step)
        look.finish()

    def check_distinct(self, place: int) -> None:
        """No key is in two tables, as far as the chain was looked at, up to a place. Raises Doubt."""
        check_distinct(self._orders, self._beginnings, [table.words for table in self.tables], place)

    def lookups(self, number: int) -> Lookups:
        """Lookups in a table, which mark what they come to."""
        return Lookups(self.tables[number], self._beginnings.columns[number])

    def beginnings(self, keys: Sequence[bytes]) -> list[int]:
        """What is noted of these keys. Raises Doubt."""
        return self._beginnings.of(keys)

    def parts(self, first: int, records: int) -> Iterator[tuple[int, range]]:
        """Which tables have some of these records, and which ones, counted from the first."""
        for number, table in enumerate(self.tables):
            part = range(max(table.sequences.start - first, 0), min(table.sequences.stop - first, records))
            if part:
                yield number, part


class Look:
    """What is asked of each portion of the records of a stretch: that the tables lead to them."""

    def __init__(self, bench: Workbench, stretch: int, tell: Tell | None) -> None:
        """`stretch` is the place where it begins. `tell` is None for one whose records in no table were seen."""
        self._bench = bench
        self._stretch = stretch
        self._tell = tell
        self._asked: dict[int, Lookups] = {}

    def __call__(self, sequence: int, portion: Portion, places: list[int]) -> None:
        """Ask for records; `sequence` is the number of the first. Raises Doubt."""
        bench, at = self._bench, 0
        for number, part in bench.parts(sequence, len(portion)):
            self._untabled(portion.keys[at : part.start], places[at : part.start])
            at = part.stop
            if number not in self._asked:
                self._asked[number] = bench.lookups(number)
            keys = portion.keys[part.start : part.stop]
            self._asked[number].ask(keys, places[part.start : part.stop], bench.beginnings(keys))
        self._untabled(portion.keys[at:], places[at:])
        if self._tell is not None:
            self._tell(len(portion))

    def _untabled(self, keys: list[bytes], places: list[int]) -> None:
        if keys and self._tell is not None:
            self._bench.tail.take(self._stretch, keys, places)

    def finish(self) -> None:
        """All was asked. Raises Doubt."""
        for lookups in self._asked.values():
            lookups.finish()
