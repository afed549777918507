"""What is published together, and in which turn."""

from __future__ import annotations

from blockdb.cluster.proposals import Proposals
from blockdb.cluster.waiting import Room


def proposals() -> Proposals:
    return Proposals(b"originof", Room(100, 10_000), 10.0, 1.0)


def test_commands_that_wait_are_taken_together_as_far_as_there_is_room() -> None:
    waiting = proposals()
    for command in (b"a", b"b", b"c", bytes(500), b"d"):
        waiting.add([command])
    assert waiting.take_numbered(1_000, 2) == (1, [b"a", b"b"])
    assert waiting.take_numbered(100, 10) == (3, [b"c"])
    assert waiting.take_numbered(100, 10) == (4, [bytes(500)])
    assert waiting.take_numbered(100, 10) == (5, [b"d"])
    assert waiting.take_numbered(100, 10) == (0, [])


def test_commands_of_one_call_wait_for_those_before_them() -> None:
    waiting = proposals()
    future = waiting.add([b"a", b"b", b"c"])
    waiting.add([b"d"])
    assert waiting.take_numbered(1_000, 2) == (1, [b"a", b"b"])
    assert waiting.take_numbered(1_000, 2) == (0, [])
    waiting.decided([(1, 1_999), (2, 2_000)])
    assert waiting.take_numbered(1_000, 2) == (3, [b"c", b"d"])
    assert waiting.waits_for(3, 1)
    waiting.decided([(3, 2_999)])
    assert future.result(0) == 2_999
    assert not waiting.waits_for(1, 3)
