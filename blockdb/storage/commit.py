"""What takes part in a commit beside the records: what is derived from them, and what may hold it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol


class Rider(Protocol):
    """Goes along with a commit, such as the entries that the indexes get of its records."""

    def check(self) -> None:
        """Under the write lock, before anything is written: raises to refuse the commit."""

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """Under the write lock, once the records are in the log and in memory. Does not fail."""


class Prepared:
    """Records that were found acceptable, and what goes along with them."""

    __slots__ = ("_by_key", "keys", "rider", "values")

    def __init__(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        rider: Rider | None = None,
        by_key: dict[bytes, bytes] | None = None,
    ) -> None:
        """`by_key` are the same records, where they are known by their keys; it is not changed any more."""
        self.keys = keys
        self.values = values
        self.rider = rider
        self._by_key = by_key

    @property
    def by_key(self) -> dict[bytes, bytes]:
        """Their values by their keys, in the same order: fewer than `keys` only where a key is repeated. O(n) once."""
        if self._by_key is None:
            self._by_key = dict(zip(self.keys, self.values, strict=True))
        return self._by_key


class Unprepared(Exception):
    """Something is derived from records that was not when these were prepared: they are to be prepared anew."""


class Held(Exception):
    """A transaction holds what is to be written: the write is to wait for it, and then to be tried again."""


class DecisionLog(Protocol):
    """What was decided about transactions over several collections."""

    def has(self, number: int) -> bool:
        """Whether a transaction was decided: for those of an earlier process, whose batches are found at recovery."""

    def force(self, number: int) -> None:
        """Have its decision on the disk, where it is one of this process. Raises WritesStopped."""


class _NoDecisions:
    """Of a collection that stands for itself: whatever it has counts."""

    def has(self, number: int) -> bool:
        """Yes."""
        return True

    def force(self, number: int) -> None:
        """Nothing."""


NO_DECISIONS: Final = _NoDecisions()


class Gate(Protocol):
    """What each commit has to pass while transactions hold locks in the collection."""

    def check(self, keys: Sequence[bytes]) -> None:
        """Under the write lock, before anything is written. Raises Held. The gate goes where nobody holds locks."""
