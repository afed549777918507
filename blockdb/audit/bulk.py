"""Auditing a collection's chain and tables in bulk, as fast as hashing allows, on all processors.

It makes every check that `ChainAudit` and `TableAudit` make, and of each stretch comes to one answer: all is as it
should be, or there is a doubt, about which nothing is said. Then those two look closely. A thousand records in C code
take a quarter of the time that they take one by one, and what need not name what is wrong can be done in any order, by
many processes: the chain in stretches, the tables in ranges of keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import add
from types import TracebackType
from typing import Final

from blockdb.audit.crew import Crew
from blockdb.audit.cuts import cuts_of, seal_places
from blockdb.audit.doubt import Doubt
from blockdb.audit.helper import describe
from blockdb.audit.order import KeyRange
from blockdb.audit.recruits import Recruits
from blockdb.audit.stretch import Cut, Stretch, Whole
from blockdb.audit.tables import TableAudit
from blockdb.audit.work import Answer, Job, Workbench, memory_bytes, records_between
from blockdb.layout import CollectionFiles

RANGE_RECORDS: Final = 64_000
"""How much a job is: a millisecond of work, so that all processes end at nearly the same time."""

RANGE_BYTES: Final = 12
"""What the audit of a key's place in the order reads: a slot and a word."""


class BulkAudit:
    """The audit of a chain and its tables, taking `whole` further; a context manager.

    `tell` hears how many records and blocks are done, every thousand records, and `read` how many bytes were looked
    at after each job. All methods raise what the two raise, and Doubt.
    """

    def __init__(
        self,
        whole: Whole,
        tables: Sequence[TableAudit],
        files: CollectionFiles,
        tell: Callable[[int, int], None],
        read: Callable[[int], None],
        recruits: Recruits,
        end: int | None,
    ) -> None:
        self._whole = whole
        self._tables = tables
        self._tell = tell
        self._read = read
        self._doing = self._records = self._blocks = 0
        self._answers: dict[Cut, Stretch | None] = {}
        """What came of the stretches that are not yet part of the whole; None stands for doubt."""
        covered = 0
        for table in tables:
            if table.sequences.start < covered or not table.sequences:
                raise Doubt
            covered = table.sequences.stop
        memory = recruits.share(memory_bytes(tables))
        self._seals = seal_places(whole.chain, tables, end)
        self._bench = Workbench(whole.chain, tables, self._seals, whole.watched_sequence, memory)
        self._crew = Crew(whole.chain)
        self._crew.enlist(recruits.processes, describe(self._bench, files))
        self.cuts = cuts_of(whole.chain, self._seals, end)
        """The stretches of the chain."""

    @property
    def keys_in_no_table(self) -> set[bytes]:
        """The keys of the records so far that are in no table."""
        return self._bench.tail.keys

    def advance(self, cuts: Sequence[Cut]) -> Sequence[Cut]:
        """Audit these stretches, which are next, up to the first that leaves a doubt; returns that and all after it."""
        done = 0
        for _ in self._do_stretches(cuts):
            done += self._add(cuts[done:])  # now, while others still work
        return cuts[done + self._add(cuts[done:]) :]

    def _add(self, cuts: Sequence[Cut]) -> int:
        """Append stretches to the whole, up to the first that was not audited or leaves a doubt; returns how many."""
        for done, cut in enumerate(cuts):
            answer = self._answers.get(cut)
            if answer is None:
                return done
            try:
                self._whole.add(answer, self._seals)
            except Doubt:
                self._answers[cut] = None
                return done
            del self._answers[cut]
        return len(cuts)

    def _do_stretches(self, cuts: Sequence[Cut]) -> Iterator[None]:
        """Audit those of these stretches that were not yet, in any order, one at each step."""
        alone = {cuts[-1]} if cuts else set()
        alone |= {cut for cut, after in pairwise(cuts) if not self._bench.has_all(cut.sequence, after.sequence)}
        left = [cut for cut in cuts if cut not in self._answers]
        own = deque[Job](cut for cut in left if cut in alone)
        shared = deque[Job](cut for cut in left if cut not in alone)
        # What is in no table is for this process alone, which keeps the keys.
        for job, answer in self._crew.share(own, shared, self._do, self._breathe):
            assert isinstance(job, Cut)
            assert not isinstance(answer, list)
            self._answers[job] = answer
            self._doing = 0
            self._read(job.stop - job.start)
            if answer is None:
                _keep_before(own, job)
                _keep_before(shared, job)
            else:
                self._records += answer.records
                self._blocks += len(answer.seals)
            yield

    def halt(self, place: int) -> None:
        """Have come no farther than this place, where a stretch begins: from there on it will be looked more closely.

        Nothing that is in no table was looked at behind it, and no block was closed with a seal that stands behind it.
        """
        self._bench.tail.forget(place)
        self._answers = {cut: a for cut, a in self._answers.items() if cut.start > place and self._has_all_of(a)}

        whole, closed = self._whole, len(self._whole.seals)
        if closed < whole.block_count:
            seal = whole.chain.seal_expected_at(self._seals[closed])
            first_place = place if seal is None else seal.first_place
            whole.stand_before(seal, records_between(whole.chain, first_place, place))

    def _has_all_of(self, answer: Stretch | None) -> bool:
        return answer is not None and self._bench.has_all(answer.sequence, answer.sequence + answer.records)

    def look_again(self, cuts: Iterable[Cut]) -> None:
        """Ask the tables for what the stretches have that were audited elsewhere."""
        for cut in cuts:
            self._breathe()
            self._bench.look_again(cut)

    def check_distinct(self, place: int) -> None:
        """No key is in two tables, as far as the chain was audited, namely up to a place."""
        if len(self._tables) > 1:
            self._bench.check_distinct(place)

    def check_tables(self) -> None:
        """All stretches are part of the whole: the tables name its seals, their order is that of the keys."""
        places = list(self._whole.seals)
        if places != self._seals or len(places) != self._whole.block_count:
            raise Doubt
        for table in self._tables:
            first, stop = (bisect_left(places, place) for place in (table.header.first_place, table.header.end_place))
            if table.seals != places[first:stop]:
                raise Doubt
        used = [0] * len(self._tables)
        ranges = deque[Job](self._bench.key_ranges(RANGE_RECORDS))
        for job, answer in self._crew.share(deque(), ranges, self._do, self._breathe):
            if not isinstance(answer, list) or not isinstance(job, KeyRange):
                raise Doubt
            used = list(map(add, used, answer))
            self._read(RANGE_BYTES * sum(stop - first for first, stop in job.positions))
        if used != [table.header.records for table in self._tables]:
            raise Doubt

    def _do(self, job: Job) -> Answer | None:
        self._breathe()
        try:
            return self._bench.do(job, self._heard)
        except Doubt:
            return None

    def _breathe(self) -> None:
        self._heard(0)

    def _heard(self, records: int) -> None:
        self._doing += records
        self._tell(self._records + self._doing, self._blocks)

    def __enter__(self) -> BulkAudit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._crew.close()


def _keep_before(waiting: deque[Job], doubtful: Cut) -> None:
    """What is after it need not be done yet, and perhaps never."""
    kept = [job for job in waiting if isinstance(job, Cut) and job.start < doubtful.start]
    waiting.clear()
    waiting.extend(kept)
