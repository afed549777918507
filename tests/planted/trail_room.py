"""Bugs of the audit log: who did what."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

FORMAT: Final = "tests/format/test_audit_log.py"
STORAGE: Final = "tests/storage/test_audit_log.py"
AUDIT: Final = "tests/audit/test_acts.py"
SERVER: Final = "tests/server/test_trail.py"

TRAIL: Final[dict[str, Bug]] = {
    "link": Bug(
        "blockdb/format/audit_log.py",
        "    if before != previous:",
        "    if not before:",
        (f"{FORMAT}::test_who_mends_the_check_breaks_the_link",),
        "An entry is taken that does not name the hash of the one before.",
    ),
    "text-of-any-length": Bug(
        "blockdb/format/audit_log.py",
        "if not 0 < len(payload) <= _USUAL_PAYLOAD_BYTES or len(act.key) > MAX_KEY_BYTES:",
        "if not payload:",
        (f"{FORMAT}::test_what_is_too_long_is_shortened_and_what_is_no_text_is_written_out",),
        "Whoever sends a long name fills the log with it.",
    ),
    "signed-not-forced": Bug(
        "blockdb/storage/audit_log.py",
        "self._log.force(end)\n                with",
        "with",
        (f"{STORAGE}::test_after_a_failed_force_nothing_is_written",),
        "What the disk may not have is signed: after a power cut, the log seems to have been cut.",
    ),
    "empty-file-not-counted": Bug(
        "blockdb/storage/audit_log.py",
        "return trust.place >= place_of(number, HEADER_BYTES) or len",
        "return len",
        (f"{STORAGE}::test_a_new_file_that_is_closed_without_an_entry_counts",),
        "A file that was begun and closed without an entry makes the log look damaged.",
    ),
    "old-head-forgotten": Bug(
        "blockdb/database/audit_log.py",
        "(self._signed(), self._journaled())",
        "(self._signed(),)",
        (f"{AUDIT}::test_a_log_that_is_put_back_as_a_whole_is_found_by_the_journal",),
        "A log that was put back is gone on with, and signed.",
    ),
    "head-not-compared": Bug(
        "blockdb/audit/acts.py",
        "if one.head.hash != self.position.previous:",
        "if not one.head.hash:",
        (f"{AUDIT}::test_a_log_that_was_forged_throughout_is_found_by_head_and_journal",),
        "An audit does not hold the log against its heads.",
    ),
    "unsigned-tail-of-a-closed-log": Bug(
        "blockdb/audit/acts.py",
        "and self.mark.clean and head.head.size < size:",
        "and self.mark.clean and head.head.size > size:",
        (f"{AUDIT}::test_a_log_that_was_forged_throughout_is_found_by_head_and_journal",),
        "Entries that somebody added to a log that was closed are taken for good.",
    ),
    "goes-on-unrecorded": Bug(
        "blockdb/server/trail.py",
        "if (self._owed or self._failure is not None) and",
        "if self._failure is not None and",
        (f"{SERVER}::test_what_cannot_be_entered_is_not_acknowledged_and_nothing_more_is_done",),
        "A server goes on writing while nothing can be entered in the audit log.",
    ),
    "strangers-not-told": Bug(
        "blockdb/server/service.py",
        "        except BlockDBError as error:\n            self.told(call, error, self.begin())",
        "        except BlockDBError:",
        (f"{SERVER}::test_no_value_no_secret_and_no_query_gets_into_the_log",),
        "Who is turned away at the door leaves no trace.",
    ),
    "commit-not-entered": Bug(
        "blockdb/server/trail.py",
        "or operation.name in _ENDING",
        "",
        (f"{SERVER}::test_changes_and_refusals_are_entered_and_reads_are_not",),
        "A commit, for which the right to read is enough, is taken for a read.",
    ),
}
