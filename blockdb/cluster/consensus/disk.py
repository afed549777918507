"""The log of consensus on the disk: entries and hard state in files that only grow. Formats: docs/formats/raft.md."""

from __future__ import annotations

from collections.abc import Sequence

from blockdb.format.consensus import Entry, HardState
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door


class DiskLog:
    """A node's log on its disk.

    One thread writes (`store`, `force`, `compact`, `begin_anew`, `mended`, `close`), in the order of its calls; any
    thread reads (`first_index`, `last_index`, `head`, `term`, `entries`) at any time, and is not held up by the disk
    unless it asks for entries that are no longer in memory. A reader sees what `store` has written once that returned.
    """

    hard_state: HardState
    """The newest one that was stored."""
    head: SnapshotHead
    """What the log begins behind: its members are those of then. Index 0: it begins at the beginning."""
    first_index: int
    """`head.index + 1`, whether there is such an entry or not."""
    last_index: int
    """`head.index` where there are no entries."""
    incarnation: bytes
    """16 bytes that a log was given when it was made: a node that comes back with others has lost what it knew."""
    first_damaged: int | None
    """Entries from here on were lost to damage, though they were acknowledged, and have not been made up for: neither
    in this life nor in one before, until `mended` says so."""

    @classmethod
    def open(cls, door: Door, files: RaftFiles, cluster_id: str, node_id: str, *, must_exist: bool = False) -> DiskLog:
        """Open the log of a node, or make it where there is none, unless it must exist (`must_exist`).

        Raises ConfigError for a log of another node or cluster, Corruption where what is damaged cannot be done
        without, StorageError.
        """
        raise NotImplementedError

    @property
    def is_damaged(self) -> bool:
        """Whether acknowledged entries were lost: the node must neither stand nor vote until the log is mended."""
        return self.first_damaged is not None

    def term(self, index: int) -> int:
        """The term of an entry, or of the head. Raises LookupError before the head and after the last. O(log terms)."""
        raise NotImplementedError

    def entries(self, first: int, last: int, max_bytes: int | None = None) -> list[Entry]:
        """The entries from `first` to `last`, both included; from the second on only as `max_bytes` of data allow.

        Raises LookupError where not all of them are there, Corruption where one that was is not intact. O(entries).
        """
        raise NotImplementedError

    def store(self, hard_state: HardState | None, entries: Sequence[Entry] = ()) -> None:
        """Write entries, which replace what the log has from the first one's index on, with the hard state.

        One write. Both are there or neither, after a killed process too, but not yet on the disk: see `force`.
        Raises StorageError, and nothing is stored then; WritesStopped once a force has failed; ValueError for entries
        that do not follow what the log has.
        """
        raise NotImplementedError

    def force(self) -> None:
        """Have all that was stored on the disk. Raises WritesStopped where that fails, and from then on for ever."""
        raise NotImplementedError

    def compact(self, head: SnapshotHead) -> None:
        """Begin behind an entry that the log has, and remove the files that only have entries before. O(files).

        Raises LookupError where there is no such entry, StorageError.
        """
        raise NotImplementedError

    def begin_anew(self, head: SnapshotHead) -> None:
        """Begin behind a snapshot, without any entry; the hard state stays. A crash leaves the old log or the new one.

        Raises StorageError.
        """
        raise NotImplementedError

    def mended(self) -> None:
        """What was lost to damage has been made up for. Raises StorageError."""
        raise NotImplementedError

    def close(self) -> None:
        """Force it, and leave a mark that says that it was closed. Raises StorageError. Idempotent."""
        raise NotImplementedError
