"""The open block: the records since the last seal, as sealing needs them."""

from __future__ import annotations

from array import array
from collections.abc import Container, Sequence
from itertools import islice

from blockdb.format.block import Seal
from blockdb.format.frame import CHECK_BYTES
from blockdb.format.limits import BLOCK_MAX_BYTES
from blockdb.format.record import data_bytes_of, leaves_of, redacted, time_of
from blockdb.ledger.chain import BlockRecords, Sealer
from blockdb.ledger.merkle import leaf_hashes


class OpenBlock:
    """Collects record bodies and closes every run of them that makes a full block. Under the engine's write lock.

    While it is lent, somebody else closes the blocks, who reads the records from the log: then it counts them alone.
    """

    def __init__(self, sealer: Sealer, records_limit: int, beside_bytes: int) -> None:
        """`beside_bytes` is what a record's body has beside key and value."""
        self.sealer = sealer
        self.records_limit = records_limit
        self.beside_bytes = beside_bytes
        self.is_lent = False
        self._bodies: list[bytes] = []
        self._places = array("Q")
        self._size = 0
        self._due_records = records_limit
        self._due_size = BLOCK_MAX_BYTES

    def __len__(self) -> int:
        return len(self._places)

    @property
    def data_bytes(self) -> int:
        """Keys and values of its records."""
        return self._size - len(self) * self.beside_bytes

    @property
    def first_place(self) -> int | None:
        """Where its first record begins, None while it has none."""
        return self._places[0] if self._places else None

    @property
    def size(self) -> int:
        """The bytes of its record bodies."""
        return self._size

    def add(self, frame: bytes, place: int) -> bool:
        """Take a record; says whether a block is full now that was not before, or was not postponed."""
        if not self.is_lent:
            self._bodies.append(frame[CHECK_BYTES:])
        self._places.append(place)
        self._size += len(frame) - CHECK_BYTES
        return len(self._places) >= self._due_records or self._size >= self._due_size

    def add_many(self, bodies: Sequence[bytes], places: Sequence[int], size: int) -> bool:
        """Take the records of a batch, whose bodies have `size` bytes together; says what `add` says."""
        if not self.is_lent:
            self._bodies.extend(bodies)
        self._places.extend(places)
        self._size += size
        return len(self._places) >= self._due_records or self._size >= self._due_size

    @property
    def is_full(self) -> bool:
        """Whether there is a full block among its records."""
        return len(self) >= self.records_limit or self._size >= BLOCK_MAX_BYTES

    def lend(self) -> None:
        """Somebody else closes its blocks from now on."""
        self.is_lent, self._bodies = True, []

    def take_back(self, sealer: Sealer, bodies: list[bytes]) -> None:
        """Close them here again: all bodies that no seal covers, and the sealer that goes on from there."""
        self.is_lent, self.sealer, self._bodies = False, sealer, bodies

    def postpone(self) -> None:
        """Whoever it is lent to closes the blocks that are full now: `add` speaks up again with the next one."""
        self._due_records = (len(self) // self.records_limit + 1) * self.records_limit
        self._due_size = self._size + BLOCK_MAX_BYTES

    def seal(self) -> list[Seal]:
        """Close the full blocks and keep what is over; not while it is lent. O(records)."""
        seals = []
        start, size = 0, self._size
        while count := self._full_count(start, size):
            seal = self._close(self._bodies[start : start + count], self._places[start])
            seals.append(seal)
            start += count
            size -= self.size_of(seal)
        self.drop(start, self._size - size)
        return seals

    def _full_count(self, start: int, size: int) -> int:
        """How many of the records from `start` on, which have `size` bytes, make a full block; 0 where they do not."""
        if size < BLOCK_MAX_BYTES:
            return self.records_limit if len(self) - start >= self.records_limit else 0
        taken = 0
        for count, body in enumerate(islice(self._bodies, start, None), 1):
            taken += len(body)
            if taken >= BLOCK_MAX_BYTES or count == self.records_limit:
                return count
        return 0

    def _close(self, bodies: list[bytes], first_place: int) -> Seal:
        leaves = leaf_hashes(leaves_of(bodies))
        about = BlockRecords(data_bytes_of(bodies), time_of(bodies[0]), time_of(bodies[-1]), first_place)
        return self.sealer.seal(leaves, about)

    def redact(self, places: Container[int]) -> None:
        """Forget the values of the records at these places, if they are here. O(records)."""
        for ordinal, (place, body) in enumerate(zip(self._places, self._bodies, strict=False)):  # none while it is lent
            if place in places:
                self._bodies[ordinal] = redacted(body)

    def size_of(self, seal: Seal) -> int:
        """The bytes of the record bodies that a seal covers."""
        return seal.header.data_bytes + seal.header.records * self.beside_bytes

    def drop(self, count: int, size: int) -> None:
        """Let go of the first records, whose bodies have `size` bytes: a seal covers them."""
        self._size -= size
        self._due_size = max(self._due_size - size, BLOCK_MAX_BYTES)
        self._due_records = max(self._due_records - count, self.records_limit)
        del self._bodies[:count]
        del self._places[:count]
