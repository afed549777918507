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
        "        while (cycle := cycle_through(owner, self.waits_for)) is not None:",
        "        if (cycle := cycle_through(owner, self.waits_for)) is not None:",
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
    "older-mark": Bug(
        "blockdb/storage/transaction_log.py",
        "mark.written < start:",
        "mark.written < 0:",
        (LOG,),
        "A process that is killed while the log is emptied leaves one that is taken for damaged.",
    ),
}
