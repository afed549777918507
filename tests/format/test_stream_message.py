"""Messages of a stream: what is encoded is decoded, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import stream_message
from blockdb.format.frame import BadFrame
from blockdb.format.stream_message import MESSAGE_BYTES, Message, Sort

ORIGIN = b"originof"


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.integers(1, 80))
def test_commands_in_pieces_are_the_same_again(commands: list[bytes], room: int) -> None:
    messages = stream_message.encode_commands(ORIGIN, 7, commands, MESSAGE_BYTES + room)
    found = [stream_message.decode(message) for message in messages]
    assert max(map(len, messages)) <= MESSAGE_BYTES + room
    assert [each.piece for each in found] == list(range(len(found)))
    assert {(each.sort, each.pieces, each.origin, each.number) for each in found} == {
        (Sort.COMMANDS, len(found), ORIGIN, 7)
    }
    assert list(stream_message.commands_in(b"".join(each.data for each in found))) == commands


@given(st.binary(max_size=40), st.data())
def test_what_is_damaged_is_not_read(command: bytes, data: st.DataObject) -> None:
    [message] = stream_message.encode_commands(ORIGIN, 7, [command], 1_000)
    at = data.draw(st.integers(0, len(message) - 1))
    changed = bytes([message[at] ^ data.draw(st.integers(1, 255))])
    for bad in (message[:at] + changed + message[at + 1 :], message[:at]):
        with pytest.raises(BadFrame):
            stream_message.decode(bad)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_commands_that_were_cut_are_not_read(command: bytes, data: st.DataObject) -> None:
    [message] = stream_message.encode_commands(ORIGIN, 7, [command], 1_000)
    cut = stream_message.decode(message).data[: data.draw(st.integers(1, len(command) + 3))]
    with pytest.raises(BadFrame, match="end within"):
        list(stream_message.commands_in(cut))


def test_other_versions_and_sorts_and_pieces_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadFrame):
        stream_message.decode(stream_message.encode(Message(Sort.COMMANDS, 2, 2, ORIGIN, 7, b"")))
    with pytest.raises(BadFrame, match="newer"):
        stream_message.decode(stream_message.encode(Message(9, 0, 1, ORIGIN, 7, b"")))  # type: ignore[arg-type]


def test_more_pieces_than_can_be_counted_are_refused() -> None:
    for size, room in ((70_000, 1), (1, 0)):
        with pytest.raises(ValueError, match="do not go into"):
            stream_message.encode_commands(ORIGIN, 7, [bytes(size)], MESSAGE_BYTES + room)
