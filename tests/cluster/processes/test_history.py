"""The judge of histories is judged: what can be passes, and what cannot is found."""

from __future__ import annotations

import random

import pytest

from tests.cluster.processes.history import ABSENT, REFUSED, STORED, UNKNOWN, VALUE, Op, faults_of

K = b"k"


def put(
    began: float, ended: float, value: bytes = b"1", what: str = STORED, key: bytes = K, number: int | None = None
) -> Op:
    return Op(key, what, began, ended, value, number)


def got(began: float, ended: float, value: bytes | None, key: bytes = K) -> Op:
    return Op(key, ABSENT if value is None else VALUE, began, ended, value or b"")


GOOD = {
    "nothing": [],
    "put, then found": [put(0, 1), got(2, 3, b"1")],
    "found while it is put": [put(0, 9), got(2, 3, b"1"), got(1, 2, None)],
    "not found while it is put": [put(0, 9), got(1, 2, None)],
    "refused while another one is at it": [put(0, 9), put(1, 2, b"2", REFUSED)],
    "nobody knows, never seen": [put(0, 1, what=UNKNOWN), got(2, 3, None)],
    "nobody knows, seen late": [put(0, 1, what=UNKNOWN), got(2, 3, None), got(4, 5, b"1")],
    "two of which nobody knows": [put(0, 1, b"1", UNKNOWN), put(0, 1, b"2", UNKNOWN), got(2, 3, b"2")],
    "refused by one of which nobody knows": [put(0, 1, what=UNKNOWN), put(2, 3, b"2", REFUSED)],
}
BAD = {
    "stale": [put(0, 1), got(2, 3, None)],
    "from the future": [got(0, 1, b"1"), put(2, 3)],
    "stored twice": [put(0, 1), put(2, 3, b"2")],
    "another value": [put(0, 1), got(2, 3, b"2")],
    "seen and gone": [put(0, 9), got(1, 2, b"1"), got(3, 4, None)],
    "seen and gone, of one nobody knows": [put(0, 1, what=UNKNOWN), got(2, 3, b"1"), got(4, 5, None)],
    "refused, and not found": [put(0, 9), put(1, 2, b"2", REFUSED), got(3, 4, None)],
    "refused, and there never was one": [put(0, 1, what=REFUSED)],
    "refused for its own sake": [put(0, 1, b"1", REFUSED), got(2, 3, b"1")],
    "nobody put that": [got(0, 1, b"1")],
    "two values": [put(0, 1, b"1", UNKNOWN), put(0, 1, b"2", UNKNOWN), got(2, 3, b"2"), got(2, 3, b"1")],
    "numbers against time": [put(0, 1, key=b"a", number=5), put(2, 3, key=b"b", number=4)],
    "the same number": [put(0, 1, key=b"a", number=4), put(2, 3, key=b"b", number=4)],
}


@pytest.mark.parametrize("what", GOOD)
def test_what_can_be(what: str) -> None:
    assert faults_of(GOOD[what]) == []


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be(what: str) -> None:
    assert faults_of(BAD[what])


def test_what_is_there_in_the_end() -> None:
    ops = [put(0, 1, number=0), put(2, 3, b"2", key=b"b", number=1), put(4, 5, b"3", UNKNOWN, key=b"c")]
    assert faults_of(ops, [(K, b"1"), (b"b", b"2")]) == []
    assert faults_of(ops, [(K, b"1"), (b"b", b"2"), (b"c", b"3")]) == []
    for records in (
        [(K, b"1")],
        [(b"b", b"2"), (K, b"1")],
        [(K, b"1"), (b"b", b"3")],
        [(K, b"1"), (b"b", b"2"), (b"c", b"4")],
        [(K, b"1"), (b"b", b"2"), (b"d", b"4")],
        [(K, b"1"), (b"b", b"2"), (K, b"1")],
    ):
        assert faults_of(ops, records), records


@pytest.mark.parametrize("seed", range(20))
def test_histories_that_one_database_made(seed: int) -> None:
    """Points are drawn first and their operations around them; one read that is made stale is found."""
    chance = random.Random(seed)
    stored: dict[bytes, bytes] = {}
    ops: list[Op] = []
    for point in range(300):
        began, ended = point - chance.random() * 5, point + chance.random() * 5
        key, value = b"%d" % chance.randrange(60), b"v%d" % point
        if chance.random() < 0.5:
            found = stored.get(key)
            ops.append(got(began, ended, found, key))
        elif key in stored:
            ops.append(put(began, ended, value, REFUSED, key))
        else:
            what = STORED if chance.random() < 0.8 else UNKNOWN
            ops.append(put(began, ended, value, what, key, len(stored) if what == STORED else None))
            stored[key] = value
    assert faults_of(ops, list(stored.items())) == []
    late = [op for op in ops if op.what == STORED and op.ended < 250]
    victim = chance.choice(late)
    assert faults_of([*ops, got(victim.ended + 1, victim.ended + 2, None, victim.key)])
