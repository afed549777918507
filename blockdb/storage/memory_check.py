"""Whether what is in memory is what stands in the chain."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.errors import Corruption
from blockdb.lsm.memtable import Memtable
from blockdb.storage.chain import Chain
from blockdb.types import REDACTED, Problem


def differences(memtable: Memtable, chain: Chain) -> Iterator[Problem]:
    """A problem for each record of a memtable whose value is another one in the chain. O(records)."""
    for ordinal, (key, value) in enumerate(list(memtable.index.items())):
        place = memtable.places[ordinal]
        if value is REDACTED:
            continue  # in the chain it may stand a moment longer
        try:
            same = chain.item_at(place) == (key, value)
        except Corruption:
            return  # the audit has named it
        if not same:
            sequence = memtable.first_sequence + ordinal
            yield Problem("(memory)", None, None, sequence, key, "the value in memory is not that in the chain")
