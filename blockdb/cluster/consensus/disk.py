"""The log of consensus on the disk: entries and hard state in files that only grow. Format page: docs/formats/raft.md.

Nothing is ever changed in place: entries that replace others are appended as all are, and a compaction removes whole
files. So a write is one call, a force is one call, and a crash leaves a log that some prefix of the writes made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, chain
from math import inf
from operator import attrgetter
from threading import Lock
from typing import Final

from blockdb.cluster.consensus import papers
from blockdb.cluster.consensus.loading import Loaded, Segment, file_numbers, load, set_aside
from blockdb.cluster.consensus.papers import Beginning
from blockdb.cluster.consensus.reading import FileReader, Recent
from blockdb.database.creation import make_root
from blockdb.errors import BlockDBError, ConfigError, Corruption, StorageError
from blockdb.format import mark
from blockdb.format.consensus import Entry, HardState, Kind, Members, decode_members
from blockdb.format.mark import Mark
from blockdb.format.raft_log import (
    CHECK_BYTES,
    FIRST,
    HEADER_BYTES,
    FileHeader,
    encode_batch,
    encode_entry,
    encode_header,
)
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door, guarded
from blockdb.storage.marked_log import MarkedLog

_WALK_BYTES: Final = 1024 * 1024

FILE_BYTES: Final = 16 * 1024 * 1024
"""A file that has so many bytes takes no more entries."""


class DiskLog:
    """A node's log on its disk.

    One thread writes (`store`, `force`, `compact`, `begin_anew`, `mended`, `close`), in the order of its calls; any
    thread reads (`first_index`, `last_index`, `head`, `term`, `entries`) at any time, and is not held up by the disk
    unless it asks for entries that are no longer in memory. A reader sees what `store` has written once that returned.
    """

    hard_state: HardState
    """The newest one that was stored."""
    incarnation: bytes
    """16 bytes that a log was given when it was made: a node that comes back with others has lost what it knew."""
    first_damaged: int | None
    """Entries from here on were lost to damage, though they were acknowledged, and have not been made up for: neither
    in this life nor in one before, until `mended` says so."""
    damage: Corruption | None = None
    """What was found to be damaged when it was opened; the files were set aside beside it as `*.damaged-<n>`."""

    @classmethod
    def open(cls, door: Door, files: RaftFiles, cluster_id: str, node_id: str, *, must_exist: bool = False) -> DiskLog:
        """Open the log of a node, or make it where there is none, unless it must exist (`must_exist`).

        Raises ConfigError for a log of another node or cluster, Corruption where what is damaged cannot be done
        without, StorageError. O(bytes of the log).
        """
        with guarded("opening the replicated log"):
            if door.inode(files.id) is None:
                _create(door, files, cluster_id, node_id, must_exist=must_exist)
            incarnation = papers.load_id(door, files, cluster_id, node_id)
            door.force_directory(files.root)
            return cls(door, files, incarnation)

    def __init__(self, door: Door, files: RaftFiles, incarnation: bytes) -> None:
        """See `open`."""
        self._door = door
        self._files = files
        self.incarnation = incarnation
        self._reading = Lock()
        """Held while what readers look at is read or changed; never while the disk is waited for."""
        self._recent = Recent()
        self._reader = FileReader(door, files)
        self._beginning = papers.load_beginning(door, files)
        found = load(door, files, incarnation, self._beginning)
        self._take_over(found)
        [*_, (number, base)] = self._segments
        place = base, found.end, found.forced, found.torn_bytes
        self._log = MarkedLog(door, files.file(number), files.mark, incarnation, *place)
        self._is_closed = False
        try:
            self._remove_files()
            self.force()
        except BaseException:
            with suppress(BlockDBError):
                self.close()
            raise

    def _take_over(self, found: Loaded) -> None:
        """Become what was found, after setting aside what is damaged. Raises Corruption, OSError."""
        places, head = found.places, self.head
        if places.first > head.index + 1:
            raise Corruption(str(self._files.head), None, "the log begins later than what it says")
        state = papers.load_state(self._door, self._files)
        if state is None and found.damage is not None:
            raise Corruption(
                str(self._files.state),
                None,
                "it is damaged, and so is the log: nothing tells any more for whom this node voted. Remove the node "
                "from the cluster, delete the directory, and let it join anew",
            )
        self.first_damaged = papers.load_damage(self._door, self._files)
        if found.damage is not None:
            first = min(places.last + 1, self.first_damaged or places.last + 1)
            papers.save_damage(self._door, self._files, first)
            set_aside(self._door, self._files, self.incarnation, found)
            number, offset, what = found.damage
            self.first_damaged, self.damage = first, Corruption(str(self._files.file(number)), offset, what)
        self._saved = state
        newest = max(state or HardState(), found.state, key=lambda each: (each.term, bool(each.vote)))
        commit = max(head.index, min(found.state.commit, places.last))
        self.hard_state = HardState(newest.term, newest.vote, commit)
        self._places, self._segments = places, found.segments
        self._check, self._last_batch = found.check, found.place

    # What anybody may ask.

    @property
    def head(self) -> SnapshotHead:
        """What the log begins behind: its members are those of then. Index 0: it begins at the beginning."""
        return self._beginning.head

    @property
    def first_index(self) -> int:
        """`head.index + 1`, whether there is such an entry or not."""
        return self._beginning.head.index + 1

    @property
    def last_index(self) -> int:
        """`head.index` where there are no entries."""
        with self._reading:
            return self._places.last

    @property
    def is_damaged(self) -> bool:
        """Whether acknowledged entries were lost: the node must neither stand nor vote until the log is mended."""
        return self.first_damaged is not None

    def term(self, index: int) -> int:
        """The term of an entry, or of the head. Raises LookupError before the head and after the last. O(log terms)."""
        with self._reading:
            head = self._beginning.head
            if index == head.index:
                return head.term
            self._require(index, index)
            return self._places.term(index)

    def entries(self, first: int, last: int, max_bytes: int | None = None) -> list[Entry]:
        """The entries from `first` to `last`, both included; from the second on only as `max_bytes` of data allow.

        Raises LookupError where not all of them are there, Corruption where one that was is not intact. O(entries).
        """
        with self._reading:
            self._require(first, last)
            recent = self._recent.between(first, last)
            after = recent[0].index if recent else last + 1
            places, segments = self._places.between(first, after - 1), self._segments
        found: list[Entry] = []
        left = inf if max_bytes is None else max_bytes
        for entry in chain(self._reader.read(segments, places, first), recent):
            left -= len(entry.data)
            if found and left < 0:
                break
            found.append(entry)
        return found

    def _require(self, first: int, last: int) -> None:
        start, end = self._beginning.head.index + 1, self._places.last
        if not start <= first <= last + 1 <= end + 1:
            raise LookupError(f"the log has the entries {start} to {end}, and not all from {first} to {last}")

    # What the one thread does that writes.

    def store(self, hard_state: HardState | None, entries: Sequence[Entry] = ()) -> None:
        """Write entries, which replace what the log has from the first one's index on, with the hard state.

        One write. Both are there or neither, after a killed process too, but not yet on the disk: see `force`.
        Raises StorageError, and nothing is stored then; WritesStopped once a force has failed; ValueError for entries
        that do not follow what the log has. O(bytes).
        """
        self._check_order(entries)
        if self._log.end - self._segments[-1].base >= FILE_BYTES:
            self._begin_file()
        log, state = self._log, hard_state or self.hard_state
        encoded = list(map(encode_entry, entries))
        batch = encode_batch(state, encoded, log.end, self._check, log.forced)
        place = log.append(batch)
        start = log.end - sum(map(len, encoded))
        starts = list(accumulate(map(len, encoded), initial=start))[:-1]
        with self._reading:
            self._places.put([(entry.index, entry.term) for entry in entries], starts)
            self._recent.put(entries)
        self._check, self._last_batch, self.hard_state = batch[:CHECK_BYTES], place, state

    def _check_order(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        first = entries[0].index
        if not self.first_index <= first <= self.last_index + 1:
            raise ValueError(f"entry {first} does not follow a log from {self.first_index} to {self.last_index}")
        if any(entry.index != index for index, entry in enumerate(entries, first)):
            raise ValueError("the entries do not follow one another")

    def force(self) -> None:
        """Have all that was stored on the disk. Raises WritesStopped where that fails, and from then on for ever.

        One call to the system, and some more where there is another term or vote: these are kept a second time.
        """
        self._log.force()
        state = HardState(self.hard_state.term, self.hard_state.vote)
        if state != self._saved:
            try:
                with guarded("writing the term and the vote"):
                    papers.save_state(self._door, self._files, state)
            except StorageError as error:
                raise self._log.stop(str(error).removesuffix(".")) from error
            self._saved = state

    def compact(self, head: SnapshotHead) -> None:
        """Force, begin behind an entry that the log has, and remove files that only have earlier ones. O(entries left).

        Raises LookupError where there is no such entry, StorageError.
        """
        if self.term(head.index) != head.term:
            raise LookupError(f"the entry {head.index} has another term than {head.term}")
        self.force()
        places = self._places
        needed = min(self._last_batch, places[head.index + 1]) if head.index + 1 in places else self._last_batch
        at = bisect_right(self._segments, needed, key=attrgetter("base")) - 1
        self._begin_behind(Beginning(head, self._segments[at].number))
        with self._reading:
            places.drop(head.index)
            self._recent.drop(head.index)
        with suppress(StorageError):  # they do not count any more; the next one tries again
            self._remove_files()

    def begin_anew(self, head: SnapshotHead) -> None:
        """Begin behind a snapshot, without any entry; the hard state stays. A crash leaves the old log or the new one.

        Raises StorageError.
        """
        self._begin_file()
        self.store(None)
        self.force()
        self._begin_behind(Beginning(head, self._segments[-1].number))
        with self._reading:
            self._places.clear(head.index + 1)
            self._recent = Recent()
        with suppress(StorageError):
            self._remove_files()

    def lost(self, first: int) -> None:
        """Entries from that one on were acknowledged, and are not here: remember it until `mended`.

        Raises StorageError.
        """
        earliest = min(first, self.first_damaged or first)
        with guarded("noting that entries of the replicated log are lost"):
            papers.save_damage(self._door, self._files, earliest)
        self.first_damaged = earliest

    def members(self) -> Members:
        """Who belongs to the cluster by the newest list in the log. O(entries)."""
        found, index = self.head.members, self.first_index
        while index <= self.last_index:
            for entry in self.entries(index, self.last_index, _WALK_BYTES):
                index = entry.index + 1
                if entry.kind is Kind.MEMBERS:
                    found = decode_members(entry.data)
        return found

    def mended(self) -> None:
        """What was lost to damage has been made up for. Raises StorageError."""
        with guarded("noting that the replicated log is whole again"):
            self._door.remove(self._files.mending)
            self._door.force_directory(self._files.root)
        self.first_damaged = None

    def restoring(self, head: SnapshotHead) -> None:
        """The state machine is about to take a snapshot over. On any thread, until `begin_anew` or `restored` follows.

        Raises StorageError.
        """
        with guarded("noting that a snapshot is being taken over"):
            papers.save_restoring(self._door, self._files, head)

    def restored(self, applied_index: int) -> None:
        """The state machine has everything up to an index: begin behind the snapshot if that was taken over meanwhile.

        To be called before anything else after opening. Raises StorageError, Corruption.
        """
        head = papers.load_restoring(self._door, self._files)
        if head is not None and head.index <= applied_index and not self._has(head):
            self.begin_anew(head)
        with guarded("noting that a snapshot was taken over"):
            papers.forget_restoring(self._door, self._files)

    def _has(self, head: SnapshotHead) -> bool:
        return self.head.index <= head.index <= self.last_index and self.term(head.index) == head.term

    def close(self) -> None:
        """Force it, and leave a mark that says that it was closed. Raises StorageError. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            try:
                self.force()
            finally:
                self._log.close()

    def _begin_file(self) -> None:
        number, base = self._segments[-1].number + 1, self._log.end
        header = encode_header(FileHeader(self.incarnation, number, base, self._check))
        self._log.begin_file(self._files.file(number), header, base)
        self._door.forget(self._files.file(number - 1))
        with self._reading:
            self._segments = [*self._segments, Segment(number, base)]

    def _begin_behind(self, beginning: Beginning) -> None:
        try:
            with guarded("moving on the beginning of the replicated log"):
                papers.save_beginning(self._door, self._files, beginning)
        except StorageError as error:
            if not self._still_begins_where_it_did():
                raise self._log.stop(str(error).removesuffix(".")) from error
            raise
        with self._reading:
            self._beginning = beginning
            self._segments = [segment for segment in self._segments if segment.number >= beginning.first_file]

    def _still_begins_where_it_did(self) -> bool:
        try:
            return papers.load_beginning(self._door, self._files) == self._beginning
        except (BlockDBError, OSError):
            return False

    def _remove_files(self) -> None:
        """Remove the files that no longer count, also those that earlier lives could not."""
        with guarded("removing files of the replicated log"):
            old = [each for each in file_numbers(self._door, self._files) if each < self._beginning.first_file]
            for number in old:
                self._door.remove(self._files.file(number))
                self._reader.forget(number)
            if old:
                self._door.force_directory(self._files.root)


def _create(door: Door, files: RaftFiles, cluster_id: str, node_id: str, *, must_exist: bool) -> None:
    """Make a log without entries; the file that makes it one comes last. Raises Corruption, ConfigError, OSError."""
    numbers = file_numbers(door, files) if door.inode(files.root) is not None else []
    is_begun = numbers == [0] and len(door.read(files.file(0))) <= HEADER_BYTES
    if (numbers and not is_begun) or door.inode(files.mending) is not None:
        raise Corruption(str(files.id), None, "the file is missing, and there is a log")
    if must_exist:
        raise ConfigError(
            f"{files.root} has no replicated log, and the node {node_id!r} had one: it has forgotten what it promised. "
            "Remove the node from the cluster, and let it join anew."
        )
    make_root(door, files.root)
    incarnation = papers.new_incarnation()
    door.replace(files.file(0), encode_header(FileHeader(incarnation, 0, 0, FIRST)))
    papers.save_beginning(door, files, Beginning())
    papers.save_state(door, files, HardState())
    door.replace(files.mark, mark.encode(Mark(incarnation, door.boot_id(), HEADER_BYTES, HEADER_BYTES, clean=True)))
    papers.save_id(door, files, cluster_id, node_id, incarnation)
