"""Collections whose leaves cover a salted hash of each value. They are made by metadata alone so far."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

import blockdb
from blockdb.format import record, segment
from blockdb.format.record import RecordFrame
from blockdb.format.walk import walk
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata, save_metadata
from tests.ledger import reference
from tests.storage.doors import collection_of, pairs, written


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    blockdb.open(tmp_path / "db", blockchain_batch_size=4).close()
    file = collection_of(tmp_path / "db").metadata
    save_metadata(Door(), file, replace(load_metadata(Door(), file), redactable=True))
    with blockdb.open(tmp_path / "db") as db:
        yield db


def frames_of(db: blockdb.Database) -> list[RecordFrame]:
    content = written(db.path)
    steps = walk(content, segment.HEADER_BYTES, len(content))
    return [frame for _, _, frame in steps if isinstance(frame, RecordFrame)]


def test_it_is_used_like_any_other(db: blockdb.Database) -> None:
    db.put_many(pairs(range(5)))
    db.flush()
    db.put(b"empty", b"")
    for key, value in pairs(range(6, 10)):
        db.put(key, value)
    expected = sorted([*pairs(range(5)), (b"empty", b""), *pairs(range(6, 10))])
    assert list(db.scan()) == expected
    with blockdb.open(db.path, read_only=True) as reader:
        assert list(reader.scan()) == expected
        assert reader.stats().data_bytes == db.stats().data_bytes == sum(len(k) + len(v) for k, v in expected)
        assert reader.stats().open_block_bytes == db.stats().open_block_bytes
        assert reader.verify().valid
    assert db.stats().blocks == 2
    assert db.verify().valid


def test_leaves_cover_the_value_by_its_salted_digest_alone(db: blockdb.Database) -> None:
    db.put_many(pairs(range(4)))
    leaves = []
    for frame, (key, value) in zip(frames_of(db), pairs(range(4)), strict=True):
        digest, salt = frame.body[-len(value) - 48 : -len(value) - 16], frame.body[-len(value) - 16 : -len(value)]
        assert digest == sha256(salt + value).digest()
        assert value not in frame.leaf
        assert frame.leaf[: record.BODY_HEADER_BYTES + len(key)] == frame.body[: record.BODY_HEADER_BYTES + len(key)]
        leaves.append(reference.leaf(frame.leaf[1:]))
    assert db.block_leaves(0) == leaves
    assert db.block(0).root == reference.root(leaves)


def test_equal_values_cannot_be_told_from_their_leaves(db: blockdb.Database) -> None:
    db.put_many([(b"a", b"yes"), (b"b", b"yes"), (b"c", b"no")])
    db.put(b"d", b"yes")
    salts = {frame.body[-len(frame.value) - 16 : -len(frame.value)] for frame in frames_of(db)}
    assert len(salts) == 4
    assert len({frame.leaf[-32:] for frame in frames_of(db)}) == 4
