"""Bugs of a server that is a node of a cluster."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

CONCERNS: Final = "tests/server/cluster/test_concerns.py"
NODES: Final = "tests/server/cluster/test_three_nodes.py"
MEMBERS: Final = "tests/server/cluster/test_membership.py"

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
        "return collection.put_each(items, [_name_of(call) for call, _ in asked])",
        "return collection.put_each(items)",
        (f"{NODES}::test_a_retry_at_another_node_gets_the_first_answer",),
        "A put that is sent again to another node is done twice, or refused.",
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
}
