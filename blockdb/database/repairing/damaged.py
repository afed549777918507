"""What can still be read of damaged chain files: where the damage begins, and which records stand behind it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from blockdb.errors import Corruption
from blockdb.format import packed, record, sealed, segment
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.segment import SegmentHeader
from blockdb.format.walk import DamagedChain, walk
from blockdb.layout import CollectionFiles, segment_numbers
from blockdb.storage.door import Door

__all__ = ["bytes_of", "content_of", "first_damage", "in_base64", "intact_records", "segments_of"]

_RECORD_START: Final = re.compile(bytes((RECORD, *b"[", record.PLAIN, record.REDACTABLE, *b"]")))


def segments_of(files: CollectionFiles) -> list[int]:
    """The numbers of the chain files of a collection. Raises Corruption where not even the first one is there."""
    numbers = segment_numbers(path.name for path in files.chain.iterdir())
    whole = [number for expected, number in enumerate(numbers) if number == expected]
    if not whole:
        raise Corruption(str(files.segment(0)), None, "the first chain file is missing")
    return numbers


def content_of(door: Door, files: CollectionFiles, number: int) -> bytes:
    """The bytes of a chain file, packed or not. Raises BadFrame where it is packed and damaged."""
    path = files.segment(number)
    return bytes_of(door, path) if path.exists() else packed.unpack(bytes_of(door, files.packed(number)))


def bytes_of(door: Door, path: Path) -> bytes:
    """What a file holds, as far as it can be had where it is encrypted."""
    data = path.read_bytes()
    binding = None if door.keys is None else sealed.binding_of(*path.absolute().parts)
    return data if door.keys is None or binding is None else sealed.salvage(data, binding, door.keys)


def first_damage(buffer: bytes, expected: SegmentHeader, number: int) -> tuple[int | None, int]:
    """Where a chain file is no longer what was written, and how many records there are up to its end.

    0 where it does not even begin as it should, None where it is intact.
    """
    records = expected.first_sequence
    try:
        if segment.decode(buffer) != expected or number != expected.number:
            return 0, records
        for _, _, frame in walk(buffer, segment.HEADER_BYTES, len(buffer)):
            records += isinstance(frame, record.RecordFrame)
    except DamagedChain as error:
        return error.offset, records
    except BadFrame:
        return 0, records
    return None, records


def intact_records(stretch: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every record in these bytes whose check still matches, wherever it begins."""
    found = _RECORD_START.search(stretch)
    while found is not None:
        start = found.start() - CHECK_BYTES
        try:
            frame = record.decode(stretch, start) if start >= 0 else None
        except BadFrame:
            frame = None
        if frame is not None:
            yield frame.key, frame.value
        found = _RECORD_START.search(stretch, found.start() + 1 if frame is None else start + frame.size)


def in_base64(data: bytes) -> str:
    """As it stands in lines of JSON."""
    return base64.b64encode(data).decode()
