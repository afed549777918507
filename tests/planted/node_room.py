"""Bugs in what drives consensus on a node."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

_FALLEN: Final = "tests/cluster/test_falling_out.py::"
_RAFT: Final = "tests/cluster/test_raft_log.py::"

NODE: Final[dict[str, Bug]] = {
    "room-is-kept": Bug(
        "blockdb/cluster/proposals.py",
        "done.append(proposal)\n                    self._room.leave(proposal.size, proposal.bytes)\n",
        "done.append(proposal)\n",
        (_RAFT + "test_what_was_decided_waits_no_longer",),
        "What was decided goes on to take the room of what waits.",
    ),
    "one-objection-is-enough": Bug(
        "blockdb/cluster/comparing.py",
        "if 2 * len(against) > len(heads) + 1 and",
        "if against and",
        (_FALLEN + "test_a_node_with_another_history_stops_serving_and_says_where",),
        "A node believes any single one that has another history.",
    ),
    "wiped-and-trusted": Bug(
        "blockdb/cluster/consensus/joining.py",
        "        if is_late:\n",
        "        if is_late and applied:\n",
        (_FALLEN + "test_a_node_whose_log_was_wiped_gets_it_all_again_before_it_votes",),
        "A node whose log was wiped votes before it has again what it had promised.",
    ),
    "joined-and-trusted": Bug(
        "blockdb/cluster/consensus/joining.py",
        "        if admission.is_known:\n",
        "        if not admission.members.all:\n",
        (_FALLEN + "test_a_node_that_lost_its_log_and_joins_again_gives_no_vote_before_it_has_it",),
        "A node that joins under its old name votes before it has again what it had promised.",
    ),
    "machine-ahead-of-log": Bug(
        "blockdb/cluster/consensus/driving.py",
        "while self._committed and self._committed[0].index <= self.view.forced_index:",
        "while self._committed:",
        (_RAFT + "test_a_machine_is_never_ahead_of_its_own_disk",),
        "Commands are applied before they are on the node's own disk.",
    ),
    "half-a-copy": Bug(
        "blockdb/cluster/consensus/disk.py",
        "if head is not None and head.index <= applied_index and not self._has(head):",
        "if head is not None and not self._has(head) and not applied_index:",
        (_RAFT + "test_a_node_that_fell_between_snapshot_and_log_goes_on_behind_it",),
        "A node that died between taking over a snapshot and beginning its log behind it does not start again.",
    ),
    "damaged-and-applying": Bug(
        "blockdb/cluster/consensus/node.py",
        "            if lack:\n",
        "            if not lack:\n",
        (_FALLEN + "test_a_machine_that_lacks_what_the_log_begins_behind_gets_a_copy",),
        "A node without what its log begins behind asks nobody for a copy.",
    ),
    "damage-ends-the-node": Bug(
        "blockdb/cluster/applying.py",
        "        if not self._damaged(error):\n            raise error",
        "        raise error",
        (_FALLEN + "test_a_node_that_comes_upon_damage_gets_a_copy_and_goes_on",),
        "A node that comes upon damage stops for good instead of getting a copy.",
    ),
    "damage-loses-entries": Bug(
        "blockdb/cluster/applying.py",
        "            self._waiting.extendleft(reversed(batch))\n",
        "            self._waiting.clear()\n",
        (_FALLEN + "test_what_the_copy_does_not_have_is_applied_behind_it",),
        "What was to be applied when a node came upon damage is applied never, where the copy does not have it.",
    ),
    "passed-to-the-same": Bug(
        "blockdb/cluster/consensus/rebuilding.py",
        "raft.transfer(able[self._passed_on % len(able)])",
        "raft.transfer(able[0])",
        (_FALLEN + "test_two_damaged_nodes_get_copies_of_the_third",),
        "Two damaged nodes have each other lead, in turns, for ever.",
    ),
}
