"""Bugs for the state machine of a cluster: what makes nodes part, or store twice."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

HISTORY: Final = "tests/cluster/machine/test_same_history.py"
MACHINE_TESTS: Final = "tests/cluster/machine/test_machine.py"
COPIES: Final = "tests/cluster/machine/test_copies.py"

MACHINE: Final[dict[str, Bug]] = {
    "later-records-count": Bug(
        "blockdb/cluster/machine/target.py",
        "if found is None or (self._next is not None and found[0] >= self._next[0]):\n            return None",
        "if found is None:\n            return None",
        (f"{HISTORY}::test_what_is_there_already_is_not_stored_again",),
        "After a crash a command is refused because of its own record, which is there already.",
    ),
    "outcomes-of-a-run": Bug(
        "blockdb/cluster/machine/machine.py",
        "if storing.is_waiting(job.id) or job.id in outcomes:",
        "if storing.is_waiting(job.id):",
        (f"{MACHINE_TESTS}::test_the_oldest_outcomes_go_whatever_the_batches_are",),
        "Whether a command that comes again is remembered depends on the batch in which it comes.",
    ),
    "the-newest-goes": Bug(
        "blockdb/cluster/machine/outcomes.py",
        "oldest, _ = found.popitem(last=False)",
        "oldest, _ = found.popitem()",
        (f"{MACHINE_TESTS}::test_an_outcome_costs_no_more_where_the_oldest_have_to_go",),
        "What became of the last command is forgotten, so that a retry does it once more.",
    ),
    "twice-in-a-command": Bug(
        "blockdb/cluster/machine/storing.py",
        "if len(fresh) < len(jobs) or not",
        "if not",
        (f"{MACHINE_TESTS}::test_what_comes_twice_in_a_command_is_stored_once",),
        "Of two records that came under one id, the second one is stored.",
    ),
    "half-a-command-in-the-mark": Bug(
        "blockdb/cluster/machine/holding.py",
        "self.write_mark(Begun(index, self.time_ms, seed, told_from, note))",
        "pass",
        (f"{HISTORY}::test_a_command_that_was_cut_short_anywhere_is_finished",),
        "A command that was cut short is taken for one that nobody has begun.",
    ),
    "journal-tells-twice": Bug(
        "blockdb/database/proofs/journal.py",
        "            if number is not None:\n                return number\n",
        "",
        (f"{HISTORY}::test_a_command_that_was_cut_short_anywhere_is_finished",),
        "What a command that was cut short has told already, the journal tells once more.",
    ),
    "untold-index": Bug(
        "blockdb/cluster/machine/changing.py",
        "            self._forget_untold_indexes(self._holding.store(metadata.uuid))\n",
        "            pass\n",
        (f"{HISTORY}::test_a_command_that_was_cut_short_anywhere_is_finished",),
        "The journal of one node does not tell of an index that was made just before it died.",
    ),
    "salts-from-here": Bug(
        "blockdb/storage/writer.py",
        'return self.surroundings.chance(SALT_BYTES, "salt")',
        "return __import__('os').urandom(SALT_BYTES)",
        (f"{HISTORY}::test_a_command_that_was_cut_short_anywhere_is_finished",),
        "Each node salts redactable records in its own way, so their blocks differ.",
    ),
    "mark-after-a-failure": Bug(
        "blockdb/cluster/machine/machine.py",
        "            self.check()  # of a command that failed nobody knows how far it has come\n",
        "",
        ("tests/cluster/machine/test_heads.py::test_who_has_gone_astray_serves_nothing_until_it_has_a_copy",),
        "A mark is made after a command that has failed half way.",
    ),
    "copy-not-audited": Bug(
        "blockdb/cluster/machine/snapshots.py",
        "if own != ids[DEFAULT_COLLECTION]:",
        "if not own:",
        (f"{COPIES}::test_a_copy_of_another_database_is_refused",),
        "A node takes over the copy of another cluster's database.",
    ),
    "tokens-not-in-the-mark": Bug(
        "blockdb/cluster/machine/holding.py",
        "            self.tokens = _tokens(last)\n",
        "",
        (f"{MACHINE_TESTS}::test_tokens_are_kept_and_revoked",),
        "After a restart a node knows no token of the cluster.",
    ),
    "token-twice": Bug(
        "blockdb/security/tokens.py",
        "if any(token.name == other.name for other in others):",
        "if any(token.id == other.name for other in others):",
        (f"{MACHINE_TESTS}::test_tokens_that_cannot_be",),
        "Two tokens have the same name, and a certificate stands for either.",
    ),
}
