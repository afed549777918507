"""Auditing a collection's chain and tables in bulk, as fast as hashing allows, on all processors.

It makes every check that `ChainAudit` and `TableAudit` make, and comes to one answer: all is as it should be, or there
is a doubt, about which nothing is said. Then those two look closely. A thousand records in C code take a quarter of
the time that they take one by one, and what need not name what is wrong can be done in any order, by many processes:
the chain in stretches between seals, the tables in ranges of keys.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import accumulate, takewhile
from operator import add
from struct import error as StructError
from typing import Final

from blockdb.audit.crew import Crew
from blockdb.audit.doubt import Doubt
from blockdb.audit.helper import describe
from blockdb.audit.stretch import Chain, Stretch, Whole
from blockdb.audit.tables import TableAudit
from blockdb.audit.work import Answer, Cut, Job, Workbench, memory_bytes
from blockdb.format import segment
from blockdb.format.block import TAG, Seal, decode_seal
from blockdb.format.frame import CHECK_BYTES, BadFrame
from blockdb.format.place import PLACE_MASK, place_of, split_place
from blockdb.format.walk import bodies
from blockdb.layout import CollectionFiles

MOST_PROCESSES: Final = 8
WORTHWHILE_BYTES: Final = 16 * 1024 * 1024
"""Starting a process takes as long as the audit of about so much of a chain."""

STRETCH_BYTES: Final = 2 * 1024 * 1024
RANGE_RECORDS: Final = 16_000
"""How much a job is: some 25 ms of work, so that all processes end at nearly the same time."""

LATE_BYTES: Final = STRETCH_BYTES
"""Where a seal stands farther than this behind the first record of the next block, the chain is not cut."""

_TAG_OFFSET: Final = CHECK_BYTES + 5
"""Where the tag of a block stands in the frame of its seal."""


class BulkAudit:
    """The audit of what a workbench has. `tell` hears how many records and blocks are done, every thousand records."""

    intact: Final = True
    """Of a chain that is not, it says nothing."""

    def __init__(
        self,
        chain: Chain,
        tables: Sequence[TableAudit],
        files: CollectionFiles,
        tell: Callable[[int, int], None],
        watched_sequence: int,
    ) -> None:
        self._chain = chain
        self._tables = tables
        self._files = files
        self._watched_sequence = watched_sequence
        self._tell = tell
        self._doing = 0
        self.records = 0
        self.blocks = 0
        self.seals: dict[int, int] = {}
        """How many records are sealed after the seal at each place."""
        self.watched_places = (0, PLACE_MASK)
        """Where the records before and at the watched sequence number are."""

    def run(self, end: int) -> None:
        """Audit the chain up to the place `end`, and the tables. Raises Doubt, and what `tell` raises."""
        covered = 0
        for table in self._tables:
            if table.header.first_sequence != covered or not table.header.records:
                raise Doubt
            covered += table.header.records
        cuts = _cuts(self._chain, end)
        with ExitStack() as stack:
            memory = self._memory(stack)
            bench = Workbench(self._chain, self._tables, self._watched_sequence, memory)
            crew = stack.enter_context(Crew(self._chain))
            if memory is not None:
                helpers, keys = min(os.cpu_count() or 1, MOST_PROCESSES) - 1, self._chain.keys
                secret = b"" if keys is None else keys.encode()
                crew.start(helpers, describe(bench, self._files, memory), memory, secret)
            # What is in no table yet is for this process alone, which keeps the keys.
            shared = len(list(takewhile(lambda following: following.sequence <= covered, cuts[1:])))
            stretches = self._stretches(bench, crew, cuts[shared:], cuts[:shared])
            self._check_order(bench, crew)
        self._join([stretches[cut] for cut in cuts])

    def _memory(self, stack: ExitStack) -> int | None:
        """The descriptor of memory to share with helpers; None where there are to be none."""
        sizes = accumulate(map(len, self._chain.segments))
        if all(size < WORTHWHILE_BYTES for size in sizes) or not hasattr(os, "memfd_create"):
            return None
        try:
            memory = os.memfd_create("blockdb-audit")
            stack.callback(os.close, memory)
            os.truncate(memory, max(1, memory_bytes(self._tables)))
        except OSError:
            return None
        return memory

    def _stretches(self, bench: Workbench, crew: Crew, own: list[Cut], shared: list[Cut]) -> dict[Cut, Stretch]:
        stretches = {}
        for job, answer in crew.share(own, shared, partial(self._do, bench), self._breathe):
            assert isinstance(job, Cut)
            assert isinstance(answer, Stretch)
            stretches[job] = answer
            self.records += answer.records
            self.blocks += len(answer.seals)
            self._doing = 0
        return stretches

    def _check_order(self, bench: Workbench, crew: Crew) -> None:
        used = [0] * len(self._tables)
        for _, answer in crew.share([], bench.key_ranges(RANGE_RECORDS), partial(self._do, bench), self._breathe):
            assert isinstance(answer, list)
            used = list(map(add, used, answer))
        if used != [table.header.records for table in self._tables]:
            raise Doubt

    def _do(self, bench: Workbench, job: Job) -> Answer:
        self._breathe()
        return bench.do(job, self._heard)

    def _breathe(self) -> None:
        self._heard(0)

    def _heard(self, records: int) -> None:
        self._doing += records
        self._tell(self.records + self._doing, self.blocks)

    def _join(self, stretches: list[Stretch]) -> None:
        whole = Whole(self._chain)
        for stretch in stretches:
            whole.add(stretch)
        places = sorted(whole.seals)
        for table in self._tables:
            first, stop = (bisect_left(places, place) for place in (table.header.first_place, table.header.end_place))
            if table.seals != places[first:stop]:
                raise Doubt
        watched = self._watched_sequence
        self.watched_places = whole.watched.get(watched - 1, 0), whole.watched.get(watched, PLACE_MASK)
        self.seals, self.records, self.blocks = whole.seals, whole.records, whole.block_count
        self._heard(0)


def _cuts(chain: Chain, end: int) -> list[Cut]:
    """The stretches of the chain up to the place `end`, all of it. Raises Doubt.

    Where they begin, and with which record, is taken from single seals on trust: a wrong one shows when the stretches
    are put together.
    """
    cuts = []
    try:
        for number, buffer in enumerate(chain.segments):
            header = segment.decode(buffer)
            stop = split_place(end)[1] if number == split_place(end)[0] else len(buffer)
            if header[:2] != (chain.collection, number) or stop > len(buffer):
                raise Doubt
            starts = [(segment.HEADER_BYTES, header.first_sequence), *_starts(chain, number, stop)]
            ends = [offset for offset, _ in starts[1:]] + [stop]
            base = place_of(number, 0)
            cuts += [Cut(base + at, base + to, first) for (at, first), to in zip(starts, ends, strict=True)]
    except (BadFrame, StructError, IndexError):
        raise Doubt from None
    return cuts


def _starts(chain: Chain, number: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where stretches may begin within a chain file, namely after a seal, and the numbers of their first records."""
    buffer, at = chain.segments[number], segment.HEADER_BYTES
    while (found := _next_seal(chain, number, at + STRETCH_BYTES)) is not None and found[0] < stop - STRETCH_BYTES:
        at = found[0]
        following = _next_seal(chain, number, at)
        if following is None:
            return
        # Records of the next blocks may stand before this seal, which was made beside the writer.
        seal = following[1]
        segment_of_first, first = split_place(seal.first_place)
        if segment_of_first == number and at - LATE_BYTES < first:
            before = bodies(buffer, first, at)[0] if first < at else []
            yield at, seal.header.first_sequence + len(before)


def _next_seal(chain: Chain, number: int, offset: int) -> tuple[int, Seal] | None:
    """The first seal after an offset of a chain file, and where its frame ends; found by what all seals have."""
    buffer = chain.segments[number]
    while (found := buffer.find(TAG, offset)) >= 0:
        offset = found + 1
        try:
            seal, size = decode_seal(buffer, found - _TAG_OFFSET)
        except BadFrame:
            continue
        if seal.header.collection == chain.collection:
            return found - _TAG_OFFSET + size, seal
    return None
