"""Bugs for transactions over several partitions: what makes one count in part, or lets others see it in part."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

MACHINE: Final = "tests/cluster/machine/test_pending.py"
NODES: Final = "tests/cluster/database/test_pending.py"
USERS: Final = "tests/cluster/partitions/test_transactions.py"
WORLDS: Final = "tests/cluster/partitions/test_two_phase.py"

TWO_PHASE: Final[dict[str, Bug]] = {
    "decided-before-the-votes": Bug(
        "blockdb/cluster/partitions/committing.py",
        "Decide(transaction, commit=refusal is None)",
        "Decide(transaction, commit=True)",
        (f"{WORLDS}::test_any_world",),
        "A transaction is committed although one of its partitions has refused it.",
    ),
    "second-decision": Bug(
        "blockdb/cluster/machine/deciding.py",
        "        elif not self._outcomes.repeated(id_, digest):\n            self._pending.abort(transaction)",
        "        else:\n            self._pending.abort(transaction)",
        (f"{MACHINE}::test_what_was_prepared_is_stored_once_it_is_decided",),
        "Who asks for a decision a second time is told another one.",
    ),
    "finished-undecided": Bug(
        "blockdb/cluster/machine/deciding.py",
        "if found is not None and not found[0].home:",
        "if False and found is not None:",
        (f"{MACHINE}::test_the_home_ends_nothing_that_is_not_decided",),
        "A home ends its part without a decision.",
    ),
    "prepared-after-the-end": Bug(
        "blockdb/cluster/machine/deciding.py",
        "elif self._pending.is_aborted(transaction):",
        "elif False:",
        (f"{MACHINE}::test_what_was_ended_before_it_came_is_never_prepared",),
        "A message that comes late has a transaction prepared that was aborted.",
    ),
    "refusal-is-forgotten": Bug(
        "blockdb/cluster/machine/deciding.py",
        "            self._pending.abort(content.transaction)  # the home has decided with that\n",
        "            pass\n",
        (f"{MACHINE}::test_homes_remember_what_they_refused",),
        "A home that has refused a transaction may accept it once more, much later.",
    ),
    "pending-is-lost": Bug(
        "blockdb/cluster/machine/marks.py",
        "        self._pending.restore(self._saved)\n",
        "",
        (f"{MACHINE}::test_restarts_and_copies_keep_it",),
        "A node that is started again does not know what it has voted for.",
    ),
    "reads-do-not-wait": Bug(
        "blockdb/cluster/database/front.py",
        "        self.wait_for_pending(deadline)\n",
        "",
        (f"{NODES}::test_who_waits_sees_how_it_has_ended",),
        "Who reads one partition after the other sees a transaction in part.",
    ),
    "nobody-waits": Bug(
        "blockdb/cluster/machine/pending.py",
        "        raise Blocked(transaction)",
        "        pass",
        (f"{MACHINE}::test_whoever_is_in_its_way_waits_and_goes_by_the_same_id",),
        "Nobody waits for what is about to be stored.",
    ),
    "readers-are-not-protected": Bug(
        "blockdb/cluster/machine/storing.py",
        "        self._holding.pending.check_reads(reads)\n",
        "",
        (f"{MACHINE}::test_what_reads_what_is_about_to_come_is_refused",),
        "A transaction is committed that has missed what another one is about to store.",
    ),
    "in-doubt-for-ever": Bug(
        "blockdb/cluster/partitions/committing.py",
        "if now_s - since >= self._age_s + more_s}",
        "if False}",
        (f"{WORLDS}::test_any_world",),
        "What a dead coordinator left stays in doubt.",
    ),
    "closed-too-early": Bug(
        "blockdb/cluster/partitions/committing.py",
        "if not any(map(_is_open, results)):",
        "if True:",
        (f"{WORLDS}::test_a_home_forgets_nothing_that_others_do_not_know",),
        "A home forgets that it has committed before the others know.",
    ),
    "absent-is-not-kept": Bug(
        "blockdb/cluster/partitions/transaction.py",
        "        self.reads.add_absent(key, records)\n",
        "",
        (f"{USERS}::test_write_skew_is_refused",),
        "Transactions of two nodes each store what the other one has missed.",
    ),
    "ranges-are-not-kept": Bug(
        "blockdb/cluster/partitions/transaction.py",
        "self.reads.add_range(start, stop, self._handle.next_sequence)",
        "pass",
        (f"{USERS}::test_a_phantom_is_refused",),
        "A transaction that has looked through a range does not notice what was stored there since.",
    ),
    "readers-are-not-looked-at": Bug(
        "blockdb/cluster/partitions/transacting.py",
        "each([partial(self._asker.check, name, share.reads) for name, share in work.items()])",
        "pass",
        (f"{USERS}::test_who_only_reads_sees_one_moment",),
        "A transaction that only reads sees half of what another one stored.",
    ),
    "nobody-looks-after-the-dead": Bug(
        "blockdb/cluster/partitions/recovering.py",
        "due = doubt.due(machine.pending, monotonic(), more_s=more_s)",
        "due = []",
        (f"{USERS}::test_what_a_dead_coordinator_left_is_ended",),
        "What a node that died has begun stays in doubt.",
    ),
    "another-name-each-time": Bug(
        "blockdb/cluster/partitions/transacting.py",
        "name, until_s = new_command_id(), ",
        "name, until_s = __import__('os').urandom(16), ",
        (f"{USERS}::test_the_same_request_is_done_once_whichever_node_it_comes_to",),
        "A batch that is asked for again under its Idempotency-Key is refused as a repetition.",
    ),
}
