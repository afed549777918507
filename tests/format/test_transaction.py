import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format import transaction
from blockdb.format.frame import BadFrame, TornFrame, with_check
from blockdb.format.transaction import HEADER_BYTES, Decision, LogHeader, Writes
from blockdb.format.walk import DamagedChain
from tests.format.damage import changed, shortened, taken

BASE = 1_000
FIRST = BASE + HEADER_BYTES
WRITES = (
    Writes(b"a" * 16, ((b"key", b"value"), (b"\0", b""))),
    Writes(b"b" * 16, ((b"key", b"\xff" * 9),)),
)

items = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), max_size=4).map(tuple)
many_writes = st.lists(st.builds(Writes, st.binary(min_size=16, max_size=16), items), max_size=4).map(tuple)


def log_of(*writes: tuple[Writes, ...], base: int = BASE) -> bytes:
    data = transaction.encode_header(LogHeader(b"d" * 16, base))
    for each in writes:
        data += transaction.encode(Decision(base + len(data), each))
    return data


@settings(max_examples=25)
@given(st.lists(many_writes, max_size=4), st.integers(0, 2**47))
def test_what_was_decided_is_read_in_order(all_writes: list[tuple[Writes, ...]], base: int) -> None:
    data = log_of(*all_writes, base=base)
    assert transaction.decode_header(data) == (b"d" * 16, base)
    found = list(transaction.walk(data, base))
    assert [decision.writes for decision, _ in found] == all_writes
    assert [decision.number - base for decision, _ in found] == [HEADER_BYTES, *(end for _, end in found)][: len(found)]


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    data = transaction.encode_header(LogHeader(b"d" * 16, BASE))
    assert taken(transaction.decode_header, data) == []
    for cut in shortened(data):
        with pytest.raises(TornFrame):
            transaction.decode_header(cut)


def test_no_changed_byte_gets_past_and_the_decision_is_named() -> None:
    data = log_of(WRITES, WRITES)
    second = HEADER_BYTES + (len(data) - HEADER_BYTES) // 2
    for offset, damaged in changed(data, step=17):
        if offset >= HEADER_BYTES:
            with pytest.raises(DamagedChain) as caught:
                list(transaction.walk(damaged, BASE))
            assert caught.value.offset == (second if offset >= second else HEADER_BYTES)


def test_a_decision_that_was_cut_is_torn_and_those_before_it_stand() -> None:
    data = log_of(WRITES, WRITES)
    second = HEADER_BYTES + (len(data) - HEADER_BYTES) // 2
    for size in range(second + 1, len(data)):
        found = transaction.walk(data[:size], BASE)
        assert next(found)[1] == second
        with pytest.raises(DamagedChain) as caught:
            next(found)
        assert (caught.value.torn, caught.value.offset) == (True, second)
    assert len(list(transaction.walk(data[:second], BASE))) == 1


def test_a_decision_of_another_place_does_not_count() -> None:
    with pytest.raises(DamagedChain, match="another place"):
        list(transaction.walk(log_of(WRITES), BASE + 1))


@pytest.mark.parametrize("cut", [1, 5, 9, 30])
def test_a_decision_has_what_it_announces(cut: int) -> None:
    body = transaction.encode(Decision(FIRST, WRITES))[4:-cut]
    size = len(body) - 17
    with pytest.raises(BadFrame, match="announces"):
        transaction.decode(with_check(body[:9] + size.to_bytes(8, "little") + body[17:]), 0)
