from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import record
from blockdb.format.frame import BadFrame, TornFrame, with_check
from blockdb.format.limits import MAX_KEY_BYTES
from tests.format.damage import shortened, taken

times = st.integers(0, 2**48 - 1)
keys = st.binary(min_size=1, max_size=60)
values = st.binary(max_size=200)
salts = st.binary(min_size=16, max_size=16)

PLAIN = with_check(record.encode(1_700_000_000_123, b"a key", b"its value"))
REDACTABLE = with_check(record.encode_redactable(1_700_000_000_123, b"a key", b"its value", bytes(range(16))))


@given(times, keys, values, st.binary(max_size=8), st.binary(max_size=8))
def test_a_plain_record_comes_back_from_wherever_it_stands(
    time_ms: int, key: bytes, value: bytes, before: bytes, after: bytes
) -> None:
    body = record.encode(time_ms, key, value)
    buffer = before + with_check(body) + after
    frame = record.decode(buffer, len(before))
    assert frame == (record.PLAIN, time_ms, key, value, body, len(body) + 4)
    assert record.item_at(buffer, len(before)) == (key, value)
    assert record.key_at(buffer, len(before)) == key
    assert record.time_of(body) == time_ms
    assert record.data_bytes_of([body, body]) == 2 * (len(key) + len(value))


@given(times, keys, values, salts)
def test_a_redactable_record_comes_back(time_ms: int, key: bytes, value: bytes, salt: bytes) -> None:
    body = record.encode_redactable(time_ms, key, value, salt)
    buffer = with_check(body)
    frame = record.decode(buffer, 0)
    assert frame == (record.REDACTABLE, time_ms, key, value, body, len(buffer))
    assert record.item_at(buffer, 0) == (key, value)
    assert record.data_bytes_of([body, body]) == 2 * (len(key) + len(value))


@given(times, st.lists(st.tuples(keys, values), max_size=5))
def test_records_of_a_batch_are_encoded_like_single_ones(time_ms: int, items: list[tuple[bytes, bytes]]) -> None:
    bodies = record.encode_many(time_ms, [key for key, _ in items], [value for _, value in items])
    assert bodies == [record.encode(time_ms, key, value) for key, value in items]


def test_a_plain_leaf_covers_the_bytes_on_the_disk_from_the_type_on() -> None:
    leaf = record.decode(PLAIN, 0).leaf
    assert leaf == PLAIN[4:]
    assert leaf[:1] == b"\0"  # the frame type of a record is the leaf prefix of RFC 6962


@given(values, values, salts, salts)
def test_a_redactable_leaf_covers_nothing_from_the_salt_on(
    value: bytes, other: bytes, salt: bytes, other_salt: bytes
) -> None:
    body = record.encode_redactable(7, b"key", value, salt)
    leaf = record.leaf_of(body)
    assert body.startswith(leaf)
    assert leaf.endswith(b"key" + sha256(salt + value).digest())
    assert body[len(leaf) :] == salt + value
    same = (value, salt) == (other, other_salt)
    if len(value) == len(other):
        assert (record.leaf_of(record.encode_redactable(7, b"key", other, other_salt)) == leaf) == same


@pytest.mark.parametrize("frame", [PLAIN, REDACTABLE], ids=["plain", "redactable"])
def test_every_changed_byte_is_noticed(frame: bytes) -> None:
    assert taken(lambda data: record.decode(data, 0), frame) == []
    assert taken(lambda data: record.item_at(data, 0), frame) == []
    assert taken(lambda data: record.key_at(data, 0), frame) == []


@pytest.mark.parametrize("frame", [PLAIN, REDACTABLE], ids=["plain", "redactable"])
def test_a_record_that_is_cut_is_torn(frame: bytes) -> None:
    for data in shortened(frame):
        with pytest.raises(TornFrame):
            record.decode(data, 0)
        with pytest.raises(BadFrame):
            record.item_at(data, 0)


def test_a_redactable_record_must_match_its_digest_not_only_its_check() -> None:
    body = record.encode_redactable(7, b"key", b"value", bytes(16))
    with pytest.raises(BadFrame, match="digest"):
        record.decode(with_check(body[:-5] + b"VALUE"), 0)


def test_a_record_needs_a_key_a_known_kind_and_room_for_its_digest() -> None:
    body = record.encode(7, b"k", b"")
    without_key = body[:8] + bytes(2) + (1).to_bytes(4, "little") + b"k"
    with pytest.raises(BadFrame):
        record.decode(with_check(without_key), 0)
    for kind in {*range(256)} - record.KINDS:
        with pytest.raises(BadFrame):
            record.decode(with_check(body[:1] + bytes((kind,)) + body[2:]), 0)
    with pytest.raises(BadFrame):
        record.decode(with_check(body[:1] + bytes((record.REDACTABLE,)) + body[2:]), 0)


def test_the_longest_key_fits() -> None:
    key = b"k" * MAX_KEY_BYTES
    assert record.item_at(with_check(record.encode(7, key, b"v")), 0) == (key, b"v")


@pytest.mark.parametrize("body", [record.encode(7, b"k", b"v"), record.encode_redactable(7, b"k", b"v", bytes(16))])
def test_every_changed_byte_is_noticed_however_it_is_read(body: bytes) -> None:
    frame = with_check(body)
    for at in range(len(frame)):
        for bit in range(8):
            damaged = frame[:at] + bytes((frame[at] ^ 1 << bit,)) + frame[at + 1 :]
            for read in (lambda: record.item_at(damaged, 0), lambda: record.items_at([damaged], [0])):  # noqa: B023
                with pytest.raises(BadFrame):
                    read()
