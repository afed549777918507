"""Bugs of what guards a database from outside: witnesses, and anchors."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

ASKED = "tests/witness/test_witness.py"
CLIENT = "tests/witness/test_client.py"
ANCHORED = "tests/database/test_anchors.py"

WITNESS: Final[dict[str, Bug]] = {
    "race": Bug(
        "blockdb/witness/witness.py",
        "with self._locks.setdefault(origin, Lock()):",
        "with Lock():",
        (f"{ASKED}::test_of_two_histories_at_the_same_time_one_is_cosigned",),
        "Two histories that come at the same time are both cosigned.",
    ),
    "not-kept": Bug(
        "blockdb/witness/witness.py",
        "self._store(new.origin, Note(note.text, (*note.signatures, cosignature)).encode())",
        "pass",
        (f"{ASKED}::test_what_extends_is_cosigned_and_kept",),
        "What was cosigned is forgotten.",
    ),
    "consistency-not-checked": Bug(
        "blockdb/witness/witness.py",
        "check_consistency(last.size, new.size, last.root, new.root, submission.proof)",
        "_ = last.root, submission.proof",
        (f"{ASKED}::test_what_does_not_is_refused",),
        "A proof that proves nothing is taken.",
    ),
    "another-tree-of-that-size": Bug(
        "blockdb/witness/witness.py",
        "(new.size == last.size and new.root != last.root)",
        "new.size < last.size",
        (f"{ASKED}::test_what_does_not_is_refused",),
        "Another tree of the same size is no conflict.",
    ),
    "signature-not-checked": Bug(
        "blockdb/witness/witness.py",
        'return Answer(403, f"{error}\\n")',
        "note = submission.note",
        (f"{ASKED}::test_what_does_not_is_refused",),
        "Anybody may sign for a log.",
    ),
    "state-not-checked": Bug(
        "blockdb/witness/witness.py",
        "if checkpoint.origin != origin or not seen_by(parsed.text, parsed.signatures, [self.key]):",
        "if checkpoint.origin != origin:",
        (f"{ASKED}::test_a_state_that_was_changed_is_not_built_upon",),
        "A state that somebody else wrote is believed.",
    ),
    "failed-write-forgotten": Bug(
        "blockdb/witness/witness.py",
        "if self._stopped is not None:",
        "if self._stopped is not None and not origin:",
        (f"{ASKED}::test_nothing_is_signed_that_may_not_be_on_the_disk",),
        "After a write that failed it goes on as if nothing had been.",
    ),
    "endless-body": Bug(
        "blockdb/witness/application.py",
        "if len(body) > MAX_BODY_BYTES:",
        "if len(body) < 0:",
        (f"{ASKED}::test_the_application",),
        "A request may be of any size.",
    ),
    "cosignature-not-checked": Bug(
        "blockdb/witness/client.py",
        "if seen_by(note.text, [signature], [self.key]):",
        "if signature.data:",
        (f"{CLIENT}::test_who_does_not_keep_to_the_protocol_is_told",),
        "Anybody's signature passes for the witness's.",
    ),
}

ANCHORS: Final[dict[str, Bug]] = {
    "fork-appended": Bug(
        "blockdb/database/proofs/anchors.py",
        "what = None if last is None else fault(last)",
        "what = None",
        (f"{ANCHORED}::test_an_older_copy_is_refused_by_its_anchors",),
        "A file anchor takes two histories.",
    ),
    "inside": Bug(
        "blockdb/database/proofs/anchors.py",
        "if path.is_relative_to(root.resolve()):",
        "if path == root.resolve():",
        (f"{ANCHORED}::test_the_list_of_anchors",),
        "A file anchor may lie in the directory that it is to guard.",
    ),
    "torn-end-kept": Bug(
        "blockdb/database/proofs/anchors.py",
        "if self._door.size(self._path) > good_bytes:",
        "if self._door.size(self._path) < good_bytes:",
        (f"{ANCHORED}::test_what_was_not_written_to_its_end_is_cut_off",),
        "A note is appended to half of another.",
    ),
    "root-not-compared": Bug(
        "blockdb/database/proofs/trail.py",
        "if self._prover.root_at(checkpoint.size) != checkpoint.root:",
        "if not checkpoint.root:",
        (f"{ANCHORED}::test_a_changed_history_is_found_and_placed",),
        "A history that was rewritten passes, as long as it is as long.",
    ),
    "collections-not-compared": Bug(
        "blockdb/database/proofs/trail.py",
        "self._lost(uuid, state) for uuid, state in self._state(checkpoint).items()",
        "self._lost(uuid, state) for uuid, state in {}.items()",
        (f"{ANCHORED}::test_a_changed_history_is_found_and_placed",),
        "Under a journal that is left alone, records can be exchanged.",
    ),
    "named-anchors-not-asked": Bug(
        "blockdb/database/anchoring.py",
        "*(self._known(anchor, listed) for anchor in further)",
        "*()",
        (f"{ANCHORED}::test_verify_asks_the_anchors",),
        "Only the anchors on the directory's own list are asked.",
    ),
}
