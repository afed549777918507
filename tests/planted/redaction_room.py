"""Bugs of redaction: what is erased, in which order, and who still serves it."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

REDACTION_TESTS = "tests/storage/test_redaction.py"

REDACTION: Final[dict[str, Bug]] = {
    "salt-stays": Bug(
        "blockdb/format/record.py",
        'return leaf_of(body).ljust(len(body), b"\\0")',
        'return body[: len(leaf_of(body)) + SALT_BYTES].ljust(len(body), b"\\0")',
        (f"{REDACTION_TESTS}::test_a_short_value_cannot_be_guessed_from_what_remains",),
        "The salt is not erased, so that a short value can be found by trying.",
    ),
    "old-file-not-overwritten": Bug(
        "blockdb/storage/erasure.py",
        "    door.overwrite(path, pieces)\n",
        "",
        (f"{REDACTION_TESTS}::test_the_old_file_is_overwritten_before_it_goes",),
        "The old chain file is removed with the value in it.",
    ),
    "erased-before-it-is-told": Bug(
        "blockdb/storage/redactor.py",
        "        record_event(json.loads(state.event))\n",
        "",
        (f"{REDACTION_TESTS}::test_the_journal_tells_when_who_and_why",),
        "The journal does not tell of a redaction.",
    ),
    "event-not-forced": Bug(
        "blockdb/database/redaction.py",
        "                journal.force()",
        "                pass",
        (f"{REDACTION_TESTS}::test_an_event_that_is_there_is_forced_before_it_is_believed",),
        "An event that a killed process wrote is taken for one that the disk has.",
    ),
    "old-name-before-the-new-one": Bug(
        "blockdb/storage/erasure.py",
        "            keep_as(door, path, old_name(path))\n",
        "            keep_as(door, path, old_name(path))\n"
        "            destroy(door, old_name(path), [(0, bytes(door.disk_size(path)))])\n",
        (f"{REDACTION_TESTS}::test_what_failed_half_way_is_finished",),
        "The old file is overwritten while it is still the chain.",
    ),
    "cached-over-a-redaction": Bug(
        "blockdb/storage/redactor.py",
        "            reader.cache.clear()",
        "            pass",
        (f"{REDACTION_TESTS}::test_what_each_way_of_reading_says",),
        "The cache serves a value that was erased.",
    ),
    "attachment-does-not-look": Bug(
        "blockdb/storage/attachment.py",
        "if is_redactable and self._redactions.has_changed:",
        "if False:",
        (f"{REDACTION_TESTS}::test_an_attachment_serves_nothing_any_more",),
        "An attachment serves what it read before, also when it was erased.",
    ),
    "memory-remembers": Bug(
        "blockdb/lsm/memtable.py",
        "            self.index[key] = REDACTED",
        "            pass",
        (f"{REDACTION_TESTS}::test_what_each_way_of_reading_says",),
        "A memtable keeps the value.",
    ),
    "live-file-not-closed": Bug(
        "blockdb/storage/store.py",
        "            if place >> OFFSET_BITS == self._log.segment:\n                self._roll()",
        "            pass",
        (f"{REDACTION_TESTS}::test_any_order_of_calls",),
        "The chain file that is being written to is replaced under its writer.",
    ),
    "erased-by-hand": Bug(
        "blockdb/audit/redactions.py",
        "untold = [one for one in found if one[2:] not in told.get(collection_id, ())]",
        "untold = []",
        ("tests/audit/test_redactions.py",),
        "Nobody misses a value of which the journal does not say that it was redacted.",
    ),
    "salvaged-again": Bug(
        "blockdb/database/repairing/repair.py",
        "if value is not REDACTED and key not in redacted]",
        "if value is not REDACTED]",
        ("tests/database/test_repair_of_redacted.py::test_what_is_under_way_beyond_the_damage_is_not_salvaged",),
        "A repair saves the value of a record that was being redacted.",
    ),
}
