"""Bugs of what collections share, and of keeping many of them."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

COMMONS: Final = "tests/storage/test_commons.py"

MANY: Final[dict[str, Bug]] = {
    "stopped-while-it-runs": Bug(
        "blockdb/storage/background.py",
        "            self._changed.wait_for(lambda: not task.is_running)\n",
        "",
        ("tests/storage/test_background.py::test_nobody_waits_for_the_work_of_others",),
        "A collection is closed while a thread is at work on its files.",
    ),
    "memory-of-each-database": Bug(
        "blockdb/storage/commons.py",
        "means = means or Means(config)",
        "means = Means(config)",
        (f"{COMMONS}::test_databases_may_share_memory_and_threads",),
        "Each partition of a node takes as much memory as the node may.",
    ),
    "failing-relieved": Bug(
        "blockdb/storage/memory.py",
        "if not tenant.is_failing]",
        "]",
        (f"{COMMONS}::test_the_largest_memtables_go_where_memory_runs_low",),
        "Room is expected of a collection that cannot be flushed.",
    ),
    "nothing-granted-back": Bug(
        "blockdb/storage/memory.py",
        "                self._take_back()\n",
        "",
        (f"{COMMONS}::test_what_memtables_do_not_use_is_given_to_others",),
        "What memtables were allowed and never used is lost to the others.",
    ),
    "cleared-and-counted": Bug(
        "blockdb/storage/cache.py",
        "            self.room.young_bytes -= self._young_bytes\n",
        "",
        (f"{COMMONS}::test_a_redaction_in_one_collection_leaves_the_caches_of_the_others",),
        "What a collection let go of counts against the limit for all.",
    ),
    "parked-with-locks": Bug(
        "blockdb/storage/open_files.py",
        "if self.closed or self.gate is not None or not self.upkeep.is_idle:",
        "if self.closed or not self.upkeep.is_idle:",
        ("tests/storage/test_parking.py::test_those_at_work_are_not_parked",),
        "A collection is closed while a transaction holds locks in it.",
    ),
    "parked-unforced": Bug(
        "blockdb/storage/open_files.py",
        "if not self._log.is_forced or not self.pause():",
        "if not self.pause():",
        ("tests/storage/test_parking.py::test_what_cannot_be_forced_is_not_parked",),
        "That a force failed is forgotten, and the next one believed.",
    ),
    "never-parked": Bug(
        "blockdb/storage/parking.py",
        "            if len(self._open) <= self.limit:\n                return\n            self._sort()\n",
        "            return\n            self._sort()\n",
        ("tests/storage/test_parking.py::test_of_many_few_are_open_and_all_can_be_used",),
        "However many collections there are, all stay open.",
    ),
    "dropped-before-told": Bug(
        "blockdb/database/lifecycle.py",
        "                save_pending(self._door, files.pending, event)\n",
        "                self._catalog.forget(collection_id)\n",
        ("tests/database/test_lifecycle.py::test_where_the_journal_takes_nothing_the_collection_stays",),
        "A collection is gone from the registry before the journal tells that it was dropped.",
    ),
    "vanished-unmissed": Bug(
        "blockdb/audit/states.py",
        "if not told.dropped and not is_present:",
        "if not told.dropped and not is_present and not told.name:",
        ("tests/database/test_lifecycle.py::test_a_collection_that_went_without_a_word_is_missed",),
        "An audit does not miss a collection that somebody took away.",
    ),
    "figures-of-long-ago": Bug(
        "blockdb/storage/attachment.py",
        "            if not isinstance(mark, str) and mark.written == known.end:\n",
        "            if not isinstance(mark, str):\n",
        ("tests/storage/test_parking.py::test_attachments_are_parked_too_and_see_what_is_new",),
        "Beside a writer, a parked collection tells what it held when it was parked.",
    ),
}
