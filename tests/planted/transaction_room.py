"""Bugs for the lock table, and for the log of transactions."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

TABLE: Final = "tests/locking/test_table.py"
LOG: Final = "tests/storage/test_transaction_log.py"
UNDECIDED: Final = "tests/storage/test_undecided.py"

LOCKING: Final = {
    "shared-is-free": Bug(
        "blockdb/locking/space.py",
        "elif holder is not None and claim.exclusive:",
        "elif holder is not None and claim.exclusive and not claim.is_point:",
        (TABLE,),
        "Who writes a key does not wait for those who read it.",
    ),
    "phantoms": Bug(
        "blockdb/locking/claim.py",
        "and (stop is None or self.start < stop)",
        "and (stop is None or self.start <= stop)",
        (TABLE,),
        "A range is taken to have the key that it ends before.",
    ),
    "barging": Bug(
        "blockdb/locking/space.py",
        "if earlier.conflicts(claim) and claim.owner not in self.holders(earlier):",
        "if False:",
        (TABLE,),
        "Those who come later go first, and a writer starves.",
    ),
    "lost-wake-up": Bug(
        "blockdb/locking/table.py",
        "            if locks.waiting:\n                changed[locks] = None",
        "            if locks.waiting and not locks.points:\n                changed[locks] = None",
        (TABLE,),
        "Who waits is not woken while others hold locks of the space.",
    ),
    "second-cycle": Bug(
        "blockdb/locking/table.py",
        "        while owner in self._held and (cycle := cycle_through(owner, self.waits_for)) is not None:",
        "        if owner in self._held and (cycle := cycle_through(owner, self.waits_for)) is not None:",
        (TABLE,),
        "Where one request closes two cycles, one of them stays.",
    ),
    "oldest-gives-way": Bug(
        "blockdb/locking/graph.py",
        "return max(cycle)",
        "return min(cycle)",
        (TABLE,),
        "The oldest transaction is the victim, which may never come to an end then.",
    ),
}

TRANSACTIONS: Final = {
    "other-place": Bug(
        "blockdb/format/transaction.py",
        "if decision.number != base + offset:",
        "if decision.number < 0:",
        ("tests/format/test_transaction.py",),
        "A decision is believed wherever it stands.",
    ),
    "base-starts-anew": Bug(
        "blockdb/storage/transaction_log.py",
        "encode_header(LogHeader(self._database, base))",
        "encode_header(LogHeader(self._database, 0))",
        (LOG,),
        "An emptied log gives the same numbers again.",
    ),
    "undecided-run": Bug(
        "blockdb/format/walk.py",
        "    if end > stop or (header.transaction and decided is not None and not decided(header.transaction)):",
        "    if end > stop:",
        ("tests/format/test_walk.py", UNDECIDED),
        "A batch of plain records counts, whether its transaction was decided or not.",
    ),
    "undecided-batch": Bug(
        "blockdb/format/walk.py",
        "    if header.transaction and decided is not None and not decided(header.transaction):",
        "    if header.transaction and decided is None:",
        ("tests/format/test_walk.py", UNDECIDED),
        "A batch counts, whether its transaction was decided or not.",
    ),
    "no-redo": Bug(
        "blockdb/database/transactions/committing.py",
        "        for decision in log.unfinished:",
        "        for decision in log.unfinished[:-1]:",
        ("tests/database/test_repair_of_transactions.py", "tests/golden/test_golden.py"),
        "What was decided last before a crash is never finished.",
    ),
    "not-retracted": Bug(
        "blockdb/database/transactions/committing.py",
        "self._log.retract(number)  # nothing was stored anywhere",
        "pass",
        ("tests/fault/test_transactions.py::test_what_cannot_be_decided_is_not_there_and_the_next_one_is",),
        "A transaction that failed is done after all by the next process.",
    ),
    "batch-before-decision": Bug(
        "blockdb/storage/marked_log.py",
        "        self._force_first()\n",
        "",
        ("tests/storage/test_log.py::test_what_a_transaction_decided_is_on_the_disk_before_its_batch",),
        "A batch may be on the disk while its decision is not: half of a transaction outlives a power cut.",
    ),
    "open-range": Bug(
        "blockdb/database/transactions/transaction.py",
        'self._locks.lock_range(self._holder, part.gate.space, start or b"", stop)',
        'self._locks.lock_range(self._holder, part.gate.space, b"", b"")',
        ("tests/database/test_transactions.py::test_a_range_that_was_read_stays_as_it_was",),
        "What a scan read is not locked.",
    ),
    "open-gate": Bug(
        "blockdb/database/transactions/locks.py",
        "            elif any(self._table.is_locked(space, key) for key in keys):",
        "            elif not keys:",
        ("tests/database/test_transactions.py::test_a_range_that_was_read_stays_as_it_was",),
        "A plain write does not wait for a transaction that holds its key.",
    ),
    "half-released": Bug(
        "blockdb/database/transactions/locks.py",
        "        self._wake(self._table.release(holder.id))",
        "        self._table.release(holder.id)",
        ("tests/database/test_transactions.py::test_who_reads_is_not_overtaken_by_who_writes",),
        "Nobody tells those who wait that a lock is free.",
    ),
    "older-mark": Bug(
        "blockdb/storage/transaction_log.py",
        "mark.written < start:",
        "mark.written < 0:",
        (LOG,),
        "A process that is killed while the log is emptied leaves one that is taken for damaged.",
    ),
    "committed-or-not": Bug(
        "blockdb/database/transactions/locks.py",
        '"committed" if committed else "aborted")',
        '"committed")',
        ("tests/database/test_transactions.py::test_what_became_of_the_last_ones_is_seen",),
        "Transactions that were given up are listed as committed.",
    ),
}
