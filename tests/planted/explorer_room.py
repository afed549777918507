"""Bugs of the explorer: what it says of trust, what it lets into the prompt, and what it keeps."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

EXPLORER: Final[dict[str, Bug]] = {
    "trust-of-another": Bug(
        "tui/verification.py",
        "if block.collection == collection.id)",
        "if True)",
        ("tests/tui/test_collections.py::test_the_block_of_a_problem_is_shown_in_its_own_collection",),
        "Blocks are called proven because those of another collection are.",
    ),
    "names-as-they-are": Bug(
        "tui/completion.py",
        "character if character.isprintable() else json.dumps(character)[1:-1]",
        "character",
        ("tests/tui/test_hostile.py::test_hostile_names_of_fields_are_completed_safely",),
        "The name of a field that is completed reaches the terminal as it is.",
    ),
    "passed-over-in-silence": Bug(
        "tui/changes.py",
        "self.passed_over += near_end - position",
        "pass",
        ("tests/tui/test_schema_and_changes.py::test_no_more_than_so_many_changes_are_kept",),
        "Whoever comes back to the changes is not told how many were passed over.",
    ),
    "gone-is-gone": Bug(
        "tui/connected.py",
        "if self.origin.is_server and isinstance(error, OUT_OF_TOUCH):",
        "if False:",
        ("tests/tui/test_contact.py::test_a_server_that_goes_away_is_told_and_found_again",),
        "A server that does not answer takes everything off the screen.",
    ),
    "not-read-again": Bug(
        "tui/connected.py",
        "            view.resumed()",
        "            pass",
        ("tests/tui/test_contact.py::test_what_could_not_be_read_meanwhile_is_read_when_the_server_is_back",),
        "What could not be read while the server was away is never read.",
    ),
    "cluster-believes-an-old-leader": Bug(
        "tui/cluster/lanes.py",
        "return max((lane for lane in self.lanes if lane.is_leader), key=lambda lane: lane.term, default=None)",
        "return next((lane for lane in self.lanes if lane.is_leader), None)",
        ("tests/tui/test_cluster_model.py::test_of_two_that_lead_the_newer_term_counts",),
        "Of two nodes that believe to lead, the view shows the one that was cut off.",
    ),
    "cluster-node-outlives-its-parent": Bug(
        "blockdb/cluster/demo/node.py",
        "            waiting.read()\n",
        "",
        ("tests/cluster/demo/test_processes.py::test_a_node_ends_with_its_parent_even_while_it_is_paused",),
        "A node of the demonstration that is paused at once is left behind.",
    ),
}
