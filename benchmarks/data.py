"""What every database is given: the records, and the keys it is asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "BATCH_RECORDS",
    "KEY_BYTES",
    "RECORD_BYTES",
    "VALUE_BYTES",
    "Data",
    "Pair",
    "batches",
    "make_data",
    "varied",
]

Pair: TypeAlias = tuple[bytes, bytes]

KEY_BYTES = 16
VALUE_BYTES = 100
RECORD_BYTES = KEY_BYTES + VALUE_BYTES
BATCH_RECORDS = 1_000

ASKED = 200_000
RANGES = 2_000
FORCED = 16_000


@dataclass(frozen=True)
class Data:
    """The records, in the order in which they are written, and samples."""

    pairs: Sequence[Pair]
    present: Sequence[bytes]
    absent: Sequence[bytes]
    starts: Sequence[bytes]
    forced: Sequence[Pair]

    @property
    def data_bytes(self) -> int:
        """Keys and values."""
        return len(self.pairs) * RECORD_BYTES


def make_data(records: int, seed: int = 1) -> Data:
    """Random keys and values, the same for the same seed."""
    chance = random.Random(seed)
    pairs = [(chance.randbytes(KEY_BYTES), chance.randbytes(VALUE_BYTES)) for _ in range(records)]
    absent = [chance.randbytes(KEY_BYTES) for _ in range(min(records, ASKED))]
    present = [chance.choice(pairs)[0] for _ in absent]
    return Data(pairs, present, absent, starts=absent[:RANGES], forced=pairs[:FORCED])


def batches(pairs: Sequence[Pair], size: int = BATCH_RECORDS) -> Iterator[Sequence[Pair]]:
    """The records in batches, as `put_many` takes them."""
    return (pairs[n : n + size] for n in range(0, len(pairs), size))


def varied(pairs: Sequence[Pair]) -> list[Pair]:
    """As many records with sizes of their own: keys of 8 to 24 bytes, values of 50 to 150, as many in all."""
    return [
        ((key + value)[: KEY_BYTES // 2 + value[0] % (KEY_BYTES + 1)], (value * 2)[: VALUE_BYTES // 2 + value[1] % 101])
        for key, value in pairs
    ]
