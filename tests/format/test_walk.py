"""Walking a chain file: what is whole comes out in order, and the first thing that is not stops the walk."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import batch, record
from blockdb.format.block import GENESIS, BlockHeader, Seal, encode_seal
from blockdb.format.frame import BATCH, BadFrame, with_check
from blockdb.format.walk import DamagedChain, Step, bodies, count, run_at, skip, walk, walk_part
from tests.format.damage import changed

SEAL = Seal(BlockHeader(bytes(16), 0, 0, 4, 12, 1, 9, GENESIS, b"r" * 32), b"s" * 64, b"k" * 8, 48, ())
NUMBER = 300
"""Of the transaction that wrote the last batch."""
COMMITS = [
    with_check(record.encode(1, b"a", b"1")),
    batch.encode(record.encode_many(2, [b"b", b"c", b"d"], [b"", b"3", b"44"])),
    encode_seal(SEAL),
    with_check(record.encode_redactable(9, b"e", b"5", bytes(16))),
    batch.encode(record.encode_many(9, [b"f", b"g"], [b"", b"7"]), NUMBER),
]
KEYS: list[Sequence[bytes]] = [[b"a"], [b"b", b"c", b"d"], [], [b"e"], [b"f", b"g"]]
CHAIN = b"".join(COMMITS)
STARTS = [len(b"".join(COMMITS[:n])) for n in range(len(COMMITS))]


def walked(buffer: bytes, start: int = 0, stop: int | None = None) -> tuple[list[Step], DamagedChain | None]:
    """What a walk gives, and what ended it before the stop."""
    steps: list[Step] = []
    try:
        for step in walk(buffer, start, len(buffer) if stop is None else stop):
            steps.append(step)
    except DamagedChain as damage:
        return steps, damage
    return steps, None


def keys_of(steps: list[Step]) -> list[bytes]:
    return [frame.key for _, _, frame in steps if isinstance(frame, record.RecordFrame)]


def test_frames_come_in_order_with_their_places() -> None:
    steps, damage = walked(CHAIN)
    assert damage is None
    assert keys_of(steps) == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]
    assert [frame for _, _, frame in steps if isinstance(frame, Seal)] == [SEAL]
    for at, end, frame in steps:
        if isinstance(frame, record.RecordFrame):
            assert record.decode(CHAIN, at) == frame
            assert end == at + frame.size


@given(st.integers(0, len(CHAIN)))
def test_a_cut_ends_the_walk_after_the_last_whole_commit(cut: int) -> None:
    steps, damage = walked(CHAIN[:cut])
    whole = sum(start + len(commit) <= cut for start, commit in zip(STARTS, COMMITS, strict=True))
    assert keys_of(steps) == [key for keys in KEYS[:whole] for key in keys]
    if cut in (*STARTS, len(CHAIN)):
        assert damage is None
    else:
        assert damage is not None
        assert damage.torn
        assert damage.offset == STARTS[whole]


@given(st.integers(0, len(CHAIN)))
def test_a_stop_inside_a_longer_file_is_like_a_cut(stop: int) -> None:
    steps, damage = walked(CHAIN, stop=stop)
    cut_steps, cut_damage = walked(CHAIN[:stop])
    assert steps == cut_steps
    assert (damage and (damage.offset, damage.torn)) == (cut_damage and (cut_damage.offset, cut_damage.torn))


def test_no_changed_byte_gets_past_and_the_commit_is_named() -> None:
    for offset, data in changed(CHAIN, step=17):
        steps, damage = walked(data)
        hit = sum(start <= offset for start in STARTS) - 1
        assert damage is not None, f"a change at byte {offset} was taken"
        assert damage.offset == STARTS[hit]
        assert keys_of(steps) == [key for keys in KEYS[:hit] for key in keys]


def test_only_what_reaches_beyond_the_end_looks_torn() -> None:
    _, damage = walked(CHAIN[:-1] + b"?")
    assert damage is not None
    assert not damage.torn
    _, damage = walked(b"?" * 40)
    assert damage is not None
    assert not damage.torn
    assert "type 0x3f" in str(damage)


def test_a_walk_may_begin_inside_a_batch() -> None:
    (at, _, _), *_ = (step for step in walk(CHAIN, 0, len(CHAIN)) if getattr(step[2], "key", b"") == b"c")
    assert keys_of(walked(CHAIN, at)[0]) == [b"c", b"d", b"e", b"f", b"g"]


def test_a_part_of_a_chain_that_ends_inside_a_batch_has_what_is_there_of_it() -> None:
    stop = len(CHAIN) - record.HEADER_BYTES - 2
    assert keys_of(list(walk_part(CHAIN, 0, stop))) == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert [record.key_of(body) for body in bodies(CHAIN, 0, stop)[0]] == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert skip(CHAIN, 0, stop) == (6, stop)


def test_records_are_counted_by_the_headers_of_their_batches() -> None:
    for at, _, _ in walk(CHAIN, 0, len(CHAIN)):
        assert count(CHAIN, at, len(CHAIN)) == len(keys_of(walked(CHAIN, at)[0]))
    in_batch = STARTS[1] + batch.HEADER_BYTES
    damaged = CHAIN[:in_batch] + b"?" * 4 + CHAIN[in_batch + 4 :]
    assert count(damaged, 0, len(CHAIN)) == 7, "of what is in a batch nothing is looked at"
    with pytest.raises(BadFrame):
        count(CHAIN[: in_batch - 1] + b"?" + CHAIN[in_batch:], 0, len(CHAIN))


def test_a_batch_counts_where_its_transaction_was_decided() -> None:
    for stop in (len(CHAIN), len(CHAIN) - 1):
        steps = list(walk(CHAIN[: STARTS[4]], 0, STARTS[4], lambda number: False))
        assert len(keys_of(steps)) == 5
        with pytest.raises(DamagedChain) as caught:
            list(walk(CHAIN, 0, stop, lambda number: number != NUMBER))
        assert caught.value.offset == STARTS[4]
        assert caught.value.torn == (not caught.value.undecided) == (stop < len(CHAIN))
    assert list(walk(CHAIN, 0, len(CHAIN), lambda number: number == NUMBER)) == walked(CHAIN)[0]


def test_a_run_ends_before_what_was_not_decided() -> None:
    start, stop = STARTS[4], len(CHAIN)
    assert run_at(CHAIN, start, stop, lambda number: number == NUMBER).keys == [b"f", b"g"]
    assert run_at(CHAIN, start, stop).keys == [b"f", b"g"]
    assert run_at(CHAIN, start, stop, lambda number: False) == ([], [], [], start)


@pytest.mark.parametrize(("count", "size"), [(2, 0), (4, 0), (3, -1), (3, 1)])
def test_a_batch_must_have_what_its_header_announces(count: int, size: int) -> None:
    records = COMMITS[1][batch.HEADER_BYTES :]
    body = bytes((BATCH,)) + count.to_bytes(4, "little") + (len(records) + size).to_bytes(8, "little")
    steps, damage = walked(with_check(body) + records + COMMITS[0])
    assert damage is not None
    assert not steps
