"""Bugs of what is proven: receipts, checkpoints, the nodes that are kept for them."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

FORGERIES: Final = ("tests/ledger/test_forgeries.py",)
PROOFS: Final = "tests/database/test_proofs.py::"

PROVING: Final[dict[str, Bug]] = {
    "too-long-a-path": Bug(
        "blockdb/ledger/proof.py",
        'if sn == 0:\n            raise BadProof("the inclusion proof is too long")',
        "if sn == 0:\n            break",
        FORGERIES,
        "Hashes after the root are passed over: one receipt has many spellings.",
    ),
    "neighbour-inside": Bug(
        "blockdb/ledger/range_receipt.py",
        "if self.before is not None and self.before.key >= start:",
        "if self.before is not None and self.before.key > start:",
        ("tests/ledger/test_mutations.py::test_changed_receipts_are_refused", *FORGERIES),
        "The neighbour before a range may be its first key, whose record is not shown then.",
    ),
    "no-neighbour-after": Bug(
        "blockdb/ledger/range_receipt.py",
        "if self.after is None and last != size:",
        "if self.after is None and last > size:",
        FORGERIES,
        "Records at the end of a range can be left out.",
    ),
    "neighbour-after-inside": Bug(
        "blockdb/ledger/range_receipt.py",
        "if self.after is not None and (end is None or self.after.key < end):",
        "if self.after is not None and end is None:",
        FORGERIES,
        "The neighbour after a range may be its last key, whose record is not shown then.",
    ),
    "no-neighbour-before": Bug(
        "blockdb/ledger/range_receipt.py",
        "if self.before is None and self.index:",
        "if self.before is None and self.index > size:",
        FORGERIES,
        "Records at the beginning of a range can be left out.",
    ),
    "state-from-anywhere": Bug(
        "blockdb/ledger/range_receipt.py",
        "if not checked.origin.endswith(JOURNAL):",
        "if not checked.origin:",
        FORGERIES,
        "Whoever may write a record writes the state of a collection.",
    ),
    "state-in-two-spellings": Bug(
        "blockdb/ledger/state.py",
        "is_canonical = encode_event(event) == value",
        "is_canonical = bool(encode_event(event))",
        FORGERIES,
        "A member that is there twice is read in one way here and in another elsewhere.",
    ),
    "base64-of-many-spellings": Bug(
        "blockdb/ledger/note.py",
        "if encode_base64(data) != text:",
        "if not text:",
        FORGERIES,
        "Bits that mean nothing can be set in a receipt.",
    ),
    "any-name": Bug(
        "blockdb/ledger/note.py",
        'return origin == self.name or origin.startswith(self.name + "/")',
        "return origin.startswith(self.name)",
        FORGERIES,
        "A key speaks for a database whose name only begins like its own.",
    ),
    "signed-and-not-forced": Bug(
        "blockdb/database/proofs/notary.py",
        "reader.force()  # what the journal says of it will be on the disk",
        "pass",
        (PROOFS + "test_what_the_journal_says_is_on_the_disk_before",),
        "The journal names records that a power cut takes away.",
    ),
    "old-key-goes-on": Bug(
        "blockdb/database/proofs/notary.py",
        "prover.forget_key()",
        "pass",
        (PROOFS + "test_after_a_change_of_keys_all_is_signed_with_the_key_that_is_given_to_others",),
        "After a change of keys receipts are signed with the key that nobody is given any more.",
    ),
    "believed-nodes": Bug(
        "blockdb/storage/tree.py",
        "level, node = level + 1, node_hash(waiting.pop(level), node)",
        "level, node = level + 1, node_hash(node, waiting.pop(level))",
        ("tests/storage/test_tree.py",),
        "The two sides of a kept node change places.",
    ),
    "rolled-back-and-signing": Bug(
        "blockdb/database/proofs/prover.py",
        "if last.size > history.records_count:\n                what",
        "if not last.size:\n                what",
        ("tests/database/test_forged_databases.py::test_a_collection_that_was_rolled_back_signs_nothing",),
        "A collection that lost its end goes on as if nothing had been signed.",
    ),
    "range-of-other-records": Bug(
        "blockdb/database/proofs/range_prover.py",
        "if body is None or body.leaf_hash != tree.record_leaf(position):",
        "if body is None:",
        ("tests/database/test_forged_databases.py::test_a_record_that_is_changed_under_an_open_handle_is_in_no_proof",),
        "A range is given away with a record that was changed since its tree was made.",
    ),
}
