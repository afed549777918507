"""Bugs that the tests do not find yet. Whoever adds the test moves the bug to those of its room."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

GAPS: Final[dict[str, Bug]] = {
    "forced-too-much": Bug(
        "blockdb/storage/log.py",
        "self._set_forced(target)",
        "self._set_forced(self.end)",
        ("tests/storage/test_log.py",),
        "A force vouches for what was written while it went on.",
    ),
    "same-key-in-a-group": Bug(
        "blockdb/storage/store.py",
        "if write.key in fresh or self.view.has(write.key):",
        "if self.view.has(write.key):",
        ("tests/storage/test_write_group.py",),
        "Of two writers with one key that wait together, both are told that they succeeded.",
    ),
    "closed-log-shorter": Bug(
        "blockdb/storage/recovery.py",
        "if trust.end is not None and (state.torn_bytes or not is_end(state.end, trust.end)):",
        "if trust.end is not None and state.torn_bytes:",
        ("tests/storage/test_recovery.py",),
        "A log that was closed may end elsewhere than it did.",
    ),
    "frozen-with-seals-waiting": Bug(
        "blockdb/storage/store.py",
        "if self._seals.is_waiting or not len(self._active):",
        "if not len(self._active):",
        ("tests/storage/test_flushing.py",),
        "A memtable is frozen while a seal of its records is not in the log.",
    ),
    "unforced-under-tables": Bug(
        "blockdb/storage/upkeep.py",
        "self._log.force(frozen.end_place)\n",
        "\n",
        ("tests/storage/test_flushing.py",),
        "A table points at records that are not forced.",
    ),
    "last-table-missing": Bug(
        "blockdb/storage/reader.py",
        "if covered != manifest.flushed_sequence:",
        "if covered > manifest.flushed_sequence:",
        ("tests/storage/test_recovery.py",),
        "The manifest may lack the newest of its tables.",
    ),
    "memory-not-verified": Bug(
        "blockdb/storage/reader.py",
        "same = self.chain.item_at(place) == (key, value)",
        "same = self.chain.item_at(place)[0] == key",
        ("tests/database/test_reading.py",),
        "Verification does not compare the values in memory with the chain.",
    ),
    "repeated-in-a-batch": Bug(
        "blockdb/storage/store.py",
        "if len(distinct) < len(keys):",
        "if len(distinct) < len(keys) - 1:",
        ("tests/database/test_writing.py",),
        "A key that is twice in a batch is let through.",
    ),
    "audit-of-the-replay-point": Bug(
        "blockdb/audit/auditor.py",
        'if sealed != replay["sequence"] or not before < replay["place"] <= at:',
        'if sealed != replay["sequence"]:',
        ("tests/audit/test_forgery.py",),
        "The manifest's replay point may lie elsewhere.",
    ),
    "seal-lost": Bug(
        "blockdb/storage/seals.py",
        "seal = self._waiting[0]",
        "seal = self._waiting[0]\n            self._waiting = deque([seal])",
        ("tests/storage/test_flushing.py",),
        "Of several seals that wait for room in the log, one is written.",
    ),
    "interval-in-seconds": Bug(
        "blockdb/storage/upkeep.py",
        "(config.wal_sync_interval or 1000) / 1000",
        "(config.wal_sync_interval or 1000)",
        ("tests/storage/test_flushing.py",),
        "The log is forced a thousand times less often than it was asked for.",
    ),
    "table-of-another-collection": Bug(
        "blockdb/storage/reader.py",
        "if (table.header.number, table.header.collection) != (number, self.metadata.uuid):",
        "if table.header.number != number:",
        ("tests/storage/test_recovery.py",),
        "A table of another collection is taken for one's own.",
    ),
    "filter-that-does-not-cover": Bug(
        "blockdb/storage/view.py",
        "covers = filter_ is not None and filter_.records >= self.table_records",
        "covers = filter_ is not None",
        ("tests/storage/test_view.py", "tests/lsm/test_key_filter.py"),
        "The filter over all tables is asked also where a table came that it does not have.",
    ),
    "seals-of-frozen-memtables": Bug(
        "blockdb/storage/view.py",
        "for memtable in self.memtables:\n            ordinal = number - memtable.first_block",
        "for memtable in self.memtables[:1]:\n            ordinal = number - memtable.first_block",
        ("tests/storage/test_flushing.py",),
        "A block whose seal is in a memtable that is being flushed is not found.",
    ),
    "audit-of-hashes-in-bulk": Bug(
        "blockdb/audit/lookups.py",
        "while found != wanted:",
        "while (found ^ wanted) % (1 << 48):",
        ("tests/audit/test_forgery.py::test_a_table_that_leads_astray_is_found",),
        "The quick half of the audit passes a word that has the hash of another key.",
    ),
    "audit-of-the-packed-digest": Bug(
        "blockdb/audit/files.py",
        "data = packed.unpack(buffer)",
        "data = packed.salvage(buffer)",
        ("tests/audit/test_bulk.py",),
        "The digest over the chunks of a packed chain file is not part of the audit.",
    ),
}
