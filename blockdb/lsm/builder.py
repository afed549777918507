"""Building a table from keys in order and their places."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from blockdb.format.limits import TABLE_MAX_SLOTS
from blockdb.format.table import TableHeader, encode, home_slots, words
from blockdb.lsm.bloom import filter_of, key_hash, save

HOME_SLOTS_PER_RECORD: Final = 5 / 4
"""Four fifths of the slots are used: a search looks at three of them on average, and a record costs 10 bytes."""

PARTITION_RECORDS: Final = 1 << 20
"""About how many records are sorted by their home at a time."""

Run = tuple[Sequence[bytes], Sequence[int]]
"""Keys in order, and their places."""


def build(description: TableHeader, runs: Iterable[Run], seals: Sequence[int]) -> bytes:
    """The file of a table over the keys of `runs` (in order, over all of them), and over the seals at those places.

    `description` gives what the table is about; its sizes are filled in here. O(n log n), and 60 bytes of memory a
    key. Raises ValueError where the table would have more slots than it can count.
    """
    hashes, places = array("Q"), array("Q")
    for keys, its_places in runs:
        hashes.extend(map(key_hash, keys))
        places.extend(its_places)
    homes = max(1, int(len(hashes) * HOME_SLOTS_PER_RECORD))
    order, slots = _assign_slots(home_slots(hashes, homes), homes)
    if slots > TABLE_MAX_SLOTS:
        raise ValueError("the table is too large")
    slotted = array("Q", bytes(8 * slots))
    for slot, word in zip(order, words(hashes, places), strict=True):
        slotted[slot] = word
    bloom = save(filter_of(hashes, len(hashes)))
    if len(order) % 2:
        order.append(0)  # what follows begins at a multiple of 8
    sections = b"".join((slotted, order, array("Q", seals), bloom))
    header = description._replace(
        records=len(hashes), seals=len(seals), home_slots=homes, slots=slots, filter_bytes=len(bloom)
    )
    return encode(header, sections)


def _assign_slots(homes: Sequence[int], count: int) -> tuple[array[int], int]:
    """A slot for each record, none before its home, and how many slots that takes: an empty one after every home.

    Placed in the order of their homes, of which there are `count`, each goes to its home or next to the one before:
    linear probing without a search.
    """
    slot_of = array("I", bytes(4 * len(homes)))
    last = -1
    for partition in _partitions(homes, count):
        for ordinal in sorted(partition, key=homes.__getitem__):
            home = homes[ordinal]
            last = home if home > last else last + 1
            slot_of[ordinal] = last
    return slot_of, max(last, count - 1) + 2


def _partitions(homes: Sequence[int], count: int) -> Sequence[Sequence[int]]:
    """All ordinals, those with lower homes in earlier partitions: sorting all of a large table takes much memory."""
    parts = len(homes) // PARTITION_RECORDS + 1
    if parts == 1:
        return [range(len(homes))]
    partitions = [array("I") for _ in range(parts)]
    for ordinal, home in enumerate(homes):
        partitions[home * parts // count].append(ordinal)
    return partitions
