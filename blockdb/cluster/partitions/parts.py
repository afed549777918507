"""The partitions of a collection as they are now, asked one by one or side by side."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.spreading import Spreading
from blockdb.database.collection import Collection
from blockdb.errors import BlockNotFound, InvalidData
from blockdb.format.checks import check_key
from blockdb.interface import AnyCollection
from blockdb.types import AsOf

__all__ = ["Horizons", "Parts", "asked"]

T = TypeVar("T")


@runtime_checkable
class Asked(Protocol):
    """A way to a collection, which is asked what `act` asks of it wherever it is."""

    def _ask(self, act: Callable[[Any], Any]) -> Any: ...


def asked(part: AnyCollection, act: Callable[[AnyCollection], T]) -> T:
    """What `act` gives of the collection that a partition is, or that it is a way to."""
    if isinstance(part, Asked):
        found: T = part._ask(act)
        return found
    return act(part)


Horizons = tuple[int, ...]
"""The newest record of each partition that is seen, by the numbers of the partitions; -1: none."""


class Parts:
    """Safe for threads. What stands for a partition may be replaced at any time; how many there are is fixed."""

    def __init__(self, name: str, current: Callable[[], Sequence[AnyCollection]]) -> None:
        self.name = name
        self.current = current
        """The partitions, each the collection of that name in its own database, here or of another node."""
        self.spreading = Spreading(len(current()))

    @property
    def count(self) -> int:
        """How many there are."""
        return self.spreading.partitions

    @property
    def only(self) -> AnyCollection | None:
        """The one, where there is one."""
        return self.current()[0] if self.count == 1 else None

    def number_of(self, key: bytes) -> int:
        """Which partition has a key. Raises InvalidData for what can be none."""
        return self.spreading.of_key(check_key(key))

    def of_key(self, key: bytes) -> AnyCollection:
        """The partition that has a key. Raises InvalidData for what can be none."""
        return self.current()[self.number_of(key)]

    def each(self, ask: Callable[[AnyCollection], T]) -> list[T]:
        """What all partitions answer, asked side by side."""
        return each([partial(ask, part) for part in self.current()])

    def numbered(self, ask: Callable[[int, AnyCollection], T]) -> list[T]:
        """The same for a question that is another one for each."""
        return each([partial(ask, number, part) for number, part in enumerate(self.current())])

    def refusal(self, what: str) -> InvalidData:
        """The error for what can be asked of one partition alone."""
        names = f"{self.name}:0 to {self.name}:{self.count - 1}"
        return InvalidData(
            f"{what} is of one chain, and {self.name} has {self.count} partitions, each with a chain of its own: ask "
            f"{names}."
        )

    # Moments.

    def horizons(self, as_of: AsOf | None) -> Horizons:
        """What is seen as of a moment, or now. Another moment than one of these is, in the other partitions, a time.

        Raises BlockNotFound, and InvalidData for a record that is not there yet.
        """
        if as_of is None:
            return tuple(count - 1 for count in self.each(lambda part: part.next_sequence))
        if as_of.sequences is not None:
            if len(as_of.sequences) != self.count or min(as_of.sequences) < -1:
                raise InvalidData(f"AsOf(sequences=...) of {self.name} has {self.count} numbers, -1 being the least.")
            return as_of.sequences
        return tuple(self.numbered(partial(self._horizon, *self._own(as_of))))

    def as_of_in(self, as_of: AsOf, partition: int) -> AsOf | None:
        """A moment as one partition understands it; None where none of it is seen. Raises as `horizons`."""
        if as_of.sequences is not None:
            newest = self.horizons(as_of)[partition]
            return None if newest < 0 else AsOf(sequence=newest)
        own, home, elsewhere = self._own(as_of)
        return own if partition == home else elsewhere

    def _own(self, as_of: AsOf) -> tuple[AsOf, int, AsOf]:
        """A moment in the partition that it is of, which one that is, and the moment by the clock."""
        if as_of.time_ms is not None:
            return as_of, 0, as_of
        parts = self.current()
        if as_of.block is not None:
            own, home = self.spreading.parted(as_of.block)
            try:
                time_ms = parts[home].block(own).last_time_ms
            except BlockNotFound:
                raise self.no_block(as_of.block) from None
            return AsOf(block=own), home, AsOf(time_ms=time_ms)
        assert as_of.sequence is not None, "one of them is given"
        own, home = self.spreading.parted(as_of.sequence)
        found = next(iter(parts[home].records(own, 1)), None)
        if found is None:
            raise InvalidData(f"There is no record {as_of.sequence} in {self.name} yet.")
        return AsOf(sequence=own), home, AsOf(time_ms=found.time_ms)

    @staticmethod
    def _horizon(own: AsOf, home: int, elsewhere: AsOf, partition: int, part: AnyCollection) -> int:
        as_of = own if partition == home else elsewhere
        return asked(part, lambda collection: _sequence_at(collection, as_of))

    def no_block(self, number: int) -> BlockNotFound:
        """The error for a block that is not there."""
        own, partition = self.spreading.parted(number)
        return BlockNotFound(
            f"There is no block {number} in {self.name}: it would be block {own} of partition {partition}."
        )


def _sequence_at(collection: AnyCollection, as_of: AsOf) -> int:
    """See `Collection.sequence_at`: of one of another node it takes some questions. O(log records) for a time."""
    if isinstance(collection, Collection):
        return collection.sequence_at(as_of)
    if as_of.sequence is not None:
        return as_of.sequence
    if as_of.block is not None:
        return collection.block(as_of.block).last_sequence
    assert as_of.time_ms is not None, "one of them is given"
    return bisect_right(_Times(collection), as_of.time_ms) - 1


class _Times(Sequence[int]):
    """When the records of a collection of another node were stored, which never goes back."""

    def __init__(self, collection: AnyCollection) -> None:
        self._collection = collection
        self._count = collection.next_sequence

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> int:  # type: ignore[override]
        return next(iter(self._collection.records(at, 1))).time_ms
