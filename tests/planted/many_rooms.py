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
}
