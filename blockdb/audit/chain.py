"""Auditing the chain of one collection: every frame, every leaf, every block, every signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from blockdb.audit.findings import Findings
from blockdb.audit.tables import TableAudit
from blockdb.format import segment
from blockdb.format.block import Seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.place import PLACE_MASK, place_of, split_place
from blockdb.format.record import RecordFrame, key_at
from blockdb.format.walk import DamagedChain, walk
from blockdb.ledger.chain import Head, check_seal
from blockdb.ledger.merkle import EMPTY_ROOT, Frontier

STEP_RECORDS: Final = 2000
"""After so many records the progress is told, and the wish to cancel heard."""


class Cancelled(Exception):
    """The caller wants no more."""


@dataclass
class Pending:
    """What the next seal has to answer for."""

    leaves: list[bytes]
    data_bytes: list[int]
    times: list[int]
    places: list[int]

    def drop(self, count: int) -> None:
        """Forget the first records: a seal covers them."""
        for column in (self.leaves, self.data_bytes, self.times, self.places):
            del column[:count]


class ChainAudit:
    """Walks the chain files of a collection once, from the first byte to `end`."""

    def __init__(
        self,
        collection: bytes,
        public_keys: Mapping[bytes, bytes],
        tables: list[TableAudit],
        findings: Findings,
        progress: Callable[[int, int], None],
        watched_sequence: int,
    ) -> None:
        self._collection = collection
        self._public_keys = public_keys
        self._tables = list(tables)
        self._findings = findings
        self._progress = progress
        self._segments: Sequence[tuple[Path, Buffer]] = []
        self._pending = Pending([], [], [], [])
        self._frontier = Frontier()
        self._astray = False
        self._told_root = EMPTY_ROOT
        self._head = Head()
        self._keys_in_no_table: set[bytes] = set()
        self._forced = PLACE_MASK
        self.watched_sequence = watched_sequence
        self.watched_places = (0, PLACE_MASK)
        self.records = 0
        self.intact = True
        self.seals: dict[int, int] = {}
        """How many records are sealed after the seal at each place."""

    @property
    def blocks(self) -> int:
        """How many blocks were recomputed and found to follow from those before."""
        return self._head.next_number

    def run(self, segments: Sequence[tuple[Path, Buffer]], end: int | None, forced: int | None = None) -> None:
        """Audit the chain files; nothing after the place `end` is looked at. Raises Cancelled by way of `progress`.

        Without an end, a commit that was cut short at the very end is no damage; nor, where `forced` says what a power
        cut left on the disk, is whatever stands behind that.
        """
        self._segments = segments
        self._forced = PLACE_MASK if forced is None else forced
        for number, (path, buffer) in enumerate(segments):
            if not self._check_header(path, buffer, number):
                return
            stop = split_place(end)[1] if end is not None and number == split_place(end)[0] else len(buffer)
            if stop > len(buffer):
                self._damage(path, len(buffer), f"the chain file was cut: it should have at least {stop} bytes")
                return
            for place, path_, frame in self._walk(number, path, buffer, stop, end is None):
                self._take(place, path_, frame)
            if not self.intact:
                return
        self._progress(self.records, self.blocks)
        for table in self._tables:
            table.finish(self._key_at)

    def _check_header(self, path: Path, buffer: Buffer, number: int) -> bool:
        try:
            header = segment.decode(buffer)
        except BadFrame as error:
            self._damage(path, 0, str(error))
            return False
        if header[:2] != (self._collection, number):
            self._damage(path, 0, "the chain file belongs elsewhere")
            return False
        if header.first_sequence != self.records:
            before, its_bytes = self._segments[number - 1] if number else (path, buffer)
            self._damage(
                before,
                len(its_bytes),
                f"the chain file was cut: {path.name} begins with record {header.first_sequence}",
            )
            return False
        return True

    def _walk(
        self, number: int, path: Path, buffer: Buffer, stop: int, open_ended: bool
    ) -> Iterator[tuple[int, Path, RecordFrame | Seal]]:
        base = place_of(number, 0)
        try:
            for offset, _, frame in walk(buffer, segment.HEADER_BYTES, stop):
                yield base + offset, path, frame
        except DamagedChain as error:
            last = number == len(self._segments) - 1
            unsure = error.torn or base + error.offset >= self._forced
            if not (open_ended and last and unsure):
                self._damage(path, error.offset, str(error))

    def _damage(self, path: Path, offset: int, what: str) -> None:
        self.intact = False
        self._findings.add(path, what, offset=offset, block=self.blocks, sequence=self.records)

    def _take(self, place: int, path: Path, frame: RecordFrame | Seal) -> None:
        if isinstance(frame, Seal):
            self._take_seal(place, path, frame)
            return
        pending = self._pending
        pending.leaves.append(sha256(frame.leaf).digest())
        pending.data_bytes.append(len(frame.key) + len(frame.value))
        pending.times.append(frame.time_ms)
        pending.places.append(place)
        self._check_key(frame.key, place, path)
        self._note_place(place)
        self.records += 1
        if not self.records % STEP_RECORDS:
            self._progress(self.records, self.blocks)

    def _check_key(self, key: bytes, place: int, path: Path) -> None:
        """The record must be found by its key, and be the only one that is."""
        table = self._table_for_record()
        if table is not None:
            table.see_record(key, place, self.records, self.blocks)
        again = table is None and key in self._keys_in_no_table
        for other in self._tables:  # twice in one table shows in its order
            again = again or (other is not table and other.earlier(key, place, self._key_at))
        if again:
            offset = split_place(place)[1]
            self._findings.add(
                path, "the key is stored twice", offset=offset, block=self.blocks, sequence=self.records, key=key
            )
        if table is None:
            self._keys_in_no_table.add(key)

    def _note_place(self, place: int) -> None:
        """Remember where the records before and at `watched_sequence` are: the manifest says where the second is."""
        if self.records == self.watched_sequence - 1:
            self.watched_places = (place, self.watched_places[1])
        elif self.records == self.watched_sequence:
            self.watched_places = (self.watched_places[0], place)

    def _table_for_record(self) -> TableAudit | None:
        for table in self._tables:
            if table.covers(self.records):
                return table
        return None

    def _take_seal(self, place: int, path: Path, seal: Seal) -> None:
        wrong = check_seal(seal, self._head, self._collection, self._public_keys) or self._check_records(seal)
        if wrong is not None:
            self._findings.add(path, wrong, offset=split_place(place)[1], block=seal.header.number)
        self._head = self._head.after(seal.header)
        self.seals[place] = seal.header.first_sequence + seal.header.records
        for table in self._tables:
            if table.header.first_place <= place < table.header.end_place:
                table.see_seal(place)

    def _check_records(self, seal: Seal) -> str | None:
        """Recompute from the records all that the seal says of them."""
        header, pending, number = seal.header, self._pending, seal.header.number
        count = header.records
        if header.first_sequence != self._frontier.size or not 0 < count <= len(pending.leaves):
            return f"block {number} does not cover the records that follow the block before it"
        if self._astray and len(seal.frontier) == header.first_sequence.bit_count():
            # one changed record is to accuse its own block, not all that follow
            self._frontier = Frontier(header.first_sequence, seal.frontier)
        frontier_before = self._frontier.hashes
        before_fits = not self._astray or self._frontier.root() == self._told_root
        self._frontier.extend(pending.leaves[:count])
        told = (header.data_bytes, header.first_time_ms, header.last_time_ms, seal.first_place, seal.frontier)
        found = (
            sum(pending.data_bytes[:count]),
            pending.times[0],
            pending.times[count - 1],
            pending.places[0],
            frontier_before,
        )
        pending.drop(count)
        self._astray = header.root != self._frontier.root()
        self._told_root = header.root
        if self._astray or not before_fits:
            return f"Hash mismatch at block {number}: its records do not have its Merkle root"
        return None if told == found else f"block {number} tells other sizes, times or places than its records have"

    def _key_at(self, place: int) -> bytes:
        """The key there; none where there is no record, which is a wrong place and told as a wrong order."""
        number, offset = split_place(place)
        try:
            return key_at(self._segments[number][1], offset)
        except (BadFrame, IndexError):
            return b""
