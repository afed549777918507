"""What a transaction has to do with a collection over partitions: what it wrote there, and how it reads.

Transactions are those of the node (`blockdb.Transaction`), whose locks keep them out of each other's way; those of
other nodes are met at the commit. So what is read goes with it, as of a number of records that each partition had
before: whatever was stored there since is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar, cast

from blockdb.cluster.database.context import reading
from blockdb.cluster.machine.commands import CommitPart, CommitRead
from blockdb.cluster.partitions.asking import NO_COLLECTION
from blockdb.cluster.partitions.committing import Share
from blockdb.cluster.partitions.handles import PartitionHandle, Ways
from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.spreading import Spreading
from blockdb.database.documents import Given
from blockdb.database.transactions.gate import CollectionGate
from blockdb.database.transactions.part import Part
from blockdb.database.transactions.reads import Reads
from blockdb.documents.document import Document
from blockdb.documents.values import encode, plain
from blockdb.errors import DatabaseClosed, Deadlock, DuplicateKey, StorageError, Unavailable
from blockdb.format.checks import check_key, check_value
from blockdb.interface import AnyCollection
from blockdb.storage.commit import Prepared

__all__ = ["Spread", "SpreadPart", "stored_meanwhile"]

LAST: Final = 1 << 62
"""The number that the first own write has, where they are found: behind all that is stored."""
TROUBLE: Final = (Unavailable, DatabaseClosed, StorageError)

T = TypeVar("T")


class Spread:
    """A collection over partitions, as transactions know it: one for each collection of a database."""

    def __init__(self, whole: AnyCollection, name: str, handles: tuple[PartitionHandle, ...]) -> None:
        self.whole = whole
        self.name = name
        self.handles = handles
        self.of_key = Spreading(len(handles)).of_key
        self.space = ("partitions", handles[0].partition)
        self.next_sequence = LAST
        self.store = self

    def shut(self) -> None:
        """Plain writes do not ask for the locks of a node: they are met at the commit, as those of other nodes are."""


class View:
    """What a transaction has seen of one partition."""

    def __init__(self, ways: Ways, handle: PartitionHandle) -> None:
        self.reads = Reads()
        self._ways = ways
        self._handle = handle
        self._missed: set[bytes] = set()
        self._ranges: list[tuple[bytes, bytes | None]] = []
        self._here: Any = None
        """The collection, if it was held here from the beginning: then what it gives never goes back."""
        self._records = -1

    def _ask(self, act: Callable[[Any], T]) -> T:
        """Something that is no older than `begin` was."""
        if self._here is not None:
            try:
                with reading("Local"):
                    return act(self._here)
            except TROUBLE:
                self._here = None
        with reading("Linearizable"):
            return act(self._handle)

    def begin(self) -> int:
        """How many records there are, all of which are seen by whoever reads after the first call."""
        if self._records < 0:
            self._here = self._ways.here(self._handle.partition)
            if self._here is not None:
                try:
                    with reading("Linearizable"):
                        self._records = self._here.next_sequence
                except TROUBLE:
                    self._here = None
            if self._here is None:
                self._records = self._ask(_next_sequence)
        return self._records

    def looked_through(self, start: bytes | None, stop: bytes | None) -> None:
        """A range is about to be read, of all that is stored now."""
        self.begin()
        self._ranges.append((start or b"", stop))
        with reading("Linearizable"):
            self.reads.add_range(start, stop, self._handle.next_sequence)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        records = self.begin()
        value: bytes | None = self._ask(lambda collection: collection.get(key))
        if value is None:
            self._miss(key, records)
        return value

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored."""
        records = self.begin()
        found: bool = self._ask(lambda collection: collection.exists(key))
        if not found:
            self._miss(key, records)
        return found

    def _miss(self, key: bytes, records: int) -> None:
        self._missed.add(key)
        self.reads.add_absent(key, records)

    def check_new(self, key: bytes) -> None:
        """Before a key is written, which the commit looks at again: raises DuplicateKey where it is known to be stored.

        Deadlock where it was not, when this transaction has read it.
        """
        here = self._ways.here(self._handle.partition)
        if here is None:
            return
        with reading("Local"):
            if not here.exists(key):
                self._missed.add(key)
            elif self.has_missed(key):
                raise stored_meanwhile(key)
            else:
                raise DuplicateKey(key)

    def has_missed(self, key: bytes) -> bool:
        """Whether a key was not there when it was looked for."""
        within = (start <= key and (stop is None or key < stop) for start, stop in self._ranges)
        return key in self._missed or any(within)

    def prepared(self, key: bytes, value: Given) -> bytes:
        """A value as it would be stored, as far as that can be told here. Raises InvalidData, ValidationError."""
        here = self._ways.here(self._handle.partition)
        if here is None:
            return encode(plain(value)) if isinstance(value, Mapping) else check_value(value)
        with reading("Local"):
            return here.values_of([(check_key(key), value)])[0]

    def read(self) -> tuple[CommitRead, ...]:
        """What was read, for the commit."""
        return tuple(CommitRead(NO_COLLECTION, *one[1:]) for one in self.reads.of(NO_COLLECTION))


def stored_meanwhile(key: bytes) -> Deadlock:
    """What a transaction is told that has missed a key."""
    return Deadlock(f"Another one stored {key!r} meanwhile, so the transaction was not committed. Run it again.")


def _next_sequence(collection: AnyCollection) -> int:
    return collection.next_sequence


class _Seen:
    """How a transaction reads: a `Readable`. What spans partitions is read as a whole at once."""

    def __init__(self, spread: Spread, views: tuple[View, ...]) -> None:
        self._spread = spread
        self._views = views

    @property
    def name(self) -> str:
        """The name of the collection."""
        return self._spread.name

    def of(self, key: bytes) -> View:
        """What has a key."""
        return self._views[self._spread.of_key(key)]

    def get(self, key: bytes) -> bytes | None:
        """See `Readable.get`."""
        return self.of(key).get(key)

    def exists(self, key: bytes) -> bool:
        """See `Readable.exists`."""
        return self.of(key).exists(key)

    def scan(
        self,
        *,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """See `Readable.scan`."""
        self._look_through(start, end)
        with reading("Linearizable"):
            found = self._spread.whole.scan(start=start, end=end, limit=limit, offset=offset, reverse=reverse)
            return iter(list(found))

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        fields: str | Iterable[str] | None = None,
    ) -> Iterator[Document]:
        """See `Readable.find`."""
        self._look_through(None, None)
        with reading("Linearizable"):
            found = self._spread.whole.find(where, parameters, order=order, limit=limit, offset=offset, fields=fields)
            return iter(list(found))

    def _look_through(self, start: bytes | None, stop: bytes | None) -> None:
        each([partial(view.looked_through, start, stop) for view in self._views])


class SpreadPart(Part):
    """One collection in one transaction."""

    def __init__(self, ways: Ways, spread: Spread) -> None:
        self.spread = spread
        self._views = tuple(View(ways, handle) for handle in spread.handles)
        self._seen = _Seen(spread, self._views)
        super().__init__(self._seen, cast(CollectionGate, spread), cast(Any, None))

    def prepare(self, key: bytes, value: Given) -> Prepared | None:
        """What a record becomes, as far as that can be told here. Raises InvalidData, ValidationError."""
        return Prepared((key,), (self._seen.of(check_key(key)).prepared(key, value),))

    def check_new(self, key: bytes) -> None:
        """Raises DuplicateKey where it was written here, or is stored as far as this node knows; Deadlock."""
        if key in self.items:
            raise DuplicateKey(key)
        self._seen.of(key).check_new(key)

    def has_missed(self, key: bytes) -> bool:
        """Whether a key that is written was looked for, and was not there."""
        return key in self.items and self._seen.of(key).has_missed(key)

    def shares(self) -> dict[str, Share]:
        """What each partition is asked for that has to do with it."""
        written: dict[int, list[tuple[bytes, bytes]]] = {}
        for item in self.items.items():
            written.setdefault(self.spread.of_key(item[0]), []).append(item)
        found = {}
        for number, view in enumerate(self._views):
            items, reads = tuple(written.get(number, ())), view.read()
            if items or reads:
                parts = (CommitPart(NO_COLLECTION, items),) if items else ()
                found[self.spread.handles[number].partition] = Share(parts, reads)
        return found

    def numbered(self, stored: Mapping[str, int]) -> list[int]:
        """The numbers of what was written, in that order; `stored` has the first that each partition gave."""
        count = len(self.spread.handles)
        following = dict(stored)
        numbers = []
        for key in self.items:
            number = self.spread.of_key(key)
            partition = self.spread.handles[number].partition
            numbers.append(following[partition] * count + number)
            following[partition] += 1
        return numbers
