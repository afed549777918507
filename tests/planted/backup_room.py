"""Bugs of backups, of requests that come again, and of writes that wait for the disk together."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

BACKUPS = "tests/database/test_backup.py"
RESTORING = "tests/database/test_restoring.py"
ANCHORS = "tests/database/test_restore_anchors.py"
RETRIES = "tests/server/test_retrying.py"
KEYS = "tests/server/test_idempotency.py"
TOGETHER = "tests/server/test_gathering.py"

BACKUP: Final[dict[str, Bug]] = {
    "redaction-meanwhile-not-seen": Bug(
        "blockdb/database/backup/stream.py",
        "        self._snapshot.check()\n",
        "",
        (f"{BACKUPS}::test_a_redaction_meanwhile_is_told",),
        "A backup is half of before a redaction and half of after it.",
    ),
    "tables-not-held": Bug(
        "blockdb/database/backup/snapshot.py",
        "if is_busy and self._may_hold > 0:",
        "if is_busy and self._may_hold < 0:",
        (f"{BACKUPS}::test_files_that_are_merged_away_are_still_there",),
        "Tables that are merged away meanwhile are missing.",
    ),
    "digests-not-compared": Bug(
        "blockdb/database/backup/unpacking.py",
        "if (sums := self._list(archive.SUMS_PATH, entry)) != digests:",
        "if not (sums := self._list(archive.SUMS_PATH, entry)):",
        (f"{BACKUPS}::test_changed_bytes_are_told",),
        "Files that were changed in a backup are restored.",
    ),
    "size-not-limited": Bug(
        "blockdb/database/backup/unpacking.py",
        "if entry.size > self._left:",
        "if entry.size < 0:",
        (f"{BACKUPS}::test_what_is_no_backup_is_refused",),
        "A stream fills the disk beyond what it announces.",
    ),
    "half-a-transaction": Bug(
        "blockdb/database/backup/point.py",
        "        self._keep_transactions_whole()\n",
        "",
        (f"{RESTORING}::test_of_a_transaction_there_is_all_or_nothing",),
        "A moment has one half of a transaction where the clock said that the other came later.",
    ),
    "half-a-batch": Bug(
        "blockdb/database/backup/scanning.py",
        "(self.records is not None and records > self.records)",
        "(self.records is not None and records - commit.records >= self.records)",
        (f"{RESTORING}::test_a_block_or_a_record_cuts_its_collection_and_the_others_at_its_time",),
        "What came after a record is there because it was stored at once with it.",
    ),
    "redacted-comes-back": Bug(
        "blockdb/database/backup/increments.py",
        "if name in older.logs and path.exists() and is_same(name, piece, path):",
        "if name in older.logs and path.exists():",
        (f"{RESTORING}::test_what_was_redacted_in_a_file_that_was_full_does_not_come_back",),
        "A chain file is taken for the same because it has the same name, and has a value that was erased since.",
    ),
    "redaction-not-told": Bug(
        "blockdb/database/backup/point.py",
        "        self._keep_redacted(collection_id, one, told.redactions_later[collection_id])\n",
        "",
        (f"{RESTORING}::test_what_was_redacted_does_not_come_back",),
        "Values are gone, and nobody will ever tell that they were redacted.",
    ),
    "dropped-comes-back": Bug(
        "blockdb/database/backup/going_on.py",
        "        if directory.name not in ids:",
        "        if not ids:",
        (f"{RESTORING}::test_a_collection_that_was_dropped_later_is_not_made_up",),
        "The files of a collection that was dropped between two backups are restored.",
    ),
    "parent-by-name-alone": Bug(
        "blockdb/database/backup/linking.py",
        "        if newer.parent_digest != older.digest():",
        "        if newer.parent_digest is None:",
        (f"{RESTORING}::test_a_parent_is_known_by_its_hash",),
        "A backup goes on from another one that says that it has the same id.",
    ),
    "older-accepted": Bug(
        "blockdb/database/backup/holding.py",
        "    if not accept_older:",
        "    if accept_older is None:",
        (f"{ANCHORS}::test_an_anchor_that_is_newer_needs_a_word",),
        "What an anchor is newer than is restored without a word.",
    ),
    "later-keys-kept": Bug(
        "blockdb/database/backup/point.py",
        "        kept = [key for key in known if key not in told.keys_later] or known[:1]",
        "        kept = known",
        (f"{RESTORING}::test_keys_are_those_of_then",),
        "A key is on the list that nobody had handed over to yet.",
    ),
    "any-path-taken": Bug(
        "blockdb/format/archive.py",
        "if not _PATH.fullmatch(entry.path):",
        "if not _PATH.match(entry.path):",
        ("tests/format/test_archive.py::test_no_other_path_is_taken",),
        "A path is good if it begins well.",
    ),
}

RETRYING: Final[dict[str, Bug]] = {
    "answer-to-another": Bug(
        "blockdb/server/idempotency.py",
        "return self._digests.of(owner.encode(), key.encode()),",
        "return self._digests.of(key.encode()),",
        (f"{KEYS}::test_the_first_answer_is_given_again_and_to_nobody_else",),
        "Who gives another principal's key gets that one's answer.",
    ),
    "values-not-compared": Bug(
        "blockdb/server/retrying.py",
        "(items is not None and not _has_values(collection, run, items))",
        "(items is not None and not run)",
        (f"{RETRIES}::test_what_somebody_else_stored_is_not_taken_for_it",),
        "Another value under the same key is taken for what was to be stored.",
    ),
    "intent-after-the-deed": Bug(
        "blockdb/server/idempotency.py",
        "            self.intend([(entry, about())])\n        return execute()",
        "            answer = execute()\n            self.intend([(entry, about())])\n            return answer\n"
        "        return execute()",
        (f"{RETRIES}::test_also_where_the_server_was_killed_before_it_could_answer",),
        "The intent is noted once it was carried out.",
    ),
    "group-keeps-retries-waiting": Bug(
        "blockdb/server/gathering.py",
        "        finally:\n            if keyed is not None:\n                keyed.end(answers)",
        "        finally:\n            pass\n        if keyed is not None:\n            keyed.end(answers)",
        (f"{TOGETHER}::test_a_crash_in_the_middle_keeps_nobody_waiting",),
        "Who asks again for what a group was about to store when it crashed waits for ever.",
    ),
    "group-ignores-the-log-of-intents": Bug(
        "blockdb/server/idempotency.py",
        "        if name in self._earlier:\n            return None\n",
        "",
        (f"{TOGETHER}::test_what_comes_again_gets_its_first_answer",),
        "What an earlier process has stored is not looked up where requests are gathered.",
    ),
    "group-waits-for-a-transaction": Bug(
        "blockdb/storage/writer.py",
        "return None if isinstance(outcome, (Held, Unprepared)) else outcome",
        "return outcome",
        (f"{TOGETHER}::test_what_has_to_wait_for_others_goes_alone",),
        "What has to wait for a transaction is answered with what nobody knows.",
    ),
}
