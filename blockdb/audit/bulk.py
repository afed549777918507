"""Auditing a collection's chain and tables in bulk, as fast as hashing allows, on all processors.

It makes every check that `ChainAudit` and `TableAudit` make, and of each stretch comes to one answer: all is as it
should be, or there is a doubt, about which nothing is said. Then those two look closely. A thousand records in C code
take a quarter of the time that they take one by one, and what need not name what is wrong can be done in any order, by
many processes: the chain in stretches between seals, the tables in ranges of keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from operator import add
from struct import error as StructError
from types import TracebackType
from typing import Final

from blockdb.audit.crew import Crew
from blockdb.audit.doubt import Doubt
from blockdb.audit.helper import describe
from blockdb.audit.order import KeyRange
from blockdb.audit.recruits import Recruits
from blockdb.audit.seals import next_seal
from blockdb.audit.stretch import Chain, Cut, Stretch, Whole
from blockdb.audit.tables import TableAudit
from blockdb.audit.work import Answer, Job, Workbench, memory_bytes
from blockdb.format import segment
from blockdb.format.block import decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, SEAL, BadFrame
from blockdb.format.place import place_of, split_place
from blockdb.format.walk import count
from blockdb.layout import CollectionFiles

STRETCH_BYTES: Final = 2 * 1024 * 1024
RANGE_RECORDS: Final = 16_000
"""How much a job is: some 25 ms of work, so that all processes end at nearly the same time."""

RANGE_BYTES: Final = 12
"""What the audit of a key's place in the order reads: a slot and a word."""

NO_RECORD: Final = -1
"""What a stretch begins with of which nothing is known."""

LATE_BYTES: Final = STRETCH_BYTES
"""Where a seal stands farther than this behind the first record of the next block, the chain is not cut."""


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
        self._bench = Workbench(whole.chain, tables, whole.watched_sequence, memory)
        self._crew = Crew(whole.chain)
        self._crew.enlist(recruits.processes, describe(self._bench, files))

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
                self._whole.add(answer)
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

    def forget(self, place: int) -> None:
        """Have looked at nothing from this place on that is in no table: it will be looked at more closely."""
        self._bench.tail.forget(place)
        self._answers = {cut: a for cut, a in self._answers.items() if cut.start > place and self._has_all_of(a)}

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
        places = sorted(self._whole.seals)
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


def cuts_of(chain: Chain, end: int | None) -> list[Cut]:
    """The stretches of the chain up to the place `end`, or all of it.

    Where they begin, and with which record, is taken from single seals on trust: a wrong one shows when the stretches
    are put together. A chain file that is not what it should be is one stretch, which begins with no record.
    """
    cuts = []
    for number, buffer in enumerate(chain.segments):
        stop = split_place(end)[1] if end is not None and number == split_place(end)[0] else len(buffer)
        base = place_of(number, 0)
        try:
            header = segment.decode(buffer)
        except BadFrame:
            header = None
        if header is None or header[:2] != (chain.collection, number) or stop > len(buffer):
            cuts.append(Cut(base + segment.HEADER_BYTES, base + stop, NO_RECORD))
            continue
        starts = [(segment.HEADER_BYTES, header.first_sequence), *_starts(chain, number, stop)]
        ends = [offset for offset, _ in starts[1:]] + [stop]
        cuts += [Cut(base + at, base + to, first) for (at, first), to in zip(starts, ends, strict=True)]
    return cuts


def _end_of_seals(buffer: Buffer, at: int, stop: int) -> int:
    """Where the seals end that follow each other from an offset on: behind the last, most often, a block begins."""
    with suppress(BadFrame, IndexError):
        while at < stop and buffer[at + CHECK_BYTES] == SEAL:
            at += decode_seal(buffer, at)[1]
    return at


def _stretch_bytes(left: int) -> int:
    """The least size of the next stretch: they get shorter towards the end, so that nobody waits for the last one."""
    return min(STRETCH_BYTES, max(left // 16, STRETCH_BYTES // 8))


def _starts(chain: Chain, number: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where stretches may begin within a chain file, namely after a seal, and the numbers of their first records."""
    buffer, at = chain.segments[number], segment.HEADER_BYTES
    while (found := next_seal(chain, number, at + _stretch_bytes(stop - at))) is not None and found[1] < stop:
        at = _end_of_seals(buffer, found[1], stop)
        following = next_seal(chain, number, at)
        if following is None:
            return
        # Records of the next blocks may stand before this seal, which was made beside the writer.
        seal = following[2]
        segment_of_first, first = split_place(seal.first_place)
        if segment_of_first == number and at - LATE_BYTES < first:
            with suppress(BadFrame, StructError, IndexError):  # of damage the stretch before tells
                yield at, seal.header.first_sequence + count(buffer, first, at)
