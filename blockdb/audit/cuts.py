"""Cutting a chain into stretches, which can be audited in any order, by several processes.

A writer that is fast seals late: between the records of a block and its seal may stand those of a thousand others. So
stretches are cut where blocks begin, and the blocks of a stretch are closed with their seals wherever those stand.
Where seals are, the tables say, and behind them what looks like one. All of it is taken on trust: that stretches fit
together, and that the seals of the chain are these and no others, shows when they are put together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from struct import error as StructError
from typing import Final

from blockdb.audit.seals import next_seal
from blockdb.audit.stretch import Chain, Cut
from blockdb.audit.tables import TableAudit
from blockdb.format import batch, record, segment
from blockdb.format.block import Seal, decode_seal
from blockdb.format.frame import RECORD, BadFrame
from blockdb.format.place import PLACE_MASK, place_of, split_place
from blockdb.format.record import HEADER_BYTES

STRETCH_BYTES: Final = 2 * 1024 * 1024

WALK_BYTES: Final = STRETCH_BYTES
"""So far behind the beginning of a block it is looked for a commit that begins."""

NO_RECORD: Final = -1
"""What a stretch begins with of which nothing is known."""


def seal_places(chain: Chain, tables: Sequence[TableAudit], end: int | None) -> list[int]:
    """The places of the seals up to the place `end`, in order: as tables name them, and found where there is none.

    O(tables), and O(bytes) of what is in no table.
    """
    places: list[int] = []
    at = place_of(0, segment.HEADER_BYTES)
    stop = PLACE_MASK if end is None else end
    for table in tables:
        places += _searched(chain, at, table.header.first_place, len(places))
        places += table.seals
        at = table.header.end_place
    places += _searched(chain, at, stop, len(places))
    return places[: bisect_left(places, stop)]


def _searched(chain: Chain, start: int, stop: int, block: int) -> Iterator[int]:
    """The places of the seals between two places, the first of which is that of a block."""
    for number in range(split_place(start)[0], min(split_place(stop)[0] + 1, len(chain.segments))):
        at = max(start - place_of(number, 0), segment.HEADER_BYTES)
        limit = min(stop - place_of(number, 0), len(chain.segments[number]))
        while (found := next_seal(chain, number, at, limit)) is not None:
            offset, at, seal = found
            if seal.header.number == block:
                yield place_of(number, offset)
                block += 1


def first_block(chain: Chain, seals: Sequence[int], sequence: int) -> int:
    """The number of the first block that begins with this record or a later one. O(log n)."""
    return _first(chain, seals, lambda seal: seal.header.first_sequence >= sequence)


def _block_behind(chain: Chain, seals: Sequence[int], place: int) -> int:
    """The number of the first block that begins at this place or behind it. O(log n)."""
    return _first(chain, seals, lambda seal: seal.first_place >= place)


def _first(chain: Chain, seals: Sequence[int], is_far: Callable[[Seal], bool]) -> int:
    """The first of the seals that is far; a damaged one counts as the one before it does."""

    def key(number: int) -> bool:
        for place in seals[number::-1]:
            with suppress(BadFrame, IndexError):
                return is_far(chain.seal_at(place))
        return False

    return bisect_left(range(len(seals)), True, key=key)


def cuts_of(chain: Chain, seals: Sequence[int], end: int | None) -> list[Cut]:
    """The stretches of the chain up to the place `end`, or all of it, where its seals are at these places.

    A chain file that is not what it should be is one stretch, which begins with no record.
    """
    cuts = []
    left = sum(map(len, chain.segments))
    for number, buffer in enumerate(chain.segments):
        stop = split_place(end)[1] if end is not None and number == split_place(end)[0] else len(buffer)
        base = place_of(number, 0)
        try:
            header = segment.decode(buffer)
        except BadFrame:
            header = None
        if header is None or header[:2] != (chain.collection, number) or stop > len(buffer):
            cuts.append(Cut(base + segment.HEADER_BYTES, base + stop, NO_RECORD))
        else:
            starts = [(segment.HEADER_BYTES, header.first_sequence), *_starts(chain, seals, number, stop, left)]
            ends = [offset for offset, _ in starts[1:]] + [stop]
            cuts += [Cut(base + at, base + to, first) for (at, first), to in zip(starts, ends, strict=True)]
        left -= len(buffer)
    return cuts


def _starts(chain: Chain, seals: Sequence[int], number: int, stop: int, left: int) -> Iterator[tuple[int, int]]:
    """Where stretches may begin within a chain file, and the numbers of their first records.

    `left` is how large the chain is from this file on.
    """
    base, at = place_of(number, 0), segment.HEADER_BYTES
    wanted = at + _stretch_bytes(left - at)
    with suppress(BadFrame, StructError, IndexError):  # of damage the stretch tells
        while (block := _block_behind(chain, seals, base + wanted)) < len(seals):
            first = chain.seal_at(seals[block]).first_place - base
            if first >= stop:
                return
            found = _commit_at(chain, seals, block, min(first + WALK_BYTES, stop))
            if found is None:
                wanted = first + WALK_BYTES
            elif found[0] <= at:
                wanted = first + 1
            else:
                yield found
                at = found[0]
                wanted = at + _stretch_bytes(left - at)


def _stretch_bytes(left: int) -> int:
    """The least size of the next stretch: they get shorter towards the end, so that nobody waits for the last one."""
    return min(STRETCH_BYTES, max(left // 16, STRETCH_BYTES // 8, 1))


def _commit_at(chain: Chain, seals: Sequence[int], block: int, stop: int) -> tuple[int, int] | None:
    """Where a commit begins, at the first record of a block or behind it, and the number of the record that follows."""
    seal = chain.seal_at(seals[block])
    (number, offset), sequence = split_place(seal.first_place), seal.header.first_sequence
    buffer = chain.segments[number]
    if block and _end_of(chain, seals[block - 1]) == seal.first_place:
        return offset, sequence
    for header_bytes in batch.HEADERS.values():
        before = offset - header_bytes
        with suppress(BadFrame):
            if before >= segment.HEADER_BYTES and batch.decode(buffer, before).header_bytes == header_bytes:
                return before, sequence
    unpack = record.unpack_sizes
    while offset < stop:
        _, kind, key_bytes, content_bytes = unpack(buffer, offset)
        if kind & 0xFF != RECORD:
            return offset, sequence
        offset += HEADER_BYTES + key_bytes + content_bytes
        sequence += 1
    return None


def _end_of(chain: Chain, place: int) -> int:
    """Where a seal ends."""
    number, offset = split_place(place)
    return place + decode_seal(chain.segments[number], offset)[1]
