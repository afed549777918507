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
