"""The ledger computed anew from the documents alone: layouts, leaves, tree and block hashes, with no code of ours.

What stands in docs/formats/ is written down here a second time, so that a change of meaning shows.
"""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import blockdb
from tests.ledger import reference
from tests.storage.doors import until


def leaf(record: blockdb.Record) -> bytes:
    """The leaf hash of a plain record: kind, time, lengths, key, value."""
    time = (record.time_ms >> 32).to_bytes(2, "little") + (record.time_ms & 0xFFFFFFFF).to_bytes(4, "little")
    lengths = len(record.key).to_bytes(2, "little") + len(record.value).to_bytes(4, "little")
    return reference.leaf(b"\x01" + time + lengths + record.key + record.value)


def block_hash(collection: str, number: int, previous: bytes, root: bytes, records: Sequence[blockdb.Record]) -> bytes:
    """The hash of the block over these records."""

    def u64(value: int) -> bytes:
        return value.to_bytes(8, "little")

    data_bytes = sum(len(record.key) + len(record.value) for record in records)
    header = (
        b"BlockDB block 1\n"
        + UUID(collection.removeprefix("col_")).bytes
        + u64(number)
        + u64(records[0].sequence)
        + len(records).to_bytes(4, "little")
        + u64(data_bytes)
        + u64(records[0].time_ms)
        + u64(records[-1].time_ms)
        + previous
        + root
    )
    return sha256(header).digest()


def check_ledger(db: blockdb.Database, block_records: int) -> None:
    """Every block of a database is the one that its records make, and each has as many of them as it should."""
    until(lambda: db.stats().blocks == db.stats().records // block_records)  # a busy writer's are closed beside it
    records = list(db.records())
    leaves = [leaf(record) for record in records]
    statistics = db.stats()
    blocks = list(db.blocks())
    assert len(blocks) == statistics.blocks
    previous = bytes(32)
    for number, block in enumerate(blocks):
        own = records[block.first_sequence : block.size]
        root = reference.root(leaves[: block.size])
        previous_hash, previous = previous, block_hash(statistics.collection_id, number, previous, root, own)
        assert (block.number, block.first_sequence, block.count) == (number, number * block_records, block_records)
        assert (block.previous_hash, block.root, block.hash) == (previous_hash, root, previous)
        assert {record.block for record in own} == {number}
        assert db.block_leaves(number) == leaves[block.first_sequence : block.size]
        assert blockdb.merkle_levels(db.block_leaves(number))[0] == leaves[block.first_sequence : block.size]
    assert statistics.head_hash == previous
    assert {record.block for record in records[len(blocks) * block_records :]} <= {None}
