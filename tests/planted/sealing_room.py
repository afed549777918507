"""Bugs of encryption: what is sealed, what it is bound to, and who can open it."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

PIECES = "tests/format/test_sealed.py::test_a_piece_opens_in_its_place_alone"
DATABASES = "tests/database/test_encryption.py"

SEALING: Final[dict[str, Bug]] = {
    "pieces-not-chained": Bug(
        "blockdb/format/sealed.py",
        "return self._head + _NUMBER.pack(self.offset) + self._tag",
        "return self._head + _NUMBER.pack(self.offset)",
        (PIECES,),
        "A piece of the log can be put in from an older copy.",
    ),
    "pages-bound-to-nothing": Bug(
        "blockdb/format/sealed.py",
        "return aead_open(sealed, self._head, self._file_id + _NUMBER.pack(number), self._key)",
        "return aead_open(sealed, self._head, self._file_id + _NUMBER.pack(0), self._key)",
        ("tests/format/test_sealed.py::test_what_was_sealed_is_opened",),
        "All pages of a file are opened as its first one.",
    ),
    "tables-in-plain": Bug(
        "blockdb/format/sealed.py",
        '".sst": Kind.TABLE, ',
        '".ssx": Kind.TABLE, ',
        ("tests/format/test_sealed.py::test_files_are_bound_by_their_names",),
        "Tables, which tell which keys there are, are not sealed.",
    ),
    "torn-piece-kept": Bug(
        "blockdb/storage/sealed_log.py",
        "self._torn = int(pieces.at < len(buffer))",
        "self._torn = 0",
        ("tests/fault/test_power_cut.py::test_a_crash_at_any_operation[encrypted]",),
        "What a write that was cut short left behind stays in the log, and what is appended after it is lost.",
    ),
    "wrong-key-not-told": Bug(
        "blockdb/database/encryption.py",
        "if master_id(master) != wrapping.master_id:",
        "if not master:",
        (f"{DATABASES}::test_without_the_right_key_nothing_happens",),
        "A wrong master key is told as damage.",
    ),
    "contradiction-not-told": Bug(
        "blockdb/database/encryption.py",
        "config.encryption_enabled is not None and config.encryption_enabled != is_encrypted",
        "config.encryption_enabled is not None and config.encryption_enabled > is_encrypted",
        (f"{DATABASES}::test_a_setting_that_contradicts_the_database_is_refused",),
        "Who wants no encryption is not told that there is.",
    ),
    "salvaged-in-plain": Bug(
        "blockdb/format/sealed.py",
        '{"salvaged.jsonl": Kind.SALVAGED',
        '{"salvaged.json": Kind.SALVAGED',
        (f"{DATABASES}::test_the_chain_is_kept_up_to_the_damage_and_what_is_salvaged_is_sealed",),
        "A repair writes records of an encrypted database to a plain file.",
    ),
    "packed-copy-kept-in-memory": Bug(
        "blockdb/storage/attachment.py",
        "        self.chain.follow_packing()\n",
        "",
        (f"{DATABASES}::test_an_attachment_lets_go_of_what_was_packed",),
        "An attachment keeps every chain file that it ever read in memory.",
    ),
}
