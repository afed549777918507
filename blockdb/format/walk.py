"""Walking a chain file frame by frame. Whatever reads the chain in order (recovery, audit, attachment) walks here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format import batch, record
from blockdb.format.alike import bodies_alike, items_alike, walk_alike
from blockdb.format.batch import HEADERS
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, SEAL, BadFrame, TornFrame
from blockdb.format.limits import SEGMENT_MAX_BYTES
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN_RECORD, RecordFrame, unpack_sizes

Step = tuple[int, int, RecordFrame | Seal]
"""Where a frame begins, where the next one does, and what it is."""

Decided = Callable[[int], bool]
"""Whether the transaction with that number was decided: only then the records of its batches count."""


class UndecidedFrame(BadFrame):
    """The batch is intact, but the transaction that wrote it was never decided."""


class Run(NamedTuple):
    """Plain records in commit order, a column for each part of them, and where the last one ends."""

    keys: list[bytes]
    values: list[bytes]
    offsets: list[int]
    end: int


class DamagedChain(ValueError):
    """The walk came to bytes that are no frame.

    `offset` is where the commit begins that they are part of: everything before it is intact. `torn` says that the
    file ended too early, which is also what a write that was cut short looks like. `undecided` says that the commit is
    intact, and nothing but a part of a transaction that was not decided.
    """

    def __init__(self, offset: int, error: BadFrame) -> None:
        self.offset = offset
        self.torn = isinstance(error, TornFrame)
        self.undecided = isinstance(error, UndecidedFrame)
        super().__init__(str(error))


def walk(buffer: Buffer, start: int, stop: int, decided: Decided | None = None) -> Iterator[Step]:
    """The records and seals between two offsets. The records of a batch come only once all of them were checked.

    `decided` is asked for each batch of a transaction, if it is given. Raises DamagedChain. O(bytes).
    """
    offset = start
    while offset < stop:
        try:
            steps = commit_at(buffer, offset, stop, decided)
        except BadFrame as error:
            raise DamagedChain(offset, error) from None
        yield from steps
        offset = steps[-1][1]


def commit_at(buffer: Buffer, offset: int, stop: int, decided: Decided | None = None) -> list[Step]:
    """The records of the commit at `offset`, or the seal there. Raises TornFrame or BadFrame."""
    if offset + CHECK_BYTES >= min(stop, len(buffer)):
        raise TornFrame("the file ends inside the check of a frame")
    type_ = buffer[offset + CHECK_BYTES]
    if type_ == RECORD:
        steps = [_record_at(buffer, offset)]
    elif type_ == SEAL:
        seal, size = decode_seal(buffer, offset)
        steps = [(offset, offset + size, seal)]
    elif type_ in HEADERS:
        steps = _batch_at(buffer, offset, stop, decided)
    else:
        raise BadFrame(f"no frame begins here (type {type_:#04x})")
    if steps[-1][1] > stop:
        raise TornFrame("the file ends inside a frame")
    return steps


def _record_at(buffer: Buffer, offset: int) -> Step:
    frame = record.decode(buffer, offset)
    return offset, offset + frame.size, frame


def _batch_at(buffer: Buffer, offset: int, stop: int, decided: Decided | None) -> list[Step]:
    header = batch.decode(buffer, offset)
    at = offset + header.header_bytes
    end = at + header.size
    if end > stop:
        raise TornFrame("the file ends inside a batch")
    steps: list[Step] = []
    while at < end:
        steps.append(_record_at(buffer, at))
        at = steps[-1][1]
    if at != end or len(steps) != header.records:
        raise BadFrame("the batch does not have the records that its header announces")
    if header.transaction and decided is not None and not decided(header.transaction):
        raise UndecidedFrame(f"the transaction {header.transaction}, which wrote the batch, was not decided")
    return steps


def run_at(buffer: Buffer, start: int, stop: int, decided: Decided | None = None) -> Run:
    """The plain records from `start` on, checked, alone or in batches, up to whatever else there is. O(bytes).

    What else there is (the end, a seal, a redactable record, damage, a batch that does not count) `walk` tells; this
    is its quick half. A batch is in the run with all of its records, or not at all.
    """
    run = plain_run(buffer, start, stop)
    while (whole := _batch_run(buffer, run.end, stop, decided)) is not None:
        alone = plain_run(buffer, whole.end, stop)
        for more in (whole, alone):
            run.keys.extend(more.keys)
            run.values.extend(more.values)
            run.offsets.extend(more.offsets)
        run = run._replace(end=alone.end)
    return run


def _batch_run(buffer: Buffer, offset: int, stop: int, decided: Decided | None) -> Run | None:
    """The records of the batch at `offset`, None where there is none, or none that is plain, whole, and counts."""
    try:
        header = batch.decode(buffer, offset)
    except BadFrame:
        return None
    start = offset + header.header_bytes
    end = start + header.size
    if end > stop or (header.transaction and decided is not None and not decided(header.transaction)):
        return None
    run = plain_run(buffer, start, end)
    return run if run.end == end and len(run.keys) == header.records else None


def plain_run(buffer: Buffer, start: int, stop: int) -> Run:
    """The plain records that follow each other from `start` on, up to the first frame that is none, or not intact."""
    run = Run([], [], [], start)

    def many(offset: int, data: bytes, size: int) -> int:
        items = items_alike(data, size) if data[CHECK_BYTES + 1] == record.PLAIN else None
        if items is None or not items[0][0]:
            return 0
        run.keys.extend(items[0])
        run.values.extend(items[1])
        run.offsets.extend(range(offset, offset + len(data), size))
        return len(data)

    return run._replace(end=walk_alike(buffer, start, stop, partial(_extend_run, run, buffer, stop), many))


def _extend_run(run: Run, buffer: Buffer, stop: int, start: int, most: int) -> int:
    """Add to a run what follows, `most` records at most, and return where they end."""
    keys, values, offsets, _ = run
    unpack, digest = unpack_sizes, xxh3_64_digest
    offset, last = start, stop - HEADER_BYTES
    for _ in repeat(None, most):
        if offset >= last:
            break
        check, kind, key_bytes, content_bytes = unpack(buffer, offset)
        end = offset + HEADER_BYTES + key_bytes + content_bytes
        if kind != PLAIN_RECORD or end > stop or not key_bytes:
            break
        body = buffer[offset + CHECK_BYTES : end]
        if digest(body)[:CHECK_BYTES] != check:
            break
        split = BODY_HEADER_BYTES + key_bytes
        keys.append(body[BODY_HEADER_BYTES:split])
        values.append(body[split:])
        offsets.append(offset)
        offset = end
    return offset


def walk_part(buffer: Buffer, start: int, stop: int) -> Iterator[Step]:
    """The records and seals of a part of a chain that is known to be complete: it may begin or end inside a batch.

    Raises DamagedChain. O(bytes).
    """
    offset = start
    while offset < stop:
        try:
            if buffer[offset + CHECK_BYTES] in HEADERS:
                offset += batch.decode(buffer, offset).header_bytes
                continue
            (step,) = commit_at(buffer, offset, stop)
        except (BadFrame, IndexError) as error:
            raise DamagedChain(offset, error if isinstance(error, BadFrame) else TornFrame("a frame is cut")) from None
        yield step
        offset = step[1]


def bodies(buffer: Buffer, start: int, stop: int, limit: int = SEGMENT_MAX_BYTES) -> tuple[list[bytes], list[int]]:
    """The bodies of the records between two offsets, and where their frames begin; nothing is checked.

    For whoever reads what this machine wrote a moment ago, or checks the whole by its hash. `limit` of them at most.
    O(records).
    """
    found: list[bytes] = []
    offsets: list[int] = []

    def many(offset: int, data: bytes, size: int) -> int:
        data = data[: (limit - len(found)) * size]
        found.extend(bodies_alike(data, size))
        offsets.extend(range(offset, offset + len(data), size))
        return len(data)

    def few(offset: int, most: int) -> int:
        unpack, enough = record.unpack_sizes, min(len(found) + most, limit)
        while offset < stop and len(found) < enough:
            _, kind, key_bytes, content_bytes = unpack(buffer, offset)
            if kind & 0xFF != RECORD:
                offset = _behind(buffer, offset)
                continue
            end = offset + record.HEADER_BYTES + key_bytes + content_bytes
            found.append(buffer[offset + CHECK_BYTES : end])
            offsets.append(offset)
            offset = end
        return offset

    walk_alike(buffer, start, stop, few, many)
    return found, offsets


def skip(buffer: Buffer, start: int, stop: int, limit: int = SEGMENT_MAX_BYTES) -> tuple[int, int]:
    """How many records there are between two offsets, `limit` at most, and where the last of them ends; unchecked."""
    unpack, offset, records = record.unpack_sizes, start, 0
    while offset < stop and records < limit:
        _, kind, key_bytes, content_bytes = unpack(buffer, offset)
        if kind & 0xFF != RECORD:
            offset = _behind(buffer, offset)
            continue
        offset += record.HEADER_BYTES + key_bytes + content_bytes
        records += 1
    return records, offset


def count(buffer: Buffer, start: int, stop: int) -> int:
    """How many records there are between two offsets, the second after a commit; unchecked.

    The header of a batch, which is checked, is believed how many it has. O(batches + records outside of them). Raises
    BadFrame, StructError or IndexError where they cannot be taken apart.
    """
    unpack, offset, records = record.unpack_sizes, start, 0
    while offset < stop:
        _, kind, key_bytes, content_bytes = unpack(buffer, offset)
        if kind & 0xFF == RECORD:
            offset += record.HEADER_BYTES + key_bytes + content_bytes
            records += 1
        elif kind & 0xFF in HEADERS:
            announced = batch.decode(buffer, offset)
            offset += announced.header_bytes + announced.size
            records += announced.records
        else:
            offset = _behind(buffer, offset)
    return records


def transactions(buffer: Buffer, start: int, stop: int) -> Iterator[int]:
    """The numbers of the transactions that wrote batches between two offsets, of what is intact. O(records)."""
    offset = start
    while offset < stop:
        type_ = buffer[offset + CHECK_BYTES]
        if type_ == RECORD:
            offset = record.end_of(buffer, offset)
            continue
        if type_ in HEADERS and (number := batch.decode(buffer, offset).transaction):
            yield number
        offset = _behind(buffer, offset)


def _behind(buffer: Buffer, offset: int) -> int:
    """Where what is no record ends: the header of a batch, or a seal. Raises BadFrame."""
    header_bytes = HEADERS.get(buffer[offset + CHECK_BYTES])
    if header_bytes is not None:
        return offset + header_bytes
    return offset + decode_seal(buffer, offset)[1]
