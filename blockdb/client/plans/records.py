"""Plans about records and blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from blockdb.client.plans.plan import Ask, Given, Pages, Plan, past, refuse_author, restored, value_of
from blockdb.errors import BlockDBError, BlockNotFound, Unavailable
from blockdb.format.checks import check_batch, check_bounds, check_counts, check_key, check_records, unzipped
from blockdb.types import REDACTED, AsOf, Block, Record, Redaction
from blockdb.wire.messages import collections, records, transactions

__all__ = ["RecordPlans", "in_pieces", "items_of"]

AT_ONCE_RECORDS: Final = 100_000
AT_ONCE_BYTES: Final = 48 * 1024**2
"""A batch that is no larger goes in one request; a larger one is put together on the server, in a transaction."""
PIECE_RECORDS: Final = 20_000
PIECE_BYTES: Final = 8 * 1024**2

T = TypeVar("T")


class RecordPlans:
    """Plans about the records of one collection, which is named by its id."""

    def __init__(self, collection: str) -> None:
        self.collection = collection

    # Writing.

    def put(self, key: bytes, value: Given, sync: bool) -> Plan[int]:
        """Store a record."""
        raw = value_of(value)
        check_batch([(check_key(key), raw)])
        stored = yield Ask("put", records.Put(collection=self.collection, key=key, value=raw, sync=sync))
        return int(stored.first_sequence)

    def put_many(self, given: Iterable[tuple[bytes, Given]], sync: bool) -> Plan[Sequence[int]]:
        """Store a batch."""
        items = items_of(given)
        if len(items) > AT_ONCE_RECORDS or _bytes_of(items) > AT_ONCE_BYTES:
            return (yield from self._put_in_pieces(items, sync))
        stored = yield Ask("put_many", records.PutMany(collection=self.collection, items=items, sync=sync))
        return records.sequences_of(stored)

    def _put_in_pieces(self, items: Sequence[records.Item], sync: bool) -> Plan[Sequence[int]]:
        begun = yield Ask("begin", transactions.Begin())
        id_ = begun.transaction
        try:
            for piece in in_pieces(items):
                wanted = transactions.TransactionPut(transaction=id_, items=piece, collection=self.collection)
                yield Ask("transaction_put", wanted)
        except BlockDBError:
            with suppress(BlockDBError):
                yield Ask("abort", transactions.ByTransaction(transaction=id_))
            raise
        done = yield Ask("commit", transactions.Commit(transaction=id_, sync=sync))
        if len(done.collections) != 1:
            raise Unavailable("The server stored a batch of one collection, and tells of another number of them.")
        (stored,) = done.collections
        return records.sequences_of(stored)

    def redact(self, keys: Iterable[bytes], reason: str, by: str | None) -> Plan[Redaction]:
        """Erase values."""
        refuse_author(by)
        done = yield Ask(
            "redact", records.Redact(collection=self.collection, keys=[check_key(key) for key in keys], reason=reason)
        )
        return Redaction(tuple(done.sequences), done.files, done.quarantined)

    # Reading in key order.

    def get(self, key: bytes, as_of: AsOf | None) -> Plan[bytes | None]:
        """The value of a key."""
        found = yield Ask("get", records.Get(collection=self.collection, key=check_key(key), **past(as_of)))
        value: bytes | None = found.value
        return value

    def exists(self, key: bytes) -> Plan[bool]:
        """Whether a key is stored."""
        found = yield Ask("exists", self._key(key))
        return bool(found.exists)

    def record(self, key: bytes) -> Plan[Record | None]:
        """A record."""
        found = yield Ask("record", self._key(key))
        return None if found.record is None else restored(found.record)

    def _key(self, key: bytes) -> records.ByKey:
        return records.ByKey(collection=self.collection, key=check_key(key))

    def scan(
        self,
        prefix: bytes | None,
        start: bytes | None,
        end: bytes | None,
        limit: int | None,
        offset: int,
        reverse: bool,
        as_of: AsOf | None,
        keys_only: bool = False,
    ) -> Pages[tuple[bytes, bytes]]:
        """Keys and values; with `keys_only`, empty values."""
        check_bounds(prefix, start, end)
        check_counts(limit, offset)
        moment = past(as_of)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[tuple[bytes, bytes]], str | None]]:
            wanted = records.Scan(
                collection=self.collection,
                prefix=prefix,
                start=start,
                end=end,
                limit=most,
                offset=offset if cursor is None else 0,
                reverse=reverse,
                keys_only=keys_only,
                cursor=cursor,
                **moment,
            )
            page = yield Ask("scan", wanted)
            return [item_of(item) for item in page.items], page.cursor

        return Pages(fetch, limit)

    def count(
        self,
        prefix: bytes | None,
        start: bytes | None,
        end: bytes | None,
        where: str | None,
        parameters: Mapping[str, Any] | None,
        as_of: AsOf | None,
    ) -> Plan[int]:
        """How many keys, or documents."""
        check_bounds(prefix, start, end)
        wanted = records.Count(
            collection=self.collection,
            prefix=prefix,
            start=start,
            end=end,
            where=where,
            parameters=None if parameters is None else dict(parameters),
            **past(as_of),
        )
        found = yield Ask("count", wanted)
        return int(found.count)

    # Reading in commit order.

    def records(self, first: int, limit: int | None) -> Pages[Record]:
        """Records in commit order."""
        check_counts(limit, first)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Record], str | None]]:
            at = first if cursor is None else int(cursor)
            answer = yield Ask("records", records.InCommitOrder(collection=self.collection, first=at, limit=most))
            found = [restored(record) for record in answer.records]
            return found, str(found[-1].sequence + 1) if found else None

        return Pages(fetch, limit)

    def blocks(self, first: int, limit: int | None, reverse: bool) -> Pages[Block]:
        """Sealed blocks."""
        check_counts(limit, first)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Block], str | None]]:
            at = first if cursor is None else int(cursor)
            if cursor == "0" and reverse:  # which would be the newest one
                try:
                    found = yield Ask("block", records.ByNumber(collection=self.collection, number=0))
                except BlockNotFound:  # of several partitions, the first one may have none
                    return [], None
                return [found.block], None
            wanted = records.Blocks(collection=self.collection, first=at, limit=most, reverse=reverse)
            answer = yield Ask("blocks", wanted)
            blocks: list[Block] = answer.blocks
            following = None if not blocks else blocks[-1].number + (-1 if reverse else 1)
            return blocks, None if following is None or following < 0 else str(following)

        return Pages(fetch, limit)

    def block(self, number: int) -> Plan[Block]:
        """A sealed block."""
        found = yield Ask("block", records.ByNumber(collection=self.collection, number=number))
        block: Block = found.block
        return block

    def block_records(self, number: int) -> Plan[list[Record]]:
        """The records of a block."""
        found = yield Ask("block_records", records.ByNumber(collection=self.collection, number=number))
        return [restored(record) for record in found.records]

    def block_leaves(self, number: int) -> Plan[list[bytes]]:
        """Their leaf hashes."""
        found = yield Ask("block_leaves", records.ByNumber(collection=self.collection, number=number))
        return list(found.leaves)

    def schema_version(self, sequence: int) -> Plan[int | None]:
        """The version of the schema under which a record was stored."""
        found = yield Ask("schema_version", collections.BySequence(collection=self.collection, sequence=sequence))
        version: int | None = found.version
        return version


def items_of(given: Iterable[tuple[bytes, Given]]) -> list[records.Item]:
    """A batch as it goes over the wire. Raises InvalidData."""
    keys, values = unzipped(list(given))
    keys, raw = check_records(keys, tuple(map(value_of, values)))
    return [records.Item(key=key, value=value) for key, value in zip(keys, raw, strict=True)]


def in_pieces(items: Sequence[records.Item]) -> Iterator[list[records.Item]]:
    """A batch in pieces of which each fits into a request."""
    piece: list[records.Item] = []
    size = 0
    for item in items:
        size += len(item.key) + len(item.value)
        if piece and (len(piece) == PIECE_RECORDS or size > PIECE_BYTES):
            yield piece
            piece, size = [], len(item.key) + len(item.value)
        piece.append(item)
    if piece:
        yield piece


def _bytes_of(items: Sequence[records.Item]) -> int:
    return sum(len(item.key) + len(item.value) for item in items)


def item_of(item: records.ScannedItem) -> tuple[bytes, bytes]:
    """A key and its value, as a scan gives them."""
    return item.key, REDACTED if item.redacted else item.value or b""
