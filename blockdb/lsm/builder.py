"""Building a table from keys in order and their places."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from blockdb.format.limits import TABLE_MAX_SLOTS
from blockdb.format.table import TableHeader, encode, home_slot, word
from blockdb.lsm.bloom import filter_of, key_hash, save

HOME_SLOTS_PER_RECORD: Final = 4 / 3
"""Three quarters of the slots are used: a search looks at 2.5 of them on average, and a record costs 10.7 bytes."""


def build(description: TableHeader, keys: Sequence[bytes], places: Sequence[int], seals: Sequence[int]) -> bytes:
    """The file of a table over `keys` (sorted) at `places`, and over the seals at those other places.

    `description` gives what the table is about; its sizes are filled in here. O(n log n). Raises ValueError where
    the table would have more slots than it can count.
    """
    hashes = [key_hash(key) for key in keys]
    home_slots = max(1, int(len(keys) * HOME_SLOTS_PER_RECORD))
    slot_of, slots = _assign_slots(hashes, home_slots)
    if slots > TABLE_MAX_SLOTS:
        raise ValueError("the table is too large")
    words = array("Q", bytes(8 * slots))
    for slot, hashed, place in zip(slot_of, hashes, places, strict=True):
        words[slot] = word(hashed, place)
    order = array("I", slot_of).tobytes()
    bloom = save(filter_of(hashes, len(keys)))
    sections = b"".join(
        (
            words.tobytes(),
            order.ljust((len(order) + 7) // 8 * 8, b"\0"),
            array("Q", seals).tobytes(),
            bloom,
        )
    )
    header = description._replace(
        records=len(keys), seals=len(seals), home_slots=home_slots, slots=slots, filter_bytes=len(bloom)
    )
    return encode(header, sections)


def _assign_slots(hashes: Sequence[int], home_slots: int) -> tuple[list[int], int]:
    """A slot for each hash, none before its home, and how many slots that takes: an empty one after every home.

    Placed in the order of their hashes, each goes to its home or next to the one before: linear probing without
    a search, since the order of hashes is that of homes.
    """
    slot_of = [0] * len(hashes)
    last = -1
    for ordinal in sorted(range(len(hashes)), key=hashes.__getitem__):
        last = max(last + 1, home_slot(hashes[ordinal], home_slots))
        slot_of[ordinal] = last
    return slot_of, max(last, home_slots - 1) + 2
