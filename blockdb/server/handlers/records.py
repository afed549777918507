"""Records: storing and reading them, and the blocks that have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from blockdb.database.collection import Collection
from blockdb.errors import DuplicateKey, InvalidData
from blockdb.interface import AnyFeed
from blockdb.server.service import Session
from blockdb.types import REDACTED, AsOf, Change
from blockdb.wire.cursors import cursor_of, place_of
from blockdb.wire.messages import records
from blockdb.wire.messages.server import Watch, Watched, told_as

T = TypeVar("T")

MOST_ITEMS: Final = 10_000
"""On one page."""
MOST_BYTES: Final = 8 * 1024**2
"""With so many, a page is full."""
IDLE_S: Final = 1.0
"""So often a stream says that nothing came, and looks whether somebody still listens."""


def checked_limit(limit: int) -> int:
    """How many fit on a page. Raises InvalidData."""
    if not 1 <= limit <= MOST_ITEMS:
        raise InvalidData(f"limit: it should be from 1 to {MOST_ITEMS:,}, not {limit}. Go on with the cursor.")
    return limit


def bounded(items: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """As many of them as fill a page; one at least."""
    room = MOST_BYTES
    for item in items:
        yield item
        room -= size(item)
        if room <= 0:
            return


def put(session: Session, request: records.Put) -> records.Stored:
    """Store a record."""
    sequence = session.collection(request.collection).put(request.key, request.value, sync=request.sync)
    return records.Stored(first_sequence=sequence, count=1)


def put_many(session: Session, request: records.PutMany) -> records.Stored:
    """Store a batch."""
    items = [(item.key, item.value) for item in request.items]
    stored = session.collection(request.collection).put_many(items, sync=request.sync)
    return records.Stored(**records.run_of(stored))


def get(session: Session, request: records.Get) -> records.Found:
    """Read a value."""
    value = session.collection(request.collection).get(request.key, as_of=request.as_of)
    return records.Found(found=value is not None, key=request.key, value=value)


def exists(session: Session, request: records.ByKey) -> records.Existence:
    """Whether a key is stored."""
    return records.Existence(exists=session.collection(request.collection).exists(request.key))


def record(session: Session, request: records.ByKey) -> records.RecordFound:
    """A record."""
    return records.RecordFound(record=session.collection(request.collection).record(request.key))


def scan(session: Session, request: records.Scan) -> records.Page:
    """A page of a scan. It is of the moment of the call, and so are those that its cursor leads to."""
    checked_limit(request.limit)
    collection = session.collection(request.collection)
    if request.cursor is not None:
        return _page(collection, request, place_of(request.cursor).moment)
    if request.as_of is not None:
        return _page(collection, request, None)
    before = collection.moment()
    page = _page(collection, request, None, before)
    if page.cursor is None or before is None or collection.moment() == before:
        return page
    return _page(collection, request, before)


def _page(
    collection: Collection, request: records.Scan, moment: AsOf | None, known: AsOf | None = None
) -> records.Page:
    """The page as of a moment of sequence numbers, or as the request says; `known` is then what that is the same as."""
    start, end, offset = request.start, request.end, request.offset
    if request.cursor is not None:
        behind, offset = place_of(request.cursor).behind, 0
        if request.reverse:  # never beyond the range that was asked for, and allowed: anybody can write a cursor
            end = behind if end is None else min(end, behind)
        else:
            start = max(start or b"", behind + b"\0")
    as_of = request.as_of if moment is None else moment
    found = collection.scan(
        prefix=request.prefix,
        start=start,
        end=end,
        limit=request.limit + 1,
        offset=offset,
        reverse=request.reverse,
        as_of=as_of,
    )
    items = [
        _item(key, value, request.keys_only)
        for key, value in bounded(islice(found, request.limit), lambda item: len(item[0]) + len(item[1]))
    ]
    if next(found, None) is None:
        return records.Page(items=items)
    at = moment or known or collection.moment(as_of or AsOf(sequence=0))
    assert at is not None, "there are records"
    return records.Page(items=items, cursor=cursor_of(at, items[-1].key))


def _item(key: bytes, value: bytes, keys_only: bool) -> records.ScannedItem:
    if value is REDACTED:
        return records.ScannedItem(key=key, redacted=True)
    return records.ScannedItem(key=key, value=None if keys_only else value)


def count(session: Session, request: records.Count) -> records.Counted:
    """Count keys or documents."""
    found = session.collection(request.collection).count(
        prefix=request.prefix,
        start=request.start,
        end=request.end,
        where=request.where,
        parameters=request.parameters,
        as_of=request.as_of,
    )
    return records.Counted(count=found)


def in_commit_order(session: Session, request: records.InCommitOrder) -> records.Records:
    """Records in commit order."""
    limit = checked_limit(request.limit)
    found = session.collection(request.collection).records(request.first, limit)
    return records.Records(records=list(bounded(found, lambda record: len(record.key) + len(record.value))))


def redact(session: Session, request: records.Redact) -> records.Redacted:
    """Erase values."""
    done = session.collection(request.collection).redact_many(
        request.keys, reason=request.reason, by=session.principal.name
    )
    return records.Redacted(sequences=list(done.sequences), files=done.files, quarantined=done.quarantined)


def import_records(session: Session, requests: Iterable[records.Import]) -> records.Imported:
    """Store a stream of records, a piece of it at a time, each of them all or nothing."""
    stored = skipped = 0
    for piece in requests:
        collection = session.collection(piece.collection)
        items = [(item.key, item.value) for item in piece.items]
        if piece.skip_duplicates:
            kept = [(key, value) for key, value in dict(items).items() if not collection.exists(key)]
            skipped += len(items) - len(kept)
            items = kept
        if items:
            stored += len(_stored(collection, items, piece.skip_duplicates))
    return records.Imported(stored=stored, skipped=skipped)


def _stored(collection: Collection, items: list[tuple[bytes, bytes]], skip_duplicates: bool) -> Sequence[int]:
    while True:
        try:
            return collection.put_many(items)
        except DuplicateKey:  # somebody else was quicker
            if not skip_duplicates:
                raise
            items = [(key, value) for key, value in items if not collection.exists(key)]
            if not items:
                return range(0)


def blocks(session: Session, request: records.Blocks) -> records.BlockList:
    """Sealed blocks."""
    found = session.collection(request.collection).blocks(
        request.first, checked_limit(request.limit), reverse=request.reverse
    )
    return records.BlockList(blocks=list(found))


def block(session: Session, request: records.ByNumber) -> records.BlockFound:
    """A sealed block."""
    return records.BlockFound(block=session.collection(request.collection).block(request.number))


def block_records(session: Session, request: records.ByNumber) -> records.Records:
    """The records of a block."""
    return records.Records(records=session.collection(request.collection).block_records(request.number))


def block_leaves(session: Session, request: records.ByNumber) -> records.Leaves:
    """The leaf hashes of a block."""
    return records.Leaves(leaves=session.collection(request.collection).block_leaves(request.number))


def watch(session: Session, request: Watch) -> Iterator[Watched]:
    """The change stream; each second without a change it says so, since that shows whether somebody listens."""
    feed = session.collection(request.collection).watch(prefix=request.prefix, after=request.begin)
    try:
        yield from _watched(session, request, feed)
    finally:
        feed.stop()


def _watched(session: Session, request: Watch, feed: AnyFeed) -> Iterator[Watched]:
    left = request.timeout_s
    yield Watched(**told_as(feed.position))
    while not session.call.is_cancelled() and not session.service.is_stopping:
        wait = IDLE_S if left is None else min(IDLE_S, left)
        change: Change | None = feed.take(wait)
        if change is None and feed.is_over():
            return
        yield Watched(**told_as(feed.position), change=change)
        if change is not None:
            left = request.timeout_s
        elif left is not None:
            left -= wait
            if left <= 0:
                return
