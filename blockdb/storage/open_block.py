"""The open block: the records since the last seal, as sealing needs them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from blockdb.format.block import Seal
from blockdb.format.limits import BLOCK_MAX_BYTES
from blockdb.format.record import data_bytes_of, leaves_of, time_of
from blockdb.ledger.chain import BlockRecords, Sealer


class OpenBlock:
    """Collects record bodies and seals every run of them that makes a full block. Under the engine's write lock."""

    def __init__(self, sealer: Sealer, records_limit: int) -> None:
        self._sealer = sealer
        self._limit = records_limit
        self._bodies: list[bytes] = []
        self._places: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return len(self._bodies)

    @property
    def data_bytes(self) -> int:
        """Keys and values of its records."""
        return data_bytes_of(self._bodies)

    @property
    def first_place(self) -> int | None:
        """Where its first record begins, None while it has none."""
        return self._places[0] if self._places else None

    @property
    def next_number(self) -> int:
        """The number it will have."""
        return self._sealer.head.next_number

    @property
    def head_hash(self) -> bytes:
        """The hash of the block before it."""
        return self._sealer.head.previous_hash

    def add(self, body: bytes, place: int) -> bool:
        """Take a record; says whether the block is full now."""
        self._bodies.append(body)
        self._places.append(place)
        self._size += len(body)
        return len(self._bodies) >= self._limit or self._size >= BLOCK_MAX_BYTES

    def add_many(self, bodies: Sequence[bytes], places: Sequence[int]) -> bool:
        """Take the records of a batch; says whether there is a full block now, or more than one."""
        self._bodies.extend(bodies)
        self._places.extend(places)
        self._size += sum(map(len, bodies))
        return len(self._bodies) >= self._limit or self._size >= BLOCK_MAX_BYTES

    def seal(self) -> list[Seal]:
        """Seal the full blocks and keep what is over."""
        seals = []
        while count := self._full_count():
            seals.append(self._seal_first(count))
        return seals

    def _full_count(self) -> int:
        """How many of the records make the first full block; 0 where they make none."""
        if self._size < BLOCK_MAX_BYTES:
            return self._limit if len(self._bodies) >= self._limit else 0
        size = 0
        for count, body in enumerate(self._bodies, 1):
            size += len(body)
            if size >= BLOCK_MAX_BYTES or count == self._limit:
                return count
        return 0

    def _seal_first(self, count: int) -> Seal:
        bodies = self._bodies[:count]
        leaves = [sha256(leaf).digest() for leaf in leaves_of(bodies)]
        about = BlockRecords(data_bytes_of(bodies), time_of(bodies[0]), time_of(bodies[-1]), self._places[0])
        seal = self._sealer.seal(leaves, about)
        del self._bodies[:count]
        del self._places[:count]
        self._size -= sum(map(len, bodies))
        return seal
