"""Bugs of a server that is a node of a cluster."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

CONCERNS: Final = "tests/server/cluster/test_concerns.py"
NODES: Final = "tests/server/cluster/test_three_nodes.py"
MEMBERS: Final = "tests/server/cluster/test_membership.py"
GATHERED: Final = "tests/server/test_gathering.py"

CLUSTER_SERVER: Final[dict[str, Bug]] = {
    "an-old-answer-for-a-new-read": Bug(
        "blockdb/server/concerns.py",
        "        self._shared = None\n        shared.add_done_callback",
        "        shared.add_done_callback",
        (f"{CONCERNS}::test_those_who_come_together_wait_together",),
        "A read that came later is confirmed by a question that was asked before it.",
    ),
    "not-caught-up": Bug(
        "blockdb/server/concerns.py",
        "elif self._applied() >= done.result():",
        "elif done.result():",
        (f"{CONCERNS}::test_those_who_come_together_wait_together",),
        "A read is answered before this node has what was acknowledged.",
    ),
    "one-name-for-all": Bug(
        "blockdb/server/concerns.py",
        'parts = (principal.token_id or "", principal.name, operation.name, key)',
        'parts = (principal.token_id or "", principal.name, operation.name)',
        (f"{CONCERNS}::test_a_name_follows_from_who_asks_for_what_under_which_key",),
        "Whoever asks for something else is told what became of what they asked before.",
    ),
    "gathered-without-a-name": Bug(
        "blockdb/server/gathering.py",
        "return collection.put_each(items, [concerns.name_in_group(call) for call, _, _ in asked])",
        "return collection.put_each(items)",
        (f"{NODES}::test_a_retry_at_another_node_gets_the_first_answer",),
        "A put that is sent again to another node is done twice, or refused.",
    ),
    "waits-for-who-is-gone": Bug(
        "blockdb/server/gathering.py",
        "        elif self._timer is None:\n",
        "        elif self._timer is not None:\n",
        (f"{GATHERED}::test_who_does_not_come_back_is_waited_for_once_and_not_for_long",),
        "Writers wait for ever for one that was answered and does not ask again.",
    ),
    "halves-in-turns": Bug(
        "blockdb/server/gathering.py",
        "len(group) + len(self._waiting))",
        "len(self._waiting))",
        (f"{GATHERED}::test_the_next_group_waits_for_those_who_were_answered",),
        "Halves of the writers take turns, and each round of a cluster is paid for twice.",
    ),
    "commit-not-looked-up": Bug(
        "blockdb/server/concerns.py",
        "            if stored is not None:",
        "            if stored is None:",
        (f"{NODES}::test_a_commit_that_is_asked_for_again_elsewhere_is_found",),
        "Of a commit that was done nobody can say that it was.",
    ),
    "ready-without-a-leader": Bug(
        "blockdb/server/health.py",
        "    if not cluster.leader:",
        "    if cluster.leader is None:",
        (f"{MEMBERS}::test_a_node_without_a_leader_is_not_ready",),
        "Requests are sent to a node that can answer none.",
    ),
    "any-node-token": Bug(
        "blockdb/server/node_tokens.py",
        "or not compare_digest(proof, self._proof(node_id))",
        "or not proof",
        (
            "tests/server/partitions/test_passing_on.py::test_a_node_shows_a_token_that_follows_from_the_key_of_the_cluster",
        ),
        "Whoever says that they are a node is one.",
    ),
    "passed-on-for-ever": Bug(
        "blockdb/server/reaching.py",
        "        if is_passed_on():\n",
        "        if False:\n",
        ("tests/server/partitions/test_passing_on.py::test_connections_are_kept_and_nothing_is_passed_on_twice",),
        "Nodes that disagree about who holds a partition ask each other in circles.",
    ),
    "named-by-who-passes-on": Bug(
        "blockdb/server/concerns.py",
        "        return request_of_key(key)[0]\n",
        "        pass\n",
        ("tests/server/partitions/test_passing_on.py::test_a_request_keeps_its_name_when_it_is_passed_on",),
        "A request that comes again by way of another node is done twice.",
    ),
}
