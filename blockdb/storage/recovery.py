"""Recovery: from the files of a collection to the state that its writer, or a reader, goes on from.

Reads the log from the manifest's replay point, never the whole chain. What the mark vouches for must be intact:
anything else there is corruption, and said so. Beyond it a commit that was cut short is what a killed writer leaves
behind; nobody was told that it was stored.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import add
from pathlib import Path
from time import perf_counter
from typing import Final

from blockdb.errors import Corruption
from blockdb.format import mark as mark_format
from blockdb.format import segment
from blockdb.format.block import Seal
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from blockdb.format.place import place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.reserved import is_torn, whole_at
from blockdb.format.walk import DamagedChain, Decided, Run, Step
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Head
from blockdb.ledger.merkle import Frontier
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.table import Table
from blockdb.storage.chain import Chain, Stretch
from blockdb.storage.door import Door
from blockdb.storage.manifest import Manifest


@dataclass(frozen=True)
class Opening:
    """What there is to tell of a recovery."""

    next_sequence: int
    records: int
    """How many were read from the log."""
    elapsed_ms: float
    mark_damage: str | None


@dataclass
class Recovered:
    """The state after replay."""

    chain: Chain
    tables: Sequence[Table]
    """Those that the manifest counts: a key of theirs must not come again."""
    memtable: Memtable
    end: int
    """Where the next frame goes."""
    forced: int
    next_sequence: int
    last_time_ms: int = 0
    last_seal: tuple[int, Seal] | None = None
    """The newest seal and its place."""
    pending_places: list[int] = field(default_factory=list)
    pending_bytes: list[int] = field(default_factory=list)
    """The records that no seal covers yet: where they are, and how many bytes of key and value they have."""
    torn_bytes: int = 0
    """What a write that was cut short left behind the last commit."""
    records: int = 0
    elapsed_ms: float = 0.0
    mark_damage: str | None = None

    @property
    def opening(self) -> Opening:
        """What there is to tell of it."""
        return Opening(self.next_sequence, self.records, self.elapsed_ms, self.mark_damage)

    @property
    def head(self) -> Head:
        """Where the chain stands."""
        return Head() if self.last_seal is None else Head().after(self.last_seal[1].header)

    def replay(self, stretch: Stretch, flushed_sequence: int, decided: Decided | None = None) -> None:
        """Account for all of a stretch of the log; its first `flushed_sequence` records are in tables.

        Raises Corruption for a key that is there already, and DamagedChain, once what is before the damage is taken;
        a batch of a transaction that was not decided is damage.
        """
        for _ in self.replaying(stretch, flushed_sequence, decided):
            pass

    def replaying(self, stretch: Stretch, flushed_sequence: int, decided: Decided | None = None) -> Iterator[None]:
        """The same in steps: some records, then a pause, in which the memtable may be changed for another."""
        base = stretch.base
        for part in stretch.runs(decided):
            if isinstance(part, Run):
                self._take_run(part, base, flushed_sequence)
            else:
                at, end, frame = part
                self._take(base + at, base + end, frame, flushed_sequence)
            yield

    def _take_run(self, run: Run, base: int, flushed_sequence: int) -> None:
        places = array("Q", map(base.__add__, run.offsets))
        sizes = list(map(add, map(len, run.keys), map(len, run.values)))
        in_tables = min(max(flushed_sequence - self.next_sequence, 0), len(places))
        keys, values = run.keys[in_tables:], run.values[in_tables:]
        memtable, before = self.memtable, len(self.memtable)
        memtable.extend(dict(zip(keys, values, strict=True)), places[in_tables:], sum(sizes[in_tables:]))
        if len(memtable) != before + len(keys) or self._first_in_tables(keys) is not None:
            self._refuse_doubled(keys, places[in_tables:], before)
        self.records += len(keys)
        self.pending_places.extend(places)
        self.pending_bytes.extend(sizes)
        self.next_sequence += len(places)
        self.last_time_ms = self.chain.record_at(places[-1]).time_ms
        self.end = base + run.end

    def _refuse_doubled(self, keys: list[bytes], places: Sequence[int], before: int) -> None:
        seen = set(list(self.memtable.index)[:before])
        for key, place in zip(keys, places, strict=True):
            if key in seen or self._first_in_tables([key]) is not None:
                raise self.chain.corruption(place, f"the key {key!r} is stored twice")
            seen.add(key)

    def _take(self, place: int, end: int, frame: RecordFrame | Seal, flushed_sequence: int) -> None:
        """Account for the next frame of the log."""
        if isinstance(frame, Seal):
            self._take_seal(place, frame)
        else:
            self._take_record(place, frame, flushed_sequence)
        self.end = end

    def _take_record(self, place: int, frame: RecordFrame, flushed_sequence: int) -> None:
        if self.next_sequence >= flushed_sequence:
            if frame.key in self.memtable.index or self._first_in_tables([frame.key]) is not None:
                raise self.chain.corruption(place, f"the key {frame.key!r} is stored twice")
            self.memtable.append(frame.key, frame.value, place)
            self.memtable.size_bytes += frame.data_bytes - len(frame.key) - len(frame.value)  # of what was redacted
            self.records += 1
        self.pending_places.append(place)
        self.pending_bytes.append(frame.data_bytes)
        self.next_sequence += 1
        self.last_time_ms = frame.time_ms

    def _first_in_tables(self, keys: Sequence[bytes]) -> bytes | None:
        """One of the keys that a table has already, or None."""
        if not self.tables:
            return None
        hashes = list(map(key_hash, keys))
        found = (table.first_of(keys, hashes) for table in self.tables)
        return next((key for key in found if key is not None), None)

    def _take_seal(self, place: int, seal: Seal) -> None:
        if self.last_seal is not None and seal.header.number <= self.last_seal[1].header.number:
            return  # a batch ended in the next block, where replay begins: the seal of the one before comes after it
        del self.pending_places[: seal.header.records]
        del self.pending_bytes[: seal.header.records]
        self.last_seal = (place, seal)
        if seal.header.number >= self.memtable.first_block:
            self.memtable.seals.append(place)


READ_ATTEMPTS: Final = 5
"""The mark of a live writer may be read in the middle of a change; then it is read again."""


def read_mark(door: Door, path: Path, owner: bytes) -> Mark | str:
    """A mark on disk, or what is wrong with it. `owner` is the 16 bytes of whom it should belong to."""
    wrong = ""
    for _ in range(READ_ATTEMPTS):
        try:
            mark = mark_format.decode(door.read(path))
        except FileNotFoundError:
            return "the mark is missing"
        except BadFrame as error:
            wrong = str(error)
            continue
        return mark if mark.collection == owner else "the mark belongs to another collection"
    return wrong


@dataclass(frozen=True)
class Trust:
    """What the mark lets us believe of the log."""

    place: int
    """Up to here everything must be intact."""
    rubbish: bool
    """Whether what follows may be anything: after a power cut, pages that were not forced.

    After a kill, the one commit that was being stored into a window: its bytes need not come in their order.
    """
    end: int | None
    """Where the log must end, if it was closed."""


def trust_in(mark: Mark | str, boot_id: bytes, flushed_place: int, has_windows: bool = False) -> Trust:
    """All that was written must be there, unless the machine went down since: then what was forced.

    After a power cut the page of the mark may be younger, or older, than those of the log. Whatever tables point at
    was forced before they were written.
    """
    if isinstance(mark, str):
        return Trust(flushed_place, rubbish=False, end=None)
    if mark.clean:
        return Trust(mark.written, rubbish=False, end=mark.written)
    if mark.is_of(boot_id):
        return Trust(mark.written, rubbish=has_windows, end=None)
    return Trust(max(mark.forced, flushed_place), rubbish=True, end=None)


def recover(
    door: Door,
    files: CollectionFiles,
    collection: bytes,
    chain: Chain,
    manifest: Manifest,
    tables: Sequence[Table],
    decided: Decided | None = None,
) -> Recovered:
    """Replay the log on top of the tables that the manifest counts.

    `decided` tells which transactions over several collections were decided, for a log that was not closed: after a
    power cut, the batch of another one is cut off like a torn commit. O(log since the last flush). Raises Corruption.
    """
    start = perf_counter()
    replay = manifest.replay
    memtable = Memtable(manifest.flushed_sequence, next_block(tables), manifest.flushed_place)
    state = Recovered(chain, tables, memtable, replay.place, replay.place, replay.sequence)
    mark = read_mark(door, files.mark, collection)
    state.mark_damage = mark if isinstance(mark, str) else None
    state.forced = segment.HEADER_BYTES if isinstance(mark, str) else mark.forced
    if replay.head_seal:
        state.last_seal = (replay.head_seal, chain.seal_at(replay.head_seal))
        state.last_time_ms = state.last_seal[1].header.last_time_ms
    trust = trust_in(mark, door.boot_id(), manifest.flushed_place, has_windows=True)
    _replay(state, files, chain, manifest, trust, decided if trust.end is None else None)
    if trust.end is not None and (state.torn_bytes or not is_end(state.end, trust.end)):
        raise chain.corruption(trust.end, "the chain does not end where it did when it was closed")
    state.forced = min(state.forced, state.end)
    state.elapsed_ms = (perf_counter() - start) * 1000
    return state


def next_block(tables: Sequence[Table]) -> int:
    """The number of the first block that no table knows."""
    return tables[-1].header.first_block + tables[-1].header.seals if tables else 0


def is_end(end: int, written: int) -> bool:
    """Whether a chain that was closed at `written` ends where it should.

    A chain file that was begun for a record that never came has no more than its header.
    """
    return end in (written, place_of(split_place(written)[0] + 1, segment.HEADER_BYTES))


def _replay(
    state: Recovered,
    files: CollectionFiles,
    chain: Chain,
    manifest: Manifest,
    trust: Trust,
    decided: Decided | None,
) -> None:
    last_segment = chain.segments() - 1
    _require(files, chain, last_segment, trust.place)
    number, offset = split_place(state.end)
    while number <= last_segment:
        base, size = place_of(number, 0), chain.size(number)
        offset = max(offset, segment.HEADER_BYTES)
        state.end = base + offset
        if number == last_segment and trust.end is None:
            _replay_last(state, chain, offset, manifest.flushed_sequence, trust, decided)
            state.torn_bytes = base + size - state.end
        else:
            for stretch in chain.stretches_of(number, offset, size):
                damage = _damage_in(state, stretch, manifest.flushed_sequence, decided)
                if damage is not None:
                    raise chain.corruption(stretch.base + damage.offset, str(damage))
        if number < last_segment and chain.first_sequence(number + 1) != state.next_sequence:
            raise chain.corruption(base + size, f"the chain file was cut: {number + 1} does not go on from it")
        number, offset = number + 1, 0


def _replay_last(
    state: Recovered, chain: Chain, offset: int, flushed_sequence: int, trust: Trust, decided: Decided | None
) -> None:
    """Replay the file at the end of a log that was not closed: zeros that were reserved may stand behind the frames.

    It is read as if it ended before the zeros at its end. A commit that is cut by that is whole with some of them,
    since they may be the last bytes of a value; or else it is torn.
    """
    number = split_place(state.end)[0]
    size = chain.size(number)
    vouched = split_place(trust.place)[1] if trust.place >= place_of(number, 0) else 0
    filled = min(max(chain.filled(number), vouched, offset), size)
    for stretch in chain.stretches_of(number, offset, filled):
        damage = _damage_in(state, stretch, flushed_sequence, decided)
        if damage is not None and damage.torn:
            whole = whole_at(stretch.buffer, damage.offset, size)
            if whole is not None:
                rest = stretch._replace(first=damage.offset, last=whole)
                damage = _damage_in(state, rest, flushed_sequence, decided)
        if damage is not None:
            place = stretch.base + damage.offset
            may_be_cut = trust.rubbish or damage.torn or is_torn(stretch.buffer, damage.offset, filled)
            if place < trust.place or not may_be_cut:
                raise chain.corruption(place, str(damage))


def _damage_in(
    state: Recovered, stretch: Stretch, flushed_sequence: int, decided: Decided | None
) -> DamagedChain | None:
    try:
        state.replay(stretch, flushed_sequence, decided)
    except DamagedChain as damage:
        return damage
    return None


def _require(files: CollectionFiles, chain: Chain, last_segment: int, trusted: int) -> None:
    number, offset = split_place(trusted)
    path = files.segment(number)
    if number > last_segment:
        raise Corruption(str(path), None, "the chain file is missing")
    size = chain.size(number)
    if size < offset:
        raise Corruption(str(path), size, f"the chain file was cut: it should have at least {offset} bytes")


def frontier_after(chain: Chain, seal: Seal | None, stop: int) -> Frontier:
    """The tree after a block, recomputed from that block alone; its records lie before the place `stop`.

    Raises Corruption where they do not fit.
    """
    if seal is None:
        return Frontier()
    frontier = Frontier(seal.header.first_sequence, seal.frontier)
    frontier.extend(_leaves(chain.walk(seal.first_place, stop), seal.header.records))
    if frontier.root() != seal.header.root:
        raise chain.corruption(
            seal.first_place, f"the records do not have the Merkle root of block {seal.header.number}"
        )
    return frontier


def _leaves(steps: Iterable[Step], count: int) -> list[bytes]:
    leaves = []
    for _, _, frame in steps:
        if isinstance(frame, RecordFrame):
            leaves.append(sha256(frame.leaf).digest())
            if len(leaves) == count:
                break
    return leaves
