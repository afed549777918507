"""Auditing the chain of one collection record by record: what the audit in bulk doubts is told here exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from blockdb.audit.findings import Findings
from blockdb.audit.mismatch import BadPlace, Mismatch, of_seal, of_told, pinpoint
from blockdb.audit.seals import next_seal
from blockdb.audit.stretch import Whole
from blockdb.audit.tables import TableAudit
from blockdb.format import segment
from blockdb.format.block import Seal
from blockdb.format.frame import BadFrame
from blockdb.format.place import PLACE_MASK, place_of, split_place
from blockdb.format.record import RecordFrame, key_at
from blockdb.format.walk import DamagedChain, walk, walk_part
from blockdb.ledger.merkle import EMPTY_ROOT, Frontier

STEP_RECORDS: Final = 2000
"""After so many records the progress is told, and the wish to cancel heard."""

_TOLD: Final = ("bytes", "first time", "last time", "place", "frontier")


class Cancelled(Exception):
    """The caller wants no more."""


class ChainAudit:
    """Walks the chain files of a collection, from wherever `whole` stands, and takes it further.

    `end` is the place after which nothing is looked at. Without it, a commit that was cut short at the very end is no
    damage; nor, where `forced` says what a power cut left on the disk, is whatever stands behind that.
    `keys_in_no_table` are those seen so far, and is added to.
    """

    def __init__(
        self,
        whole: Whole,
        paths: Sequence[Path],
        tables: Sequence[TableAudit],
        findings: Findings,
        progress: Callable[[int, int], None],
        end: int | None,
        forced: int | None = None,
        keys_in_no_table: set[bytes] | None = None,
    ) -> None:
        self._whole = whole
        self._paths = paths
        self._segments = whole.chain.segments
        self._tables = tables
        self._findings = findings
        self._progress = progress
        self._end = end
        self._forced = PLACE_MASK if forced is None else forced
        self._keys_in_no_table = set() if keys_in_no_table is None else keys_in_no_table
        self._astray = False
        self._told_root = EMPTY_ROOT
        self.intact = True
        """Whether all that was walked were frames."""
        self.last_good: int | None = None
        """The place of the last seal before anything in the chain that is wrong; None while nothing is."""
        self.reached = 0
        """The place up to which frames were walked."""

    @property
    def records(self) -> int:
        """How many records were seen, by this audit and those before it."""
        return self._whole.records

    def run(self, start: int, resume: Mapping[int, int], *, first: bool = False) -> int | None:
        """Audit from the place `start` on, where a commit begins.

        Ends at the first of the places in `resume` at which the record named there is the next one, and all before is
        clear, and returns it; or returns None at the end of the chain, at damage, and with `first` once anything is
        wrong. Raises Cancelled by way of `progress`.
        """
        number, offset = split_place(start)
        found_before = len(self._findings.problems)
        while number < len(self._segments):
            self.reached = place_of(number, offset)
            if self.reached != start and self._may_resume(self.reached, resume):
                return self.reached
            if offset == segment.HEADER_BYTES and not self._check_header(number):
                return None
            for at, after, frame in self._walk(number, offset):
                self._take(at, self._paths[number], frame)
                self.reached = place_of(number, after)
                if first and len(self._findings.problems) > found_before:
                    return None
                if self._may_resume(self.reached, resume):
                    return self.reached
            if not self.intact:
                return None
            number, offset = number + 1, segment.HEADER_BYTES
        self._progress(self._whole.records, self._whole.block_count)
        return None

    def finish(self) -> None:
        """Every record was seen, by this audit alone: now nothing else may be in the tables."""
        places = sorted(self._whole.seals)
        for table in self._tables:
            seals = [place for place in places if table.header.first_place <= place < table.header.end_place]
            table.finish(self._key_at, seals)

    def _may_resume(self, place: int, resume: Mapping[int, int]) -> bool:
        return not self._astray and resume.get(place) == self._whole.records

    def _check_header(self, number: int) -> bool:
        path = self._paths[number]
        try:
            header = segment.decode(self._segments[number])
        except BadFrame as error:
            self._damage(path, 0, Mismatch(str(error)))
            return False
        whole = self._whole
        wanted = (whole.chain.collection, number)
        if header[:2] != wanted:
            texts = (f"file {part} of collection {of.hex()}" for of, part in (wanted, header[:2]))
            self._damage(path, 0, Mismatch("the chain file belongs elsewhere", *texts))
            return False
        if header.first_sequence != whole.records:
            before = number - 1 if number else number
            self._damage(
                self._paths[before],
                len(self._segments[before]),
                Mismatch(
                    f"the chain file was cut: {path.name} begins with record {header.first_sequence}",
                    f"record {whole.records}",
                    f"record {header.first_sequence}",
                ),
            )
            return False
        return True

    def _walk(self, number: int, offset: int) -> Iterator[tuple[int, int, RecordFrame | Seal]]:
        buffer, path = self._segments[number], self._paths[number]
        stop = len(buffer)
        if self._end is not None and number == split_place(self._end)[0]:
            stop = split_place(self._end)[1]
        if stop > len(buffer):
            what = f"the chain file was cut: it should have at least {stop} bytes"
            self._damage(path, len(buffer), Mismatch(what, f"{stop} bytes", f"{len(buffer)} bytes"))
            return
        base = place_of(number, 0)
        try:
            for at, after, frame in walk(buffer, offset, stop):
                yield base + at, after, frame
        except DamagedChain as error:
            last = number == len(self._segments) - 1
            unsure = error.torn or base + error.offset >= self._forced
            if self._end is None and last and unsure:
                return
            bad = BadPlace(error.offset, 0) if error.torn else pinpoint(buffer, error.offset, stop)
            seen_wrong = self.last_good is not None
            self._damage(path, bad.offset, Mismatch(str(error), bad.expected, bad.found), base, bad)
            if not seen_wrong:
                self._close_before(base + error.offset, base + bad.offset)

    def _damage(self, path: Path, offset: int, wrong: Mismatch, base: int = 0, bad: BadPlace | None = None) -> None:
        self.intact = False
        self._note_wrong()
        sequence, is_seal = self._whole.records, bad is not None and bad.is_seal
        sequence += bad.records_before if bad is not None else 0
        key = bad.key if bad is not None else None
        table = self._table_for(sequence)
        if key is not None and not (table is not None and table.leads_to(key, base + offset)):
            key = None  # the damage may well be in there
        self._findings.add(
            path,
            wrong.what,
            offset=offset,
            block=self._whole.block_count if is_seal else self._block_of(sequence, base + offset),
            sequence=None if is_seal else sequence,
            key=key,
            expected=wrong.expected,
            found=wrong.found,
        )

    def _block_of(self, sequence: int, place: int) -> int:
        """The block of a record: that of the first seal behind it which covers it. O(bytes up to there)."""
        number, offset = split_place(place)
        while number < len(self._segments):
            while (found := next_seal(self._whole.chain, number, offset)) is not None:
                _, offset, seal = found
                if seal.header.first_sequence > sequence:
                    break
                if sequence < seal.header.first_sequence + seal.header.records:
                    return seal.header.number
            if found is not None:
                break
            number, offset = number + 1, 0
        return self._whole.block_count

    def _close_before(self, place: int, damaged: int) -> None:
        """Take the records of the commit at a place before its damage, and the blocks that are complete with them.

        Their seals stand behind the damage. So it is known which block is the last that holds.
        """
        (number, offset), at = split_place(place), split_place(damaged)[1]
        whole, base = self._whole, place_of(number, 0)
        with suppress(DamagedChain):
            for start, _, frame in walk_part(self._segments[number], offset, at):
                if isinstance(frame, RecordFrame):
                    self._expect(frame, base + start)
        while (found := next_seal(whole.chain, number, at)) is not None:
            start, at, seal = found
            if of_seal(seal, whole.blocks.head, whole.chain.collection, whole.chain.public_keys) is not None:
                return
            if self._check_records(seal) is not None:
                return
            whole.blocks.head = whole.blocks.head.after(seal.header)
            self.last_good = base + start

    def _expect(self, frame: RecordFrame, place: int) -> None:
        """A seal will have to answer for this record."""
        pending = self._whole.pending
        pending.leaves.append(sha256(frame.leaf).digest())
        pending.sizes.append(frame.data_bytes)
        pending.places.append(place)

    def _note_wrong(self) -> None:
        if self.last_good is None:
            self.last_good = next(reversed(self._whole.seals), 0)

    def _take(self, place: int, path: Path, frame: RecordFrame | Seal) -> None:
        if isinstance(frame, Seal):
            self._take_seal(place, path, frame)
            return
        whole = self._whole
        self._expect(frame, place)
        self._check_key(frame.key, place, path)
        if whole.records in whole.wanted:
            whole.watched[whole.records] = place
        whole.records += 1
        if not whole.records % STEP_RECORDS:
            self._progress(whole.records, whole.block_count)

    def _check_key(self, key: bytes, place: int, path: Path) -> None:
        """The record must be found by its key, and be the only one that is."""
        sequence = self._whole.records
        table = self._table_for(sequence)
        if table is not None:
            table.see_record(key, place, sequence, self._block_of)
        again = table is None and key in self._keys_in_no_table
        for other in self._tables:  # twice in one table shows in its order
            again = again or (other is not table and other.earlier(key, place, self._key_at))
        if again:
            offset, block = split_place(place)[1], self._block_of(sequence, place)
            self._findings.add(path, "the key is stored twice", offset=offset, block=block, sequence=sequence, key=key)
        if table is None:
            self._keys_in_no_table.add(key)

    def _table_for(self, sequence: int) -> TableAudit | None:
        for table in self._tables:
            if table.covers(sequence):
                return table
        return None

    def _take_seal(self, place: int, path: Path, seal: Seal) -> None:
        whole, chain = self._whole, self._whole.chain
        head = whole.blocks.head
        wrong = of_seal(seal, head, chain.collection, chain.public_keys) or self._check_records(seal)
        if wrong is not None:
            self._note_wrong()
            self._findings.add(
                path,
                wrong.what,
                offset=split_place(place)[1],
                block=seal.header.number,
                expected=wrong.expected,
                found=wrong.found,
            )
        whole.blocks.head = head.after(seal.header)
        whole.seals[place] = seal.header.first_sequence + seal.header.records

    def _check_records(self, seal: Seal) -> Mismatch | None:
        """Recompute from the records all that the seal says of them."""
        header, blocks, number = seal.header, self._whole.blocks, seal.header.number
        count = header.records
        if header.first_sequence != blocks.frontier.size or not 0 < count <= len(self._whole.pending):
            return Mismatch(
                f"block {number} does not cover the records that follow the block before it",
                f"from record {blocks.frontier.size} on, at most {len(self._whole.pending)}",
                f"from record {header.first_sequence} on, {count}",
            )
        if self._astray and len(seal.frontier) == header.first_sequence.bit_count():
            # one changed record is to accuse its own block, not all that follow
            blocks.frontier = Frontier(header.first_sequence, seal.frontier)
        before = blocks.frontier.hashes
        root_before = blocks.frontier.root() if self._astray else self._told_root
        before_fits = root_before == self._told_root
        records = self._whole.pending.take(count)
        self._whole.chunks += blocks.frontier.extend(records.leaves)
        root = blocks.frontier.root()
        time_at, places = self._whole.chain.time_at, records.places
        told = (header.data_bytes, header.first_time_ms, header.last_time_ms, seal.first_place, seal.frontier)
        found = (sum(records.sizes), time_at(places[0]), time_at(places[-1]), places[0], before)
        told_root_before, self._told_root = self._told_root, header.root
        self._astray = header.root != root
        if self._astray or not before_fits:
            what = f"Hash mismatch at block {number}: its records do not have its Merkle root"
            expected, is_ = (header.root, root) if self._astray else (told_root_before, root_before)
            return Mismatch(what, expected.hex(), is_.hex())
        if told == found:
            return None
        what = f"block {number} tells other sizes, times or places than its records have"
        return of_told(what, _TOLD, told, found)

    def _key_at(self, place: int) -> bytes:
        """The key there; none where there is no record, which is a wrong place and told as a wrong order."""
        number, offset = split_place(place)
        try:
            return key_at(self._segments[number], offset)
        except (BadFrame, IndexError):
            return b""
