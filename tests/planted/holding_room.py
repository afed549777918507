"""Bugs of nodes that hold partitions: where these are placed, how they move, and who is asked for them."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

PLACING: Final = "tests/cluster/partitions/test_placing.py"
NODES: Final = "tests/cluster/partitions/test_holding.py"
HERE: Final = "blockdb/cluster/partitions"

HOLDING: Final[dict[str, Bug]] = {
    "moved-unevenly": Bug(
        f"{HERE}/placing.py",
        "    if evenly:\n",
        "    if False:\n",
        (f"{PLACING}::test_what_moves_ends_even_and_whole_and_nothing_moves_then",),
        "A node that joins gets nothing.",
    ),
    "dead-as-good": Bug(
        f"{HERE}/placing.py",
        "key=lambda node: (node in shunned, max(",
        "key=lambda node: (max(",
        (f"{PLACING}::test_the_dead_are_taken_only_where_the_living_do_not_suffice",),
        "New partitions go to nodes that nobody hears of.",
    ),
    "two-that-need-both": Bug(
        f"{HERE}/creating.py",
        "min(copies + 1 - copies % 2, nodes)",
        "min(copies, nodes)",
        (f"{PLACING}::test_logs_are_kept_on_an_odd_number_of_machines",),
        "With two copies, nothing is decided where one node is gone.",
    ),
    "deleted-without-asking": Bug(
        f"{HERE}/holding.py",
        "if not self._registry.is_gone(partition.collection_id):",
        "if False:",
        (f"{NODES}::test_directories_without_a_roster_are_kept_while_their_collection_is_there",),
        "Rosters that are lost take the data along.",
    ),
    "named-twice": Bug(
        f"{HERE}/handles.py",
        "        if is_passed_on():\n            return self._ask(act)",
        "        if False:\n            return self._ask(act)",
        (f"{NODES}::test_a_write_that_is_tried_again_elsewhere_is_done_once",),
        "A write that is tried at another node is another write.",
    ),
    "confirmed-by-root": Bug(
        f"{HERE}/front.py",
        "        with reading(concern()):\n            super().confirm()",
        "        super().confirm()",
        (f"{NODES}::test_that_root_is_up_to_date_says_nothing_of_partitions",),
        "A linearizable read of a partition sees what this node happens to have.",
    ),
    "removed-before-it-was-replaced": Bug(
        f"{HERE}/rebalancing.py",
        "            self._wait_for(move.partition, move.add)\n",
        "",
        (f"{NODES}::test_a_learner_that_does_not_catch_up_is_let_go",),
        "A move takes the old copy away before there is a new one.",
    ),
}
