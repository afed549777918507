"""Bugs of the log of consensus on the disk, and of transactions on several nodes."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

HOLDING: Final = "tests/cluster/test_disk_log.py"
FAULTS: Final = "tests/cluster/test_disk_log_faults.py"
TRANSACTIONS: Final = "tests/cluster/test_replicated_transactions.py"

DISK_LOG: Final[dict[str, Bug]] = {
    "damage-is-cut": Bug(
        "blockdb/cluster/consensus/loading.py",
        "if found.damage is None and found.end < self._trust.place:",
        "if found.damage is None and found.end < 0:",
        (f"{HOLDING}::test_every_file_that_is_cut_or_gone",),
        "Acknowledged entries at the end that were damaged are forgotten, and nobody is told.",
    ),
    "later-force-not-seen": Bug(
        "blockdb/cluster/consensus/loading.py",
        "and vouched(data, error.offset, header.base) <= place",
        "",
        (f"{HOLDING}::test_after_a_power_cut_a_later_force_tells_of_damage",),
        "After a power cut, damage is taken for what was not forced, and cut off with all after it.",
    ),
    "mended-by-a-restart": Bug(
        "blockdb/cluster/consensus/disk.py",
        "            papers.save_damage(self._door, self._files, first)\n            set_aside(",
        "            set_aside(",
        (f"{HOLDING}::test_damage_is_set_aside_until_it_is_mended",),
        "A node that lost entries votes again once it was restarted.",
    ),
    "vote-kept-once": Bug(
        "blockdb/cluster/consensus/disk.py",
        "if state != self._saved:",
        "if state == self._saved:",
        (f"{HOLDING}::test_every_byte_that_is_flipped[plain-False-97]",),
        "A damaged byte makes a node forget for whom it voted.",
    ),
    "replaced-entries-stay": Bug(
        "blockdb/cluster/consensus/places.py",
        "self.cut(index) if index in self else",
        "",
        (f"{HOLDING}::test_it_holds_what_a_list_would",),
        "Entries before those that are replaced are forgotten too.",
    ),
    "needed-file-removed": Bug(
        "blockdb/cluster/consensus/disk.py",
        'needed, key=attrgetter("base")) - 1',
        'needed, key=attrgetter("base"))',
        (f"{HOLDING}::test_it_holds_what_a_list_would", f"{HOLDING}::test_whole_files_go_when_they_are_not_needed"),
        "A compaction removes a file in which there are newer entries.",
    ),
}

SEVERAL_NODES: Final[dict[str, Bug]] = {
    "phantom-not-seen": Bug(
        "blockdb/database/transactions/reads.py",
        "return any(map(self._has, keys)) or any(self._has_in(Range(*edges)) for edges in ranges)",
        "return any(map(self._has, keys))",
        (f"{TRANSACTIONS}::test_a_phantom_is_refused",),
        "A transaction commits though another node has stored something in a range that it looked through.",
    ),
    "absent-key-forgotten": Bug(
        "blockdb/database/transactions/transaction.py",
        "part.reads.add_absent(key, records)\n            self._locks.check(self._holder)\n            return value",
        "pass\n            self._locks.check(self._holder)\n            return value",
        (f"{TRANSACTIONS}::test_write_skew_is_refused",),
        "Two transactions on two nodes each miss what the other one stores.",
    ),
    "reading-is-not-looked-at": Bug(
        "blockdb/cluster/database/front.py",
        "            if commit.reads:\n",
        "            if commit.parts:\n",
        (f"{TRANSACTIONS}::test_one_that_only_reads_sees_one_moment",),
        "A transaction that only reads sees half of what another one stored.",
    ),
    "reads-in-the-name": Bug(
        "blockdb/cluster/machine/commands.py",
        "return _encoder.encode(content.parts)",
        "return encoded",
        (f"{TRANSACTIONS}::test_the_same_request_on_another_node_gets_the_same_answer",),
        "A commit that is asked for again is taken for another one, since it has read at another moment.",
    ),
}
