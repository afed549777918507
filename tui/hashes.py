"""Blocks by the beginning of their hash. No index has that: headers are read, and hashes kept for the next time."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["BlockHashes", "hash_prefix"]

BUDGET_S = 0.5
MOST_FOUND = 8
MOST_KEPT = 500_000
KEPT_BYTES = 8

_HASH = re.compile(r"(?:0x|#)?([0-9a-f]{4,64})", re.IGNORECASE)


def hash_prefix(text: str) -> str | None:
    """The beginning of a hash that a text may be, at least four hexadecimal digits, in small letters."""
    found = _HASH.fullmatch(text.strip())
    return None if found is None else found[1].lower()


class BlockHashes:
    """The hashes of the blocks of one collection that were read so far, from some block up to the newest then."""

    def __init__(self, collection: AnyCollection, steady: Callable[[], float] = time.monotonic) -> None:
        self.collection = collection
        self._steady = steady
        self._lock = threading.Lock()
        self._hashes: dict[int, bytes] = {}
        self._first = self._end = 0

    @property
    def read(self) -> int:
        """How many blocks were read."""
        return self._end - self._first

    def find(self, prefix: str, sealed: int) -> list[int]:
        """The newest blocks whose hashes begin so, at most eight, of those that can be read in half a second.

        `sealed` is how many blocks there are. What was read before costs nothing; O(blocks read) comparisons. Waits
        for the disk or a server. Raises `BlockDBError` and `OSError`.
        """
        with self._lock:  # a search that nobody waits for any more may still be at work
            until_s = self._steady() + BUDGET_S
            if not self._hashes:
                self._first = self._end = sealed
            self._read_on(sealed, until_s)
            self._read_back(until_s)
            found = list(islice(self._matching(prefix[: 2 * KEPT_BYTES]), MOST_FOUND))
        return [number for number in found if self._is(number, prefix)]

    def _matching(self, digits: str) -> Iterator[int]:
        whole = bytes.fromhex(digits[: len(digits) // 2 * 2])
        for number in range(self._end - 1, self._first - 1, -1):
            kept = self._hashes[number]
            if kept.startswith(whole) and kept.hex().startswith(digits):
                yield number

    def _is(self, number: int, prefix: str) -> bool:
        """Whether a block is meant also by the digits of its hash that are not kept."""
        return len(prefix) <= 2 * KEPT_BYTES or self.collection.block(number).hash.hex().startswith(prefix)

    def _read_on(self, sealed: int, until_s: float) -> None:
        """Reads what was sealed since."""
        for block in self.collection.blocks(self._end, max(0, sealed - self._end)):
            self._hashes[block.number] = block.hash[:KEPT_BYTES]
            self._end = block.number + 1
            if self._steady() > until_s:
                return

    def _read_back(self, until_s: float) -> None:
        """Reads from the oldest that is known toward the first."""
        if self._first == 0 or len(self._hashes) >= MOST_KEPT:
            return
        last = self._first - 1
        # Block 0 is the last one to be read; as a beginning to go down from, 0 means the newest block.
        for block in self.collection.blocks(last, self._first, reverse=last > 0):
            self._hashes[block.number] = block.hash[:KEPT_BYTES]
            self._first = block.number
            if self._steady() > until_s or len(self._hashes) >= MOST_KEPT:
                return
