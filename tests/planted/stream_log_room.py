"""Bugs in the log over streams."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

_HOLDERS: Final = "tests/cluster/jetstream/test_holders.py::"

STREAM_LOG: Final[dict[str, Bug]] = {
    "gap-passed-over": Bug(
        "blockdb/cluster/jetstream/reading.py",
        "        if sequence > self.next:\n",
        "        if sequence > self.next + 1_000:\n",
        (_HOLDERS + "test_a_gap_that_nobody_told_of_is_not_passed_over",),
        "A number that is missing in the stream is taken for one that has nothing to say.",
    ),
    "published-anew": Bug(
        "blockdb/cluster/jetstream/publishing.py",
        'headers={_ID: f"{name}-{piece}"}',
        'headers={_ID: f"{name}-{piece}-{monotonic()}"}',
        (_HOLDERS + "test_what_an_answer_was_lost_of_is_there_once",),
        "What is published again has another name, and gets into the stream twice.",
    ),
    "pieces-before-forgotten": Bug(
        "blockdb/cluster/jetstream/reading.py",
        "self._knows_pieces, self._looks_back = self.next == 1, False",
        "self._knows_pieces, self._looks_back = True, False",
        (_HOLDERS + "test_who_begins_between_the_pieces_of_a_command_looks_back",),
        "Who begins to read between the pieces of a command lacks it.",
    ),
    "trimmed-under-a-holder": Bug(
        "blockdb/cluster/jetstream/trimming.py",
        "least = min((noted.get(id_, 0) for id_ in holders), default=0)",
        "least = max((noted.get(id_, 0) for id_ in holders), default=0)",
        (_HOLDERS + "test_the_stream_is_trimmed_behind_all_holders_and_no_further",),
        "The stream is trimmed behind the holder that is furthest.",
    ),
    "any-stream-will-do": Bug(
        "blockdb/cluster/jetstream/identity.py",
        "        if found != (stream, created):\n",
        "        if found[0] != stream:\n",
        (_HOLDERS + "test_a_stream_that_was_made_again_is_another_one",),
        "A stream that was removed and made again is read on as if it were the same.",
    ),
    "came-with-a-copy": Bug(
        "blockdb/cluster/jetstream/publishing.py",
        "if is_whole and index_of(last) <= self._driver.applied:",
        "if is_whole and index_of(last) <= 0:",
        (_HOLDERS + "test_a_command_that_came_with_a_copy_is_decided",),
        "A command that is part of a copy which was taken over is waited for in vain.",
    ),
    "out-of-turn": Bug(
        "blockdb/cluster/proposals.py",
        "is_behind = in_turn and slot.proposal.sent and slot.proposal not in begun",
        "is_behind = False",
        ("tests/cluster/jetstream/test_publishing.py::test_commands_of_one_call_wait_for_those_before_them",),
        "The end of a call is published before its beginning is decided.",
    ),
}
