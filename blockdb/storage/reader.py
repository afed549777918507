"""Reading a collection: what its writer and an attachment beside it have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from threading import RLock
from time import monotonic, perf_counter_ns
from typing import Final

from blockdb.errors import CollectionNotFound, Corruption, DatabaseClosed, Redacted
from blockdb.format.place import split_place
from blockdb.layout import CollectionFiles
from blockdb.lsm.merge import Item
from blockdb.lsm.table import Table
from blockdb.statistics import TableStatistics
from blockdb.storage.cache import Cache, CacheRoom
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door, guarded
from blockdb.storage.expiry import Expiry
from blockdb.storage.figures import Figures, index_bytes
from blockdb.storage.history import History
from blockdb.storage.manifest import Manifest
from blockdb.storage.memory_check import differences
from blockdb.storage.metadata import Metadata
from blockdb.storage.parking import Parkable, resources
from blockdb.storage.recovery import Opening
from blockdb.storage.sources import EVERYTHING, NOTHING, Horizon
from blockdb.storage.statistics import Histogram
from blockdb.storage.tree import Tree
from blockdb.storage.view import Range, View
from blockdb.types import REDACTED, AsOf, Problem, Record, Report

SAMPLE_MASK: Final = 63
"""One operation in 64 is timed: the clock costs a tenth of a read."""


class Reader(Parkable):
    """The reading half of a collection. Safe for threads.

    Subclasses keep `view` and `next_sequence` up to date; each is replaced as a whole.
    """

    next_sequence: int

    def __init__(self, door: Door, files: CollectionFiles, metadata: Metadata, room: CacheRoom | None = None) -> None:
        super().__init__()
        self.door = door
        self.files = files
        self.metadata = metadata
        self.cache = Cache(room or CacheRoom(0))
        self.view = View((), ())
        self.at_hand: View | None = None
        """The view, where reads by key may go straight to it, so that nearly all do: nobody else writes, nothing has
        expired, it is not parked. `closed` is to be asked beside it.
        """
        self.opened = monotonic()
        self.closed = False
        self.is_dropped = False
        self.gets = 0
        self.misses = 0
        self.scans = 0
        self._expiry: Expiry | None = None
        self.begin()  # from here on, threads may look at what stands above
        self.recovered: Opening
        self.get_latency = Histogram()
        self._looks = 0
        self._figures: Figures | None = None
        if metadata.settings.ttl_seconds is not None:
            self.ttl_ms = metadata.settings.ttl_seconds * 1000

    def begin(self) -> None:
        """Begin to read the files. Nothing that readers look at is taken away, or half made, by this."""
        self.chain = Chain(self.door, self.files, self.metadata.uuid, self.cache)
        self.tree = Tree(self.door, self.files, self.metadata.uuid)

    def see(self, view: View) -> None:
        """For a writer: have this view read from now on. Under its lock."""
        self.view = view
        self.at_hand = view if self._expiry is None else None

    def let_go(self) -> None:
        """Forget the attributes; under `unparking`."""
        super().let_go()
        self.at_hand = None

    @property
    def reads(self) -> tuple[int, int, int]:
        """Other values whenever somebody reads by key."""
        return self.gets, self.scans, self.chain.fetches

    @property
    def activity(self) -> object:
        """Another value whenever somebody did something with it, nearly."""
        return self.gets, self.scans, self._looks, self.next_sequence

    def resume(self) -> None:
        """Open the files again. Raises DatabaseClosed, Corruption, StorageError."""
        self.check_open()
        with guarded("opening a collection"):
            self.begin()

    @property
    def ttl_ms(self) -> int | None:
        """How old records get before reads do not show them any more; None where they do for ever."""
        return None if self._expiry is None else self._expiry.ttl_ms

    @ttl_ms.setter
    def ttl_ms(self, ttl_ms: int | None) -> None:
        self._expiry = None if ttl_ms is None else Expiry(self, ttl_ms)
        self.at_hand = None  # until another view is seen

    def expired(self) -> Horizon:
        """The border before which all records have expired. O(1) amortised."""
        return NOTHING if self._expiry is None else self._expiry.horizon()

    def expired_by(self, time_ms: int) -> Horizon:
        """The same for a time that is given. O(log blocks + block)."""
        return NOTHING if self._expiry is None else self._expiry.horizon_by(time_ms)

    def has_expired(self, key: bytes) -> bool:
        """Whether a key is stored, and has expired. O(memtables + tables)."""
        return self._expiry is not None and self.view.find_between(key, 0, self.expired().place) is not None

    @property
    def end(self) -> int:
        """Where the next frame goes."""
        raise NotImplementedError

    @property
    def blocks(self) -> int:
        """How many blocks are sealed."""
        raise NotImplementedError

    @property
    def manifest(self) -> Manifest:
        """The manifest that the view is from."""
        raise NotImplementedError

    @property
    def index_notes(self) -> tuple[str, ...]:
        """What was found damaged of indexes."""
        raise NotImplementedError

    def open_block_size(self) -> tuple[int, int]:
        """How many records, and how many bytes of keys and values, no seal covers yet."""
        raise NotImplementedError

    @property
    def head_hash(self) -> bytes:
        """The hash of the last sealed block, 32 zero bytes if there is none."""
        raise NotImplementedError

    def force(self) -> None:
        """Have on the disk what was read, or written, so far. Raises StorageError, OSError."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        raise NotImplementedError

    def refresh(self, wait: bool = False) -> None:
        """See what was written, and sealed, since; where another thread is looking, perhaps a moment later.

        With `wait`, that thread is waited for.
        """

    def follow_metadata(self) -> None:
        """See what the collection is by now. Raises Corruption."""

    def acknowledged(self, forced_only: bool) -> Horizon:
        """Up to where the writers were told that their records are stored; with `forced_only`, that is on the disk."""
        raise NotImplementedError

    def wait_beyond(
        self, known: Horizon, forced_only: bool, is_over: Callable[[], bool], timeout_s: float | None
    ) -> None:
        """Wait until there may be records beyond a horizon, or it is over: that is looked at when `wake` is called."""
        raise NotImplementedError

    def wake(self) -> None:
        """Have those who wait look whether it is over."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None. O(memtables + tables). Raises Redacted."""
        gets = self.gets
        self.gets = gets + 1  # an update lost between threads is rare and harmless
        start = 0 if gets & SAMPLE_MASK else perf_counter_ns()
        if self._expiry is not None:
            value = self.find_value(key)  # past the cache, which does not know where a record is
        else:
            view = self.view
            value = view.recent(key)
            if value is None:
                cache = self.cache
                value = cache.young.get(key)
                if value is not None:
                    cache.hits += 1
                else:
                    value = self.get_older(view, key)
        if value is None:
            self.misses += 1
        elif value is REDACTED:
            raise Redacted(key)
        if start:
            self.get_latency.add(perf_counter_ns() - start)
        return value

    def get_older(self, view: View, key: bytes) -> bytes | None:
        """The value of a key that is neither in a memtable nor among the young ones of the cache. O(tables)."""
        if not view.tables:
            return None
        cache = self.cache
        value = cache.get_old(key)
        if value is not None:
            return value
        epoch = cache.epoch
        found = view.find_in_tables(key)
        if found is None:
            return None
        cache.put(key, found[1], epoch)
        return found[1]

    def find_value(self, key: bytes) -> bytes | None:
        """The value of a key, None where there is none or it has expired."""
        return self.view.find_between(key, self.expired().place, EVERYTHING.place)

    def find(self, key: bytes) -> tuple[int, bytes] | None:
        """The place of a key's record and its value, None where there is none or it has expired."""
        found = self.view.find(key)
        return None if found is None or found[0] < self.expired().place else found

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored. O(memtables + tables), and from memory alone for most keys that are not."""
        self.gets += 1
        if self.view.has(key) if self._expiry is None else self.find_value(key) is not None:
            return True
        self.misses += 1
        return False

    def get_as_of(self, key: bytes, as_of: AsOf) -> bytes | None:
        """The value that the key had at that moment, or None. O(log blocks + records in a block)."""
        self.gets += 1
        horizon = self.history().horizon(as_of)
        value = self.view.find_between(key, self.expired_as_of(as_of, horizon).place, horizon.place)
        if value is REDACTED:
            raise Redacted(key)
        return value

    def record(self, key: bytes) -> Record | None:
        """A record with its sequence number, time and block. O(log blocks + block)."""
        found = self.find(key)
        return None if found is None else self.history().record_at(found[0])

    def count(self, range_: Range) -> int:
        """How many keys a scan would give. O(tables · log n), and O(n) where a part of a table has expired."""
        return self.view.count(range_, self.expired())

    def scan(
        self, range_: Range, offset: int, limit: int | None, reverse: bool, as_of: AsOf | None = None
    ) -> Iterator[Item]:
        """The records of a range in key order, as of this call or as of a moment before."""
        self.scans += 1
        view = self.view
        if as_of is None:
            return view.scan(range_, offset, limit, reverse, expired=self.expired())
        horizon = self.history().horizon(as_of)
        return view.scan(range_, offset, limit, reverse, horizon, self.expired_as_of(as_of, horizon))

    def expired_as_of(self, as_of: AsOf, horizon: Horizon) -> Horizon:
        """The border before which all records had expired at a moment that sees those before `horizon`."""
        return NOTHING if self._expiry is None else self._expiry.horizon_as_of(as_of, horizon)

    def history(self) -> History:
        """The chain as of now."""
        self._looks += 1
        blocks = self.blocks  # first: what is read later may only be newer
        view = self.view
        records = view.records
        end = self.end
        return History(self.chain, view, blocks, end, records)

    def figures(self) -> Figures:
        """What the collection holds now; of one that is parked what it held then, which is the same. O(tables)."""
        known = self._figures
        return known if self.is_parked and known is not None else self._count()

    def _count(self) -> Figures:
        end = self.end  # first: what is read later may only be newer
        records, memtable = self.next_sequence, self.view.memtables[0]
        if not records:
            return Figures(0, 0, None, end)
        if len(memtable):
            last_ms = self.chain.record_at(memtable.places[-1]).time_ms
        else:
            last_ms = next(self.history().records(records - 1, 1)).time_ms
        return Figures(records, self.data_bytes(), last_ms, end)

    def tables(self) -> tuple[TableStatistics, ...]:
        """The tables, oldest first."""
        disk_bytes = self.door.disk_bytes
        return tuple(
            TableStatistics(
                self.files.table(table.header.number).name, table.tier, len(table), disk_bytes(len(table.buffer))
            )
            for table in self.view.tables
        )

    def data_bytes(self) -> int:
        """Keys and values of all records."""
        view = self.view
        return sum(table.header.data_bytes for table in view.tables) + sum(m.data_bytes for m in view.memtables)

    def chain_bytes(self) -> int:
        """What the chain files take on the disk, without what is reserved behind the end of the newest one."""
        last, offset = split_place(self.end)
        newest = self.chain.disk_size(last) if self.door.is_sealing else offset
        return sum(map(self.chain.disk_size, range(last))) + newest

    def chain_data_bytes(self) -> int:
        """What the chain files had before they were packed."""
        last, offset = split_place(self.end)
        return sum(map(self.chain.size, range(last))) + offset

    def other_bytes(self) -> int:
        """What everything else of the collection takes on the disk; a file that is missing takes nothing."""
        size = 0
        files = self.files
        for path in (files.manifest, files.mark, files.metadata, files.nodes, files.index_list):
            with suppress(FileNotFoundError):
                size += self.door.disk_size(path)
        return size

    def index_bytes(self) -> int:
        """What the files of indexes take on the disk."""
        return index_bytes(self.door, self.files)

    def log_bytes(self) -> int:
        """How much of the chain recovery would read."""
        first, first_offset = split_place(self.manifest.replay.place)
        last, offset = split_place(self.end)
        return sum(map(self.chain.size, range(first, last))) + offset - first_offset

    def check_memory(self, report: Report) -> Report:
        """The report of an audit, with what of the records in memory is not what the chain has. O(records there)."""
        problems = [problem for memtable in self.view.memtables for problem in differences(memtable, self.chain)]
        if self.recovered.mark_damage is not None:
            path = self.files.mark.relative_to(self.files.root.parent.parent).as_posix()
            problems.append(Problem(path, None, None, None, None, f"when it was opened, {self.recovered.mark_damage}"))
        path = self.files.index_list.relative_to(self.files.root.parent.parent).as_posix()
        problems += [Problem(path, None, None, None, None, f"when it was opened: {note}") for note in self.index_notes]
        valid = report.valid and not problems
        return replace(report, valid=valid, problems=(*report.problems, *problems))

    def open_tables(self, manifest: Manifest) -> tuple[Table, ...]:
        """The tables that the manifest counts. Raises Corruption where they are not, or do not join up."""
        before = vars(self).get("view")  # it may have been parked
        known = {table.header.number: table for table in before.tables} if before is not None else {}
        tables = tuple(known.get(number) or self.open_table(number) for number in manifest.tables)
        covered = 0
        for table in tables:
            if table.header.first_sequence != covered:
                raise Corruption(table.path, 0, f"the table does not begin with record {covered}")
            covered += len(table)
        if covered != manifest.flushed_sequence:
            what = f"its tables hold {covered} records, not {manifest.flushed_sequence}"
            raise Corruption(str(self.files.manifest), None, what)
        return tables

    def open_table(self, number: int) -> Table:
        """A table of this collection. Raises Corruption, also where it is missing."""
        path = self.files.table(number)
        try:
            buffer = self.door.map_read(path)
        except FileNotFoundError:
            raise Corruption(str(path), None, "the table is missing") from None
        except ValueError:
            raise Corruption(str(path), 0, "the table is empty") from None
        table = Table(buffer, str(path), self.chain)
        if (table.header.number, table.header.collection) != (number, self.metadata.uuid):
            raise Corruption(str(path), 0, "the file holds another table")
        return table

    def disown(self) -> None:
        """In a forked child: refuse everything from now on."""
        self.closed = True
        self.unparking = RLock()

    def check_open(self) -> None:
        """Raises DatabaseClosed, and CollectionNotFound where it was dropped."""
        if self.is_dropped:
            raise CollectionNotFound(self.metadata.name)
        if self.closed:
            raise DatabaseClosed("The database was closed; open it again.")


resources(Reader, "chain", "tree", "view")
