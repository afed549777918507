"""Commands in pieces are put together by every node alike, wherever it begins to read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.cluster.jetstream.pieces import WINDOW, Assembly
from blockdb.format import stream_message
from blockdb.format.stream_message import MESSAGE_BYTES, Message

PIECES = 3


def messages(number: int) -> list[Message]:
    """A command in three pieces."""
    encoded = stream_message.encode_commands(b"originof", number, [b"%05d" % number], MESSAGE_BYTES + 3)
    assert len(encoded) == PIECES
    return [stream_message.decode(data) for data in encoded]


def read(stream: dict[int, Message], first: int) -> dict[int, bytes]:
    """What is complete where, for who begins there."""
    assembly = Assembly()
    found = {number: assembly.add(number, message) for number, message in stream.items() if number >= first}
    return {number: data[-3:] for number, data in found.items() if data is not None}


def test_a_command_is_complete_with_its_last_piece_whatever_comes_between() -> None:
    one, two = messages(1), messages(2)
    stream = dict(enumerate([one[1], two[0], one[0], two[1], one[2], two[2]], 1))
    assert read(stream, 1) == {5: b"001", 6: b"002"}


def test_what_is_in_one_piece_is_complete_at_once() -> None:
    [message] = stream_message.encode_commands(b"originof", 1, [b"put", b"get"], 1_000)
    data = Assembly().add(1, stream_message.decode(message))
    assert data is not None
    assert list(stream_message.commands_in(data)) == [b"put", b"get"]


def test_pieces_that_are_too_far_apart_are_none() -> None:
    first, second, third = messages(1)
    assert read({1: first, 2: second, WINDOW: third}, 1) == {WINDOW: b"001"}
    assert read({1: first, 2: second, WINDOW + 1: third}, 1) == {}
    assert read({1: first, 2: second, WINDOW + 1: third, WINDOW + 2: first}, 1) == {}
    assert read({1: first, 2: second, WINDOW + 1: third, WINDOW + 2: first, WINDOW + 3: second}, 1) == {
        WINDOW + 3: b"001"
    }


def test_a_piece_that_came_twice_counts_from_the_last_time_on() -> None:
    first, second, third = messages(1)
    assert read({1: first, 5: first, 6: second, WINDOW + 3: third}, 1) == {WINDOW + 3: b"001"}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, WINDOW // 2), st.permutations(range(PIECES))), max_size=12), st.data())
def test_who_looks_back_far_enough_finds_the_same(steps: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    stream: dict[int, Message] = {}
    sequence = 0
    for number, (step, order) in enumerate(steps, 1):
        for piece in order:
            sequence += step
            stream[sequence] = messages(number)[piece]
    all_ = read(stream, 1)
    begin = data.draw(st.integers(1, sequence + 1))
    late = read(stream, begin - WINDOW + 1)
    assert {at: command for at, command in late.items() if at >= begin} == {
        at: command for at, command in all_.items() if at >= begin
    }
