"""Walking a chain file frame by frame. Whatever reads the chain in order (recovery, audit, attachment) walks here."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.format import batch, record
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BATCH, CHECK_BYTES, RECORD, SEAL, BadFrame, TornFrame
from blockdb.format.record import RecordFrame

Step = tuple[int, int, RecordFrame | Seal]
"""Where a frame begins, where the next one does, and what it is."""


class DamagedChain(ValueError):
    """The walk came to bytes that are no frame.

    `offset` is where the commit begins that they are part of: everything before it is intact. `torn` says that the
    file ended too early, which is also what a write that was cut short looks like.
    """

    def __init__(self, offset: int, error: BadFrame) -> None:
        self.offset = offset
        self.torn = isinstance(error, TornFrame)
        super().__init__(str(error))


def walk(buffer: Buffer, start: int, stop: int) -> Iterator[Step]:
    """The records and seals between two offsets. The records of a batch come only once all of them were checked.

    Raises DamagedChain. O(bytes).
    """
    offset = start
    while offset < stop:
        try:
            steps = _commit_at(buffer, offset, stop)
        except BadFrame as error:
            raise DamagedChain(offset, error) from None
        yield from steps
        offset = steps[-1][1]


def _commit_at(buffer: Buffer, offset: int, stop: int) -> list[Step]:
    if offset + CHECK_BYTES >= stop:
        raise TornFrame("the file ends inside the check of a frame")
    type_ = buffer[offset + CHECK_BYTES]
    if type_ == RECORD:
        steps = [_record_at(buffer, offset)]
    elif type_ == SEAL:
        seal, size = decode_seal(buffer, offset)
        steps = [(offset, offset + size, seal)]
    elif type_ == BATCH:
        steps = _batch_at(buffer, offset, stop)
    else:
        raise BadFrame(f"no frame begins here (type {type_:#04x})")
    if steps[-1][1] > stop:
        raise TornFrame("the file ends inside a frame")
    return steps


def _record_at(buffer: Buffer, offset: int) -> Step:
    frame = record.decode(buffer, offset)
    return offset, offset + frame.size, frame


def _batch_at(buffer: Buffer, offset: int, stop: int) -> list[Step]:
    header = batch.decode(buffer, offset)
    at = offset + batch.HEADER_BYTES
    end = at + header.size
    if end > stop:
        raise TornFrame("the file ends inside a batch")
    steps: list[Step] = []
    while at < end:
        steps.append(_record_at(buffer, at))
        at = steps[-1][1]
    if at != end or len(steps) != header.records:
        raise BadFrame("the batch does not have the records that its header announces")
    return steps


def walk_part(buffer: Buffer, start: int, stop: int) -> Iterator[Step]:
    """The records and seals of a part of a chain that is known to be complete: it may begin or end inside a batch.

    Raises DamagedChain. O(bytes).
    """
    offset = start
    while offset < stop:
        try:
            if buffer[offset + CHECK_BYTES] == BATCH:
                batch.decode(buffer, offset)
                offset += batch.HEADER_BYTES
                continue
            (step,) = _commit_at(buffer, offset, stop)
        except (BadFrame, IndexError) as error:
            raise DamagedChain(offset, error if isinstance(error, BadFrame) else TornFrame("a frame is cut")) from None
        yield step
        offset = step[1]


def bodies(buffer: Buffer, start: int, stop: int) -> tuple[list[bytes], list[int]]:
    """The bodies of the records between two offsets, and where their frames begin; nothing is checked.

    For whoever reads what this machine wrote a moment ago. O(records).
    """
    found: list[bytes] = []
    offsets: list[int] = []
    offset = start
    while offset < stop:
        type_ = buffer[offset + CHECK_BYTES]
        if type_ == RECORD:
            end = record.end_of(buffer, offset)
            found.append(buffer[offset + CHECK_BYTES : end])
            offsets.append(offset)
            offset = end
        elif type_ == BATCH:
            offset += batch.HEADER_BYTES
        else:
            offset += decode_seal(buffer, offset)[1]
    return found, offsets
