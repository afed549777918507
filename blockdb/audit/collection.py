"""Auditing one collection: its metadata, manifest and mark, its tables, and its chain."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from blockdb.audit.chain import ChainAudit
from blockdb.audit.derived import Derived
from blockdb.audit.doubt import Doubt
from blockdb.audit.files import buffers_of, chain_files, map_file, read_values
from blockdb.audit.findings import Findings
from blockdb.audit.history import Trusted, first_unfit
from blockdb.audit.indexes import IndexesAudit
from blockdb.audit.recruits import WORTHWHILE_BYTES, Recruits, recruits
from blockdb.audit.seals import Placed, SealAudit
from blockdb.audit.states import Audited
from blockdb.audit.stretch import Chain, Cut, Whole, joined
from blockdb.audit.tables import TableAudit, open_table, seal_places
from blockdb.audit.watch import Watch
from blockdb.format import mark as mark_format
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.mark import Mark
from blockdb.format.place import OFFSET_BITS, place_of, split_place
from blockdb.format.segment import HEADER_BYTES
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.machine import boot_id
from blockdb.types import GoodBlock

if TYPE_CHECKING:
    from blockdb.audit.bulk import BulkAudit

Segments = Sequence[tuple[Path, Buffer]]
"""The chain files with their bytes."""

MOST_PROCESSES: Final = 8
BULK_BYTES: Final = 1024 * 1024
"""What the audit in bulk stands on takes as long to load as about so much of a chain to audit record by record."""

ATTEMPTS: Final = 5
"""A live writer may replace tables, or change the mark, while they are read; then they are looked at again."""


@dataclass(frozen=True)
class Options:
    """How an audit goes about it."""

    first: bool = False
    """Whether it ends at the first block that is bad, seals being looked at before records."""
    trusted: tuple[Trusted, ...] = ()
    """States of the past that are known from elsewhere; those of a collection fit it or it was rewritten."""
    public_keys: tuple[bytes, ...] = ()
    """Who may have signed the blocks, where that is known from elsewhere; else the database says it."""
    data_keys: DataKeys | None = None
    """With which the files of an encrypted database are opened."""
    only: str | None = None
    """The id of the one collection that is to be audited; None: all of them."""
    processes: int = field(default_factory=lambda: min(os.cpu_count() or 1, MOST_PROCESSES))


class CollectionAudit:
    """The audit of one collection; its results are there when `run` has ended, in whatever way."""

    def __init__(
        self,
        name: str,
        collection_id: str,
        files: CollectionFiles,
        public_keys: Callable[[], dict[bytes, bytes]],
        findings: Findings,
        watch: Watch,
        options: Options,
    ) -> None:
        self._name = name
        self._id = collection_id
        self._collection = UUID(collection_id.removeprefix("col_")).bytes
        self._files = files
        self._read_keys = public_keys
        self._public_keys: dict[bytes, bytes] = {}
        self._findings = findings
        self._watch = watch
        self._options = options
        self._found_before = len(findings.problems)
        self._whole: Whole | None = None
        self._exact: ChainAudit | None = None
        self._good_seal: Placed | None = None
        self._rewritten = False
        self.notes: list[str] = []
        self.audited: Audited | None = None
        """What others may be held against: a chain in which nothing is wrong."""

    @property
    def records(self) -> int:
        """How many records were recomputed."""
        return 0 if self._whole is None else self._whole.records

    @property
    def blocks(self) -> int:
        """How many blocks were."""
        return 0 if self._whole is None else self._whole.block_count

    @property
    def last_good(self) -> GoodBlock | None:
        """The last block before anything in the chain that is wrong."""
        whole = self._whole
        if whole is None or self._rewritten:
            seal = self._good_seal
            return None if seal is None else good_block(self._id, seal, recomputed=whole is not None)
        place = self._exact.last_good if self._exact is not None else None
        if place is None:
            place = next(reversed(whole.seals), 0)
        return good_block(self._id, Placed(place, whole.chain.seal_at(place)), recomputed=True) if place else None

    def run(self) -> None:
        """Audit it. Raises Cancelled, and what the watch raises."""
        files, findings = self._files, self._findings
        metadata = read_values(files.metadata, "collection", findings)
        if metadata is not None and metadata.get("id") != self._id:
            what = "the metadata is that of another collection"
            findings.add(files.metadata, what, expected=self._id, found=str(metadata.get("id")))
        if metadata is not None and not self._has_its_keys(bool(metadata.get("encrypted"))):
            return
        if self._options.first or self._options.trusted:
            self._seals()
            if self._is_enough():
                return
        with recruits() as helpers:
            if self._chain_bytes() >= WORTHWHILE_BYTES:
                keys = self._options.data_keys
                helpers.start(self._options.processes - 1, b"" if keys is None else keys.encode())
            self._all(helpers)

    def _all(self, helpers: Recruits) -> None:
        """Audit the chain, and all that is made of it."""
        files, findings, keys = self._files, self._findings, self._options.data_keys
        derived = Derived(name=self._name, collection_id=self._id, files=files, findings=findings, keys=keys)
        indexes = IndexesAudit(files, self._collection, findings, keys)
        manifest, tables = self._manifest_and_tables()
        if manifest is not None and manifest.get("collection") != self._id:
            what = "the manifest is that of another collection"
            findings.add(files.manifest, what, expected=self._id, found=str(manifest.get("collection")))
        mark, segments = self._mark(), self._segments()
        if segments is None:
            return
        self._public_keys = self._read_keys()  # now: a writer may have changed its key
        self._watch.total += (manifest or {}).get("flushed_sequence", 0)
        watched = (manifest or {"replay": {"sequence": 0}})["replay"]["sequence"]
        end, forced = self._end(mark, segments), self._forced(mark, manifest)
        self._found_before = len(findings.problems)
        intact = self._chain(segments, tables, watched, end, forced, helpers)
        if intact and manifest is not None and not self._is_enough():
            self._check_manifest(manifest, tables)
            if self._whole is not None and self._exact is not None and self._exact.last_good is None:
                derived.check(self._whole, end, manifest["flushed_sequence"])
                indexes.check(self._whole.chain, self._watch, end)
                self.audited = Audited(files.chain, self._whole, end)

    def _has_its_keys(self, is_encrypted: bool) -> bool:
        keyring = DatabaseFiles(self._files.root.parent.parent).keyring
        if is_encrypted and self._options.data_keys is None:
            self._findings.add(keyring, "the file is missing, and there is an encrypted collection")
        elif self._options.data_keys is not None and not is_encrypted:
            self._findings.add(self._files.metadata, "the collection is not encrypted, and there are keys for it")
        return is_encrypted == (self._options.data_keys is not None)

    def _is_enough(self) -> bool:
        return self._options.first and len(self._findings.problems) > self._found_before

    def _seals(self) -> None:
        """Look at the seals alone, and at the states of the past that are known."""
        self._found_before = len(self._findings.problems)
        mark, segments = self._mark(), self._segments()
        end = self._end(mark, segments) if segments is not None else None
        del self._findings.problems[self._found_before :]  # they are told when the rest is looked at
        if segments is None:
            return
        self._public_keys = self._read_keys()
        chain, paths = self._chain_of(segments), [path for path, _ in segments]
        seals = SealAudit(chain, self._seal_places(), end)
        states = sorted(self._options.trusted, key=lambda state: state.size)
        unfit = first_unfit(seals, states) if seals.bad is None else None
        self._watch.read(seals.read_bytes)
        good = seals.good
        if self._options.first and seals.bad is not None:
            number, offset = split_place(seals.bad.place)
            what, expected, found = seals.bad.wrong
            block = seals.bad.block
            self._findings.add(paths[number], what, offset=offset, block=block, expected=expected, found=found)
            self.notes.append("The seals alone were looked at; no record before that was recomputed.")
        elif unfit is not None:
            self._rewritten = True
            good = [placed for placed in good if placed.size <= unfit.size_before]
            place = next((placed.place for placed in seals.good if placed.size > unfit.size_before), 0)
            path, block = paths[place >> OFFSET_BITS] if place else paths[-1], len(good)
            what, sequence = unfit.what, unfit.size_before
            expected, found = unfit.expected, unfit.found
            self._findings.add(path, what, block=block, sequence=sequence, expected=expected, found=found)
            self.notes.append("Which records were rewritten, only a copy of what was there before can tell.")
        self._good_seal = good[-1] if good else None

    def _chain(
        self,
        segments: Segments,
        tables: list[TableAudit],
        watched: int,
        end: int | None,
        forced: int | None,
        helpers: Recruits,
    ) -> bool:
        """Audit the chain and its tables: in bulk, and where it is small or that leaves a doubt, record by record.

        Says whether the whole chain is made of frames.
        """
        before = len(self._findings.problems)
        chain, paths = self._chain_of(segments), [path for path, _ in segments]

        def exact(whole: Whole, keys_in_no_table: set[bytes]) -> ChainAudit:
            return ChainAudit(whole, paths, tables, self._findings, self._watch.tell, end, forced, keys_in_no_table)

        self._whole = Whole(chain, watched)
        if not _is_small(chain.segments):
            from blockdb.audit.bulk import BulkAudit  # here: numpy takes as long to load as all the rest

            with (
                suppress(Doubt),
                BulkAudit(self._whole, tables, self._files, self._watch.tell, self._watch.read, helpers, end) as bulk,
            ):
                self._exact = exact(self._whole, bulk.keys_in_no_table)
                return self._in_bulk(bulk, self._exact, bulk.cuts)
            del self._findings.problems[before:]
            self._whole = Whole(chain, watched)
        self._exact = exact(self._whole, set())
        self._exact.run(place_of(0, HEADER_BYTES), {}, first=self._options.first)
        self._watch.read(sum(map(len, chain.segments)))
        if self._exact.intact and not self._is_enough():
            self._exact.finish()
        return self._exact.intact

    def _in_bulk(self, bulk: BulkAudit, exact: ChainAudit, cuts: Sequence[Cut]) -> bool:
        """Go through the stretches of the chain, each in bulk, and through those in doubt record by record.

        Raises Doubt where it takes all records, one by one, to tell what is wrong.
        """
        left = bulk.advance(cuts)
        while left:
            start, records = left[0].start, exact.records
            bulk.halt(start)
            resume = {cut.start: cut.sequence for cut in left[1:]}
            reached = exact.run(start, resume, first=self._options.first)
            if self._is_enough():
                return exact.intact
            done = [cut for cut in left if cut.start < exact.reached]
            if not exact.intact:
                bulk.check_distinct(exact.reached)
                return False
            bulk.look_again(joined(done, records, exact.reached))
            left = bulk.advance(left[len(done) :]) if reached is not None else ()
        bulk.check_tables()
        return True

    def _chain_of(self, segments: Segments) -> Chain:
        return Chain(self._collection, self._public_keys, buffers_of(segments), self._options.data_keys)

    # What is around the chain.

    def _chain_bytes(self) -> int:
        """About how large the chain is; its last file may have more bytes, which are reserved."""
        files = self._files
        with suppress(OSError, BadFrame):
            number, offset = split_place(mark_format.decode(files.mark.read_bytes()).written)
            last = files.segment(number).name
            return offset + sum(path.stat().st_size for path in files.chain.iterdir() if path.name < last)
        return 0

    def _seal_places(self) -> list[int]:
        """Where the tables say that seals are, if they can be read at all."""
        unheard = Findings(self._findings.root)
        manifest = read_values(self._files.manifest, "manifest", unheard)
        paths = map(self._files.table, (manifest or {}).get("tables", []))
        found = (map_file(path, unheard, self._options.data_keys) for path in paths)
        return [place for buffer in found if buffer is not None for place in seal_places(buffer)]

    def _manifest_and_tables(self) -> tuple[dict[str, Any] | None, list[TableAudit]]:
        files, findings = self._files, self._findings
        for _ in range(ATTEMPTS):
            before = len(findings.problems)
            manifest = read_values(files.manifest, "manifest", findings)
            tables = self._tables(manifest)
            if len(findings.problems) == before or manifest == read_values(files.manifest, "manifest", findings):
                break
            del findings.problems[before:]
        return manifest, tables

    def _mark(self) -> Mark | None:
        wrong = "the mark belongs to another collection"
        for _ in range(ATTEMPTS):
            try:
                mark = mark_format.decode(self._files.mark.read_bytes())
            except OSError as error:
                wrong = f"the file cannot be read: {error.strerror}"
            except BadFrame as error:
                wrong = str(error)
            else:
                if mark.collection == self._collection:
                    return mark
        self._findings.add(self._files.mark, wrong)
        return None

    def _end(self, mark: Mark | None, segments: Segments) -> int | None:
        """Where the audit ends: at what was written, as far as the mark can be believed; else at the last byte."""
        if mark is None or self._is_cut_off(mark):
            return None
        last = len(segments) - 1
        if mark.written >> 32 > last:
            self._findings.add(self._files.segment(last + 1), "the chain file is missing")
            return None
        if last > mark.written >> 32 and len(segments[last][1]) == HEADER_BYTES:
            last -= 1  # it was begun for a record that never came
        at_end = mark.written == place_of(last, len(segments[last][1]))
        if mark.clean and not at_end:
            path, is_at = segments[last][0], place_of(last, len(segments[last][1]))
            what = "the chain file does not have the size that it had when it was closed"
            self._findings.add(path, what, expected=f"an end at {mark.written}", found=f"an end at {is_at}")
        return mark.written if mark.clean or mark.written >> 32 == last else None

    def _forced(self, mark: Mark | None, manifest: dict[str, Any] | None) -> int | None:
        """Up to where a power cut left everything on the disk; None where there was none."""
        if mark is None or not self._is_cut_off(mark):
            return None
        return max(mark.forced, int((manifest or {}).get("flushed_place", 0)))

    @staticmethod
    def _is_cut_off(mark: Mark) -> bool:
        """Whether the machine went down under the writer: then the mark may be older than the chain, or younger."""
        return not mark.clean and not mark.is_of(boot_id())

    def _segments(self) -> Segments | None:
        files = self._files
        names = [path.name for path in files.chain.iterdir()] if files.chain.is_dir() else []
        return chain_files(files, max(len(segment_numbers(names)), 1), self._findings, self._options.data_keys)

    def _tables(self, manifest: dict[str, Any] | None) -> list[TableAudit]:
        numbers = (manifest or {}).get("tables", [])
        paths = [self._files.table(number) for number in numbers]
        keys = self._options.data_keys
        buffers = [map_file(path, self._findings, keys) for path in paths]  # all of them, before a writer replaces one
        tables = []
        for number, path, buffer in zip(numbers, paths, buffers, strict=True):
            self._watch.read(0 if buffer is None else len(buffer))
            table = open_table(path, buffer, self._collection, self._findings) if buffer is not None else None
            if table is not None and table.header.number != number:
                self._findings.add(path, f"the file holds table {table.header.number}", offset=0)
            if table is not None:
                tables.append(table)
        return tables

    def _check_manifest(self, manifest: dict[str, Any], tables: list[TableAudit]) -> None:
        covered = 0
        for table in tables:
            first = table.header.first_sequence
            if first != covered:
                what = f"the table begins with record {first}, not {covered}"
                self._findings.add(table.path, what, expected=f"record {covered}", found=f"record {first}")
            covered = table.sequences.stop
        path, flushed = self._files.manifest, manifest["flushed_sequence"]
        if len(tables) == len(manifest["tables"]) and covered != flushed:
            what = f"its tables hold {covered} records, not {flushed}"
            self._findings.add(path, what, expected=f"{flushed} records", found=f"{covered} records")
        assert self._whole is not None
        replay, (before, at) = manifest["replay"], self._whole.watched_places
        sealed = self._whole.seals.get(replay["head_seal"]) if replay["head_seal"] else 0
        if sealed != replay["sequence"] or not before < replay["place"] <= at:
            self._findings.add(path, "it does not name the place of a seal from which the log goes on")


def _is_small(segments: Sequence[Buffer]) -> bool:
    """Whether the audit record by record ends before the one in bulk has begun."""
    return not any(total >= BULK_BYTES for total in accumulate(map(len, segments)))


def good_block(collection_id: str, placed: Placed, *, recomputed: bool) -> GoodBlock:
    """What is told of a block that holds."""
    header = placed.seal.header
    return GoodBlock(
        collection_id, header.number, placed.size, header.root, header.hash(), header.last_time_ms, recomputed
    )
