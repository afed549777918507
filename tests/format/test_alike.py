"""Records of the same sizes are taken together: what comes out is what walking one by one gives, whatever is there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format import alike, batch, record
from blockdb.format.block import encode_seal
from blockdb.format.frame import with_check
from blockdb.format.record import RecordFrame
from blockdb.format.walk import bodies, plain_run, walk
from tests.format.damage import changed
from tests.format.test_walk import SEAL

SEAL_FRAME = encode_seal(SEAL)
runs = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 90), st.booleans()), max_size=5)
"""Sizes of key and value, how many records have them, and whether they are in a batch."""


def chain_of(stretches: list[tuple[int, int, int, bool]], redactable: bool = False) -> bytes:
    chain = []
    for number, (key_bytes, value_bytes, count, in_batch) in enumerate(stretches):
        items = [(bytes([n + 1]) * key_bytes, bytes([n]) * value_bytes) for n in range(count)]
        encoded = [
            record.encode_redactable(n, *item, bytes(16)) if redactable else record.encode(n, *item)
            for n, item in enumerate(items)
        ]
        chain.append(batch.encode(encoded) if in_batch else batch.frames(encoded))
        chain.append(SEAL_FRAME if number % 2 else b"")
    return b"".join(chain)


def one_by_one(chain: bytes) -> list[tuple[int, RecordFrame]]:
    return [(at, frame) for at, _, frame in walk(chain, 0, len(chain)) if isinstance(frame, RecordFrame)]


@settings(max_examples=60)
@given(runs, st.booleans(), st.integers(0, 400))
def test_the_bodies_are_those_that_walking_gives(
    stretches: list[tuple[int, int, int, bool]], redactable: bool, limit: int
) -> None:
    chain = chain_of(stretches, redactable)
    expected = one_by_one(chain)
    assert bodies(chain, 0, len(chain)) == ([frame.body for _, frame in expected], [at for at, _ in expected])
    some = expected[:limit]
    assert bodies(chain, 0, len(chain), limit) == ([frame.body for _, frame in some], [at for at, _ in some])


@settings(max_examples=60)
@given(runs)
def test_a_run_is_what_walking_gives(stretches: list[tuple[int, int, int, bool]]) -> None:
    chain = chain_of([(*sizes, False) for *sizes, _ in stretches]).replace(SEAL_FRAME, b"")
    expected = one_by_one(chain)
    run = plain_run(chain, 0, len(chain))
    assert list(zip(run.offsets, run.keys, run.values, strict=True)) == [(at, f.key, f.value) for at, f in expected]
    assert run.end == len(chain)


def test_a_run_ends_before_the_first_record_that_is_not_intact() -> None:
    chain = b"".join(with_check(record.encode(7, b"%03d" % n, b"value")) for n in range(100))
    size = len(chain) // 100
    assert len(alike.alike(chain, 0, len(chain), 99)) == 99 * size
    for offset, data in changed(chain, step=101):
        assert plain_run(data, 0, len(data)).end == offset - offset % size


@pytest.mark.parametrize("kind", [0, record.REDACTABLE])
def test_records_that_are_not_plain_are_in_no_run(kind: int) -> None:
    body = record.encode(7, b"key", b"value")
    chain = with_check(body[:1] + bytes([kind]) + body[2:]) * 50
    assert plain_run(chain, 0, len(chain)) == ([], [], [], 0)
    before = with_check(body) * 20
    assert plain_run(before + chain, 0, len(before + chain)).end == len(before)


def test_records_without_keys_are_in_no_run() -> None:
    chain = with_check(record.encode(7, b"", b"value")) * 50
    assert plain_run(chain, 0, len(chain)) == ([], [], [], 0)


def test_a_cut_or_a_stop_ends_a_run_after_the_last_whole_record() -> None:
    chain = b"".join(with_check(record.encode(7, b"%03d" % n, b"value")) for n in range(40))
    size = len(chain) // 40
    for cut in range(len(chain) - 2 * size, len(chain)):
        assert plain_run(chain[:cut], 0, cut).end == plain_run(chain, 0, cut).end == cut - cut % size
