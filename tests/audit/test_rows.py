"""What is cut apart together is what is walked one by one, wherever anybody guesses that records begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.audit.doubt import Doubt
from blockdb.audit.frames import Portion, read
from blockdb.audit.rows import NO_ROWS, Rows, marked, rows_alike, rows_led_to
from blockdb.format.batch import encode as encode_batch
from blockdb.format.frame import BadFrame, with_check
from blockdb.format.record import HEADER_BYTES, PLAIN, decode, encode, encode_redactable

TIME_MS = 1_800_000_000_000
MARK = encode(TIME_MS, b"k", b"")[:4]
"""What the frames have after their checks: type, kind, and the upper half of the time."""

SMALL = st.sampled_from(
    [b"", b"\0", b"value", bytes(40), bytes(2000), MARK, MARK * 3, encode(TIME_MS, b"inner", b"value")]
)
VALUES = SMALL | st.binary(max_size=40)
KEYS = st.binary(min_size=1, max_size=12) | st.just(MARK * 2)


def frame(key: bytes, value: bytes, time_ms: int = TIME_MS) -> bytes:
    return with_check(encode(time_ms, key, value))


def inside(value: bytes) -> bytes:
    """A record within a value, and its check before it."""
    return frame(b"outer", b"before" + frame(b"inner", value) + b"after")


FRAMES = st.lists(
    st.builds(frame, KEYS, VALUES)
    | st.builds(frame, KEYS, VALUES, st.sampled_from([0, TIME_MS + 1, TIME_MS + (1 << 33)]))
    | st.builds(inside, VALUES)
    | st.just(with_check(encode_redactable(TIME_MS, b"key", b"value", bytes(range(16))))),
    min_size=1,
    max_size=12,
)
RUNS = FRAMES | st.builds(lambda one, count: [one] * count, st.builds(frame, KEYS, VALUES), st.integers(1, 20))


def walked(data: bytes, most: int) -> list[tuple[int, int, bytes, bytes, bytes]]:
    """The plain records at the beginning, one by one: start, end, check, body, key."""
    found: list[tuple[int, int, bytes, bytes, bytes]] = []
    at = 0
    while at < len(data) and len(found) < most:
        try:
            one = decode(data, at)
        except BadFrame:
            break
        if one.kind != PLAIN:
            break
        found.append((at, at + one.size, data[at : at + 4], one.body, one.key))
        at += one.size
    return found


def in_rows(rows: Rows) -> list[tuple[int, int, bytes, bytes, bytes]]:
    ends = (rows.starts + rows.data_bytes + HEADER_BYTES).tolist()
    assert rows.end == (ends[-1] if ends else 0)
    checks = [number.to_bytes(4, "big") for number in rows.checks.tolist()]
    return list(zip(rows.starts.tolist(), ends, checks, rows.bodies, rows.keys, strict=True))


@given(RUNS, st.integers(0, 60), st.integers(1, 30))
def test_records_led_to_by_marks_are_those_that_a_walk_comes_to(frames: list[bytes], cut_off: int, most: int) -> None:
    """All of them, but where a value has the mark in it, or a record another time: then those up to there."""
    whole = b"".join(frames)
    data = whole[: max(HEADER_BYTES, len(whole) - cut_off)]
    rows, expected = in_rows(rows_led_to(data, marked(data), most)), walked(data, most)
    assert rows == expected[: len(rows)]
    if len(rows) < len(expected):
        last = expected[len(rows) - 1][3] if rows else expected[0][3]
        following = expected[len(rows)][3]
        assert MARK in last[1:] or following[:4] != expected[0][3][:4]


@given(RUNS, st.data(), st.integers(1, 30))
def test_no_guess_leads_to_records_that_a_walk_does_not_come_to(
    frames: list[bytes], guesses: st.DataObject, most: int
) -> None:
    data = b"".join(frames)
    starts = [at for at, *_ in walked(data, 99)]
    lies = guesses.draw(st.sets(st.integers(0, len(data) - 1), max_size=6))
    left_out = guesses.draw(st.sets(st.sampled_from(starts)) if starts else st.just(set()))
    guessed = np.array(sorted({*starts} - left_out | lies), np.int64)
    rows = in_rows(rows_led_to(data, guessed, most))
    assert rows == walked(data, most)[: len(rows)]


@given(RUNS, st.integers(0, 60), st.integers(1, 30))
def test_records_that_are_alike_are_those_that_a_walk_comes_to(frames: list[bytes], cut_off: int, most: int) -> None:
    whole = b"".join(frames)
    data = whole[: max(HEADER_BYTES, len(whole) - cut_off)]
    expected, rows = walked(data, most), in_rows(rows_alike(data, most))
    assert rows == expected[: len(rows)]
    if len(rows) < len(expected):
        sizes = {(len(body), len(key)) for _, _, _, body, key in expected[: len(rows) + 1]}
        assert len(sizes) > 1


@pytest.mark.parametrize("size", [HEADER_BYTES, 40, 1 << 20])
def test_a_header_that_announces_too_much_leads_nowhere(size: int) -> None:
    data = encode(TIME_MS, b"key", b"")
    data = with_check(data[:10] + b"\xff\xff\xff\xff" + data[14:]).ljust(size, b"\0")[:size]
    assert rows_alike(data, 9) is NO_ROWS
    assert rows_led_to(data, marked(data), 9) is NO_ROWS


def test_records_of_all_sizes_are_read_together() -> None:
    """However often the mark stands in their values."""
    pairs = [(b"%d" % n * (1 + n % 3), bytes(n % 50) + (MARK if n % 90 == 0 else b"")) for n in range(3000)]
    frames = [frame(*pair) for pair in pairs]
    data = b"".join(frames)
    for stored in (data, encode_batch([one[4:] for one in frames])):
        portions = [step for step in read(stored, 0, len(stored)) if isinstance(step, Portion)]
        assert [key for portion in portions for key in portion.keys] == [key for key, _ in pairs]
        assert [body for portion in portions for body in portion.hashed] == [one[4:] for one in frames]


def test_each_changed_byte_leaves_a_doubt() -> None:
    """Of records whose sizes differ, which are cut apart together."""
    stored = encode_batch([encode(TIME_MS, b"%03d" % n + bytes(n % 3), bytes(n % 7)) for n in range(100)])
    [portion] = [step for step in read(stored, 0, len(stored)) if isinstance(step, Portion)]
    assert len(portion) == 100
    for at in range(len(stored)):
        changed = stored[:at] + bytes([stored[at] ^ 1 << at % 8]) + stored[at + 1 :]
        with pytest.raises(Doubt):
            list(read(changed, 0, len(changed)))


@pytest.mark.parametrize("other", [(b"key1", b"value"), (b"key", b"value1"), (b"key1", b"valu"), (b"ke", b"value1")])
def test_a_record_with_another_key_or_content_ends_those_that_are_alike(other: tuple[bytes, bytes]) -> None:
    """Even where all of it is as long."""
    data = frame(b"key", b"value") * 9 + frame(*other) + frame(b"key", b"value")
    assert rows_alike(data, 30).keys == [b"key"] * 9
