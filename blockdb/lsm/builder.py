"""Building a table from keys in order and their places: a small one, or where no process does it (`columns`)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final

from blockdb.format.limits import TABLE_MAX_SLOTS
from blockdb.format.table import ORDER_BYTES, TableHeader, encode, home_slots, words
from blockdb.lsm.bloom import filter_of, key_hash, save

HOME_SLOTS_PER_RECORD: Final = 5 / 4
"""Four fifths of the slots are used: a search looks at three of them on average, and a record costs 10 bytes."""

Column = Any
"""64-bit or 32-bit numbers in memory: an `array`, or one of numpy."""

Run = tuple[Sequence[bytes], Sequence[int]]
"""Keys in order, and their places."""


def build(description: TableHeader, runs: Iterable[Run], seals: Sequence[int]) -> bytes:
    """The file of a table over the keys of `runs` (in order, over all of them), and over the seals at those places.

    `description` gives what the table is about; its sizes are filled in here. O(n log n), and 130 bytes of memory
    a key. Raises ValueError where the table would have more slots than it can count.
    """
    hashes, places = array("Q"), array("Q")
    for keys, its_places in runs:
        hashes.extend(map(key_hash, keys))
        places.extend(its_places)
    homes = home_count(len(hashes))
    order, slots = _assign_slots(home_slots(hashes, homes), homes)
    slotted = array("Q", bytes(8 * slots))
    for slot, word in zip(order, words(hashes, places), strict=True):
        slotted[slot] = word
    return table_file(description, hashes, slotted, order, seals)


def home_count(records: int) -> int:
    """How many slots of a table are homes."""
    return max(1, int(records * HOME_SLOTS_PER_RECORD))


def table_file(
    description: TableHeader, hashes: array[int], slotted: Column, order: Column, seals: Sequence[int]
) -> bytes:
    """The file of a table with these slots, and the numbers of those in use in the order of keys.

    `hashes` are those of the keys, in any order. Raises ValueError where there are more slots than can be counted.
    """
    if len(slotted) > TABLE_MAX_SLOTS:
        raise ValueError("the table is too large")
    bloom = save(filter_of(hashes.tolist(), len(hashes)))  # from a list, it takes less time
    padding = bytes(ORDER_BYTES * (len(order) % 2))  # what follows begins at a multiple of 8
    sections = b"".join((slotted, order, padding, array("Q", seals), bloom))
    header = description._replace(
        records=len(hashes),
        seals=len(seals),
        home_slots=home_count(len(hashes)),
        slots=len(slotted),
        filter_bytes=len(bloom),
    )
    return encode(header, sections)


def _assign_slots(homes: Sequence[int], count: int) -> tuple[array[int], int]:
    """A slot for each record, none before its home, and how many slots that takes: an empty one after every home.

    Placed in the order of their homes, of which there are `count`, each goes to its home or next to the one before:
    linear probing without a search.
    """
    slot_of = array("I", bytes(4 * len(homes)))
    last = -1
    for ordinal in sorted(range(len(homes)), key=homes.__getitem__):
        home = homes[ordinal]
        last = home if home > last else last + 1
        slot_of[ordinal] = last
    return slot_of, max(last, count - 1) + 2
