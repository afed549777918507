"""Bugs of backups, of requests that come again, and of writes that wait for the disk together."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

BACKUPS = "tests/database/test_backup.py"
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
        "blockdb/database/backup/restore.py",
        "if self._list(archive.SUMS_PATH, entry) != digests:",
        "if not self._list(archive.SUMS_PATH, entry) or not digests:",
        (f"{BACKUPS}::test_changed_bytes_are_told",),
        "Files that were changed in a backup are restored.",
    ),
    "size-not-limited": Bug(
        "blockdb/database/backup/restore.py",
        "if entry.size > self._left:",
        "if entry.size < 0:",
        (f"{BACKUPS}::test_what_is_no_backup_is_refused",),
        "A stream fills the disk beyond what it announces.",
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
        "name = self._digests.of(owner.encode(), key.encode())",
        "name = self._digests.of(key.encode())",
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
        "            self._remember(name, entry, about())\n        return execute()",
        "            answer = execute()\n            self._remember(name, entry, about())\n            return answer\n"
        "        return execute()",
        (f"{RETRIES}::test_also_where_the_server_was_killed_before_it_could_answer",),
        "The intent is noted once it was carried out.",
    ),
    "group-waits-for-a-transaction": Bug(
        "blockdb/storage/writer.py",
        "    if isinstance(write.error, (Held, Unprepared)):\n        return None\n",
        "",
        (f"{TOGETHER}::test_what_has_to_wait_for_others_goes_alone",),
        "What has to wait for a transaction is answered with what nobody knows.",
    ),
}
