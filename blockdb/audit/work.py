"""The jobs into which an audit in bulk falls. Each can be done by any process, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from blockdb.audit.frames import Portion
from blockdb.audit.lookups import Lookups, Tail
from blockdb.audit.order import Beginnings, KeyRange, Order, audit_range, key_ranges
from blockdb.audit.stretch import Chain, Stretch, audit_stretch
from blockdb.audit.tables import TableAudit


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
    """What it takes to do the jobs of one audit. The tables cover the chain's records from the first one on."""

    def __init__(self, chain: Chain, tables: Sequence[TableAudit], watched_sequence: int, memory: int | None) -> None:
        """`memory` is the descriptor of `memory_bytes`, which all who work at the audit share; None for one alone.

        Raises Doubt.
        """
        self.chain = chain
        self.tables = tables
        self.watched_sequence = watched_sequence
        self._tail = Tail(tables, chain.segments)
        self._orders = [Order(table, chain.segments) for table in tables]
        self._beginnings = Beginnings(self._orders, [len(table.words) for table in tables], memory)

    @property
    def covered(self) -> int:
        """How many records are in tables. Those after them must all be looked at by one and the same workbench."""
        return sum(table.header.records for table in self.tables)

    def key_ranges(self, most: int) -> list[KeyRange]:
        """The jobs that remain when all stretches of the chain are done, of about so many records each."""
        return key_ranges(self._orders, self._beginnings, most) if self.tables else []

    def do(self, job: Job, tell: Tell) -> Answer:
        """Do a job; `tell` hears how many records each portion had. Raises Doubt."""
        if isinstance(job, KeyRange):
            return audit_range(self._orders, self._beginnings, job)
        wanted = (self.watched_sequence - 1, self.watched_sequence)
        asked: dict[int, Lookups] = {}
        covered = self.covered

        def look(sequence: int, portion: Portion, places: list[int]) -> None:
            for number, part in self._parts(sequence, len(portion)):
                if number not in asked:
                    asked[number] = Lookups(self.tables[number], self._beginnings.columns[number])
                keys = portion.keys[part]
                asked[number].ask(keys, places[part], self._beginnings.of(keys))
            in_tables = max(0, covered - sequence)
            if in_tables < len(portion):
                self._tail.take(portion.keys[in_tables:], places[in_tables:])
            tell(len(portion))

        stretch = audit_stretch(self.chain, job.start, job.stop, job.sequence, wanted, look)
        for lookups in asked.values():
            lookups.finish()
        return stretch

    def _parts(self, sequence: int, records: int) -> Iterator[tuple[int, slice]]:
        """Which tables have some of these records, and which ones."""
        for number, table in enumerate(self.tables):
            first = table.header.first_sequence - sequence
            stop = first + table.header.records
            if first < records and stop > 0:
                yield number, slice(max(first, 0), stop)
