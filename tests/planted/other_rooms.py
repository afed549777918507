"""Bugs of the rooms above and beside storage: audit, database, settings, commands."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

FORGERY = "tests/audit/test_forgery.py"
BULK = "tests/audit/test_bulk.py"
COLUMNS = "tests/audit/test_columns.py"
ROWS = "tests/audit/test_rows.py"
NAMED = "tests/audit/test_audit.py"

AUDIT: Final[dict[str, Bug]] = {
    "table-not-asked": Bug(
        "blockdb/audit/chain.py",
        "table.see_record(key, place, sequence, self._block_of)",
        "pass",
        (f"{FORGERY}::test_a_record_that_no_lookup_comes_to_is_named",),
        "No table is asked for the records that it should lead to.",
    ),
    "root-not-compared": Bug(
        "blockdb/audit/chain.py",
        "self._astray = header.root != root",
        "self._astray = not header.root",
        (f"{FORGERY}::test_a_sealed_value_that_was_changed_is_found_in_its_block",),
        "A block's root is not held against the leaves of its records.",
    ),
    "link-not-compared": Bug(
        "blockdb/audit/chain.py",
        "head = whole.blocks.head\n",
        "head = type(whole.blocks.head)(whole.blocks.head.next_number, seal.header.previous_hash)\n",
        (f"{FORGERY}::test_a_block_of_another_history_does_not_fit",),
        "A block is not held against the one before it.",
    ),
    "told-not-compared": Bug(
        "blockdb/audit/chain.py",
        "if told == found:",
        "if told:",
        (f"{FORGERY}::test_what_stands_beside_the_header_is_recomputed_too",),
        "Sizes, times and places in a seal are not held against its records.",
    ),
    "filter-not-asked": Bug(
        "blockdb/audit/tables.py",
        "elif hashed not in self.bloom:",
        "elif not hashed:",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "A filter that denies a record passes.",
    ),
    "order-not-compared": Bug(
        "blockdb/audit/tables.py",
        "if key <= previous:",
        "if not key:",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "The key order of a table is not looked at.",
    ),
    "size-not-compared": Bug(
        "blockdb/audit/collection.py",
        "if mark.clean and not at_end:",
        "if not mark:",
        ("tests/fault/test_bytes.py::test_extended",),
        "A chain that was closed may have another size since.",
    ),
    "bulk-key-twice": Bug(
        "blockdb/audit/lookups.py",
        "if len(fresh) != len(keys) or not fresh.isdisjoint(self.keys):",
        "if not fresh.isdisjoint(self.keys):",
        (f"{FORGERY}::test_a_key_that_is_in_no_table_twice_is_found",),
        "A key may stand twice among the records that no table has.",
    ),
    "bulk-root-not-compared": Bug(
        "blockdb/audit/stretch.py",
        "if told != found or header.root != self.frontier.root():",
        "if told != found:",
        (f"{FORGERY}::test_a_sealed_value_that_was_changed_is_found_in_its_block",),
        "The quick half of the audit does not compare the roots of blocks, and leaves no doubt.",
    ),
    "bulk-told-not-compared": Bug(
        "blockdb/audit/stretch.py",
        "if told != found or header.root != self.frontier.root():",
        "if header.root != self.frontier.root():",
        (f"{FORGERY}::test_what_stands_beside_the_header_is_recomputed_too",),
        "The quick half of the audit does not compare what seals tell beside the root.",
    ),
    "bulk-signature-not-verified": Bug(
        "blockdb/audit/stretch.py",
        "if check_seal(seal, self.head, self._chain.collection, self._chain.public_keys) is not None:",
        "if not seal:",
        (f"{FORGERY}::test_a_seal_of_a_stranger_is_found",),
        "The quick half of the audit looks at no signature and no link.",
    ),
    "bulk-stretches-not-joined": Bug(
        "blockdb/audit/stretch.py",
        "if stretch.anchor is not None and not blocks.is_at(",
        "if stretch.anchor is not None and stretch.anchor < 0 and not blocks.is_at(",
        (f"{FORGERY}::test_a_block_of_another_history_does_not_fit",),
        "What a stretch of the chain took for granted is not held against the one before it.",
    ),
    "bulk-check-of-some": Bug(
        "blockdb/audit/frames.py",
        'if not are_intact(np.frombuffer(b"".join(checks), ">u4"), bodies):',
        "if not bodies:",
        (f"{ROWS}::test_each_changed_byte_leaves_a_doubt",),
        "The quick half of the audit does not compare the checks of records.",
    ),
    "bulk-check-of-a-run": Bug(
        "blockdb/audit/frames.py",
        "if not are_intact(rows.checks, rows.bodies):",
        "if not rows.bodies:",
        (f"{ROWS}::test_each_changed_byte_leaves_a_doubt",),
        "The quick half of the audit does not compare the checks of records that are taken together.",
    ),
    "bulk-first-byte-of-checks": Bug(
        "blockdb/format/gather.py",
        "return bool((halves[::2] == checks.view(np.uint32)).all())",
        "return bool((halves[::2] << 8 == checks.view(np.uint32) << 8).all())",
        (ROWS,),
        "The quick half of the audit compares three bytes of four.",
    ),
    "rows-not-led-to": Bug(
        "blockdb/audit/rows.py",
        "good[1:] &= ends[:-1] == starts[1:]",
        "good[1:] &= ends[:-1] <= starts[1:]",
        (ROWS,),
        "Where records begin is guessed, and a gap between two of them passes.",
    ),
    "rows-believed": Bug(
        "blockdb/audit/rows.py",
        "good[1:] &= ends[:-1] == starts[1:]",
        "good[1:] &= ends[:-1] >= starts[1:]",
        (ROWS,),
        "Where records begin is guessed, and one within the value of another passes.",
    ),
    "rows-cut-short": Bug(
        "blockdb/audit/rows.py",
        "good &= ends <= len(data)",
        "good &= starts <= len(data)",
        (ROWS,),
        "The last of the records whose places are guessed may end behind the bytes.",
    ),
    "rows-of-any-kind": Bug(
        "blockdb/audit/rows.py",
        'good = heads["kind"] == PLAIN_RECORD\n    good &= heads["key"] > 0',
        'good = heads["key"] > 0',
        (ROWS,),
        "What is no plain record is taken for one, where somebody guessed that it is.",
    ),
    "rows-alike-by-keys": Bug(
        "blockdb/audit/rows.py",
        'good &= heads["key"] == key_bytes',
        'good &= heads["key"] > 0',
        (ROWS,),
        "Records whose keys differ in size are taken for alike.",
    ),
    "rows-alike-by-contents": Bug(
        "blockdb/audit/rows.py",
        'good &= heads["content"] == content_bytes',
        'good &= heads["content"] >= 0',
        (ROWS,),
        "Records whose values differ in size are taken for alike.",
    ),
    "bulk-filter-not-asked": Bug(
        "blockdb/audit/lookups.py",
        "if not self._filter.has(hashes):",
        "if not len(hashes):",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "The quick half of the audit passes a filter that denies a record.",
    ),
    "bulk-filter-asked-once": Bug(
        "blockdb/audit/columns.py",
        "parts = range(0, len(hashes), ASKED_HASHES)",
        "parts = range(0, min(len(hashes), 1), ASKED_HASHES)",
        (COLUMNS,),
        "The quick half of the audit asks a filter for the first of many records.",
    ),
    "bulk-slots-not-counted": Bug(
        "blockdb/audit/bulk.py",
        "if used != [table.header.records for table in self._tables]:",
        "if len(used) != len(self._tables):",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "The quick half of the audit passes a table that leads to more than the chain has.",
    ),
    "bulk-seals-not-compared": Bug(
        "blockdb/audit/bulk.py",
        "if table.seals != places[first:stop]:",
        "if not table.seals:",
        (f"{FORGERY}::test_a_seal_that_the_wrong_table_names_is_found",),
        "The quick half of the audit does not look which table says where a seal is.",
    ),
    "bulk-halt-ahead": Bug(
        "blockdb/audit/bulk.py",
        "if closed < whole.block_count:",
        "if not whole.block_count:",
        (f"{BULK}::test_a_record_that_someone_changed_is_found_in_its_block",),
        "The look that is closer begins with blocks closed whose seals are still to come.",
    ),
    "bulk-order-not-compared": Bug(
        "blockdb/audit/order.py",
        "if len(alike) and not all(map(lt, ",
        "if len(alike) and not all(map(lambda one, other: one != other, ",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "The quick half of the audit does not compare keys that begin alike.",
    ),
    "bulk-two-tables": Bug(
        "blockdb/audit/order.py",
        "if len(set(keys)) != len(keys):",
        "if not keys:",
        (f"{FORGERY}::test_a_key_that_is_in_two_tables_is_found",),
        "The quick half of the audit passes a key that two tables have.",
    ),
    "bulk-end-not-reached": Bug(
        "blockdb/audit/frames.py",
        "if at != stop:\n        raise Doubt",
        "if at < stop:\n        raise Doubt",
        (f"{BULK}::test_frames_that_reach_beyond_the_end_leave_a_doubt",),
        "The quick half of the audit passes a chain that ends inside a frame.",
    ),
    "bulk-batch-not-counted": Bug(
        "blockdb/audit/frames.py",
        "if records != announced.records:",
        "if not records:",
        (f"{FORGERY}::test_a_batch_that_announces_another_number_of_records_is_found",),
        "The quick half of the audit does not count the records of batches.",
    ),
    "replay-point": Bug(
        "blockdb/audit/collection.py",
        'if sealed != replay["sequence"] or not before < replay["place"] <= at:',
        'if sealed != replay["sequence"]:',
        ("tests/audit/test_forgery.py",),
        "The manifest's replay point may lie elsewhere.",
    ),
    "hashes-in-bulk": Bug(
        "blockdb/audit/columns.py",
        "astray = np.flatnonzero(found != wanted)",
        "astray = np.flatnonzero((found ^ wanted) % (1 << 48))",
        (f"{FORGERY}::test_a_word_with_the_hash_of_another_key_is_found",),
        "The quick half of the audit passes a word that has the hash of another key.",
    ),
    "bulk-empty-slots": Bug(
        "blockdb/audit/columns.py",
        "if not found.take(astray).all():",
        "if not len(found):",
        (f"{FORGERY}::test_a_table_that_leads_astray_is_found",),
        "The lookups of the quick half of the audit go on behind empty slots, where a reader's end.",
    ),
    "bulk-first-round": Bug(
        "blockdb/audit/columns.py",
        "slots[left] = at",
        "pass",
        (f"{COLUMNS}::test_lookups_in_columns_come_to_where_single_ones_do",),
        "What is noted of a key stands beside the home of its lookup, not beside its end.",
    ),
    "bulk-filter-functions": Bug(
        "blockdb/audit/columns.py",
        "for of_high, of_low, carried, added_low, added in self._functions:",
        "for of_high, of_low, carried, added_low, added in self._functions[1:]:",
        (f"{COLUMNS}::test_a_filter_says_what_rbloom_says",),
        "The quick half of the audit asks a filter for fewer bits than readers do.",
    ),
    "bulk-beginnings": Bug(
        "blockdb/audit/columns.py",
        "if common and (padded[:, : len(common)] != np.frombuffer(common, np.uint8)).any():",
        "if not len(padded):",
        (f"{FORGERY}::test_an_order_is_wrong_whatever_its_ends_have_in_common",),
        "The quick half of the audit compares what follows a beginning that not all keys have.",
    ),
    "packed-digest": Bug(
        "blockdb/audit/files.py",
        "data = packed.unpack(buffer)",
        "data = packed.salvage(buffer)",
        ("tests/audit/test_bulk.py",),
        "The digest over the chunks of a packed chain file is not part of the audit.",
    ),
    "seal-frontier": Bug(
        "blockdb/audit/seals.py",
        "if root != self._root:",
        "if not root:",
        (f"{NAMED}::test_a_frontier_that_is_not_that_of_the_block_before_is_found_by_seals_alone",),
        "An audit of the seals alone does not hold frontiers against roots.",
    ),
    "checkpoints-bisected": Bug(
        "blockdb/audit/history.py",
        "root_at(seals, state.size) == state.root for state in states)",
        "root_at(seals, state.size) == state.root for state in states[:1])",
        (f"{NAMED}::test_checkpoints_tell_between_which_of_them_the_history_was_rewritten",),
        "One checkpoint that fits is taken for all of them.",
    ),
    "export-entry": Bug(
        "blockdb/audit/export.py",
        "if leaf != told:",
        "if not leaf:",
        ("tests/audit/test_export.py::test_an_entry_that_was_changed_is_named",),
        "The entries of an export are not held against its tiles.",
    ),
    "scrubber-rate": Bug(
        "blockdb/audit/scrub.py",
        "self.wait(self._due - now)",
        "pass",
        ("tests/database/test_scrubber.py::test_it_keeps_to_its_rate",),
        "The scrubber reads as fast as it can.",
    ),
    "twice-before-damage": Bug(
        "blockdb/audit/collection.py",
        "bulk.check_distinct(exact.reached)",
        "pass",
        (f"{NAMED}::test_a_key_in_two_tables_is_told_although_the_chain_ends_in_damage",),
        "Of keys in two tables nothing is said where the chain ends in damage.",
    ),
}

DATABASE: Final[dict[str, Bug]] = {
    "lock-not-taken": Bug(
        "blockdb/database/database.py",
        "for path in (self._files.lock, self.path):",
        "for path in ():",
        ("tests/database/test_opening.py::test_there_is_one_writer_at_a_time",),
        "Two writers may open one directory.",
    ),
    "lock-file-alone": Bug(
        "blockdb/database/database.py",
        "for path in (self._files.lock, self.path):",
        "for path in (self._files.lock,):",
        ("tests/fault/test_processes.py::test_a_lock_file_that_is_removed_lets_no_second_writer_in",),
        "Who removes the lock file lets a second writer in.",
    ),
    "child-keeps-the-handle": Bug(
        "blockdb/database/database.py",
        "for handle in list(_handles):",
        "for handle in ():",
        ("tests/database/test_fork.py",),
        "A forked child writes through its parent's handle.",
    ),
    "memory-left-out": Bug(
        "blockdb/database/database.py",
        "report = reader.check_memory(report)",
        "pass",
        ("tests/storage/test_recovery.py::test_without_a_good_mark_it_opens_and_says_so",),
        "Verification leaves out what is in memory.",
    ),
    "batch-half-checked": Bug(
        "blockdb/format/checks.py",
        "sizes = list(map(len, column))",
        "sizes = list(map(len, column[:1]))",
        ("tests/database/test_writing.py::test_a_key_has_1_to_65535_bytes",),
        "A key in a batch may be longer than a key may be.",
    ),
    "registry-too-soon": Bug(
        "blockdb/database/creation.py",
        "    for directory in (collection.root, collection.chain, collection.tables):\n",
        "    save_registry(door, files.registry, {**registry, metadata.name: metadata.id})\n"
        "    for directory in (collection.root, collection.chain, collection.tables):\n",
        ("tests/database/test_opening.py::test_whenever_the_making_of_a_database_is_cut_short_it_can_be_made_again",),
        "A database is registered before it is whole.",
    ),
    "salvaged-dropped": Bug(
        "blockdb/database/repairing/repair.py",
        "self._salvage([buffer[damage:], *",
        "self._salvage([*",
        ("tests/database/test_repair.py::test_the_chain_is_kept_up_to_the_damage_and_the_rest_is_salvaged",),
        "Repair drops the intact records after the damage without a word.",
    ),
    "damage-not-kept": Bug(
        "blockdb/database/repairing/repair.py",
        "copy=other == number and damage > 0)",
        "copy=other == number and damage > 0) if other != number else None",
        ("tests/database/test_repair.py::test_the_chain_is_kept_up_to_the_damage_and_the_rest_is_salvaged",),
        "Repair cuts a chain file off without setting its copy aside.",
    ),
    "repaired-under-a-writer": Bug(
        "blockdb/database/repairing/repair.py",
        "locks.extend(map(door.lock, (files.lock, path)))",
        "locks.extend(map(door.lock, ()))",
        ("tests/database/test_repair.py::test_a_database_that_is_being_written_is_not_repaired",),
        "A database is repaired while somebody writes it.",
    ),
}

CONFIG: Final[dict[str, Bug]] = {
    "unknown-key": Bug(
        "blockdb/config/sources.py",
        'if ("database", key) not in KEYS:\n            raise ConfigError(_unknown("", "database", key))\n    return '
        "DatabaseConfig(**settings)",
        'if ("database", key) not in KEYS:\n            continue\n    return '
        'DatabaseConfig(**{key: settings[key] for key in settings if ("database", key) in KEYS})',
        ("tests/config/test_config.py",),
        "A key that does not exist is ignored.",
    ),
    "order-of-sources": Bug(
        "blockdb/config/sources.py",
        "(self._from_file(), self._from_environment(), self._from_flags())",
        "(self._from_environment(), self._from_file(), self._from_flags())",
        ("tests/config/test_config.py",),
        "The file stands over the environment.",
    ),
    "limit": Bug(
        "blockdb/config/kinds.py",
        "if not self.low <= value <= self.high:",
        "if value > self.high:",
        ("tests/config/test_config.py",),
        "A number below its limit is taken.",
    ),
}

LAB = "tests/tampering/test_lab.py"

TAMPERING: Final[dict[str, Bug]] = {
    "checkpoint-not-compared": Bug(
        "blockdb/tampering/checks.py",
        "checkpoints=[kept_beside(case.path)]",
        "checkpoints=[]",
        (f"{LAB}::test_every_tampering_is_found_by_what_should_find_it",),
        "The history is not held against what was kept outside.",
    ),
    "original-tampered-with": Bug(
        "blockdb/tampering/lab.py",
        "Site(Forger(copy),",
        "Site(Forger(self.source),",
        (f"{LAB}::test_every_tampering_is_found_by_what_should_find_it",),
        "The lab works on the original.",
    ),
    "held-directory-removed": Bug(
        "blockdb/scratch.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_UN",
        (f"{LAB}::test_what_a_killed_process_left_is_removed_by_the_next_lab",),
        "One lab removes the copies of another that is at work.",
    ),
}

COMMANDS: Final[dict[str, Bug]] = {
    "success-of-a-failure": Bug(
        "blockdb/commands/failures.py",
        "return CANNOT_OPEN if isinstance(error, _NOT_OPENED) else FAILED",
        "return CANNOT_OPEN if isinstance(error, _NOT_OPENED) else DONE",
        ("tests/commands/test_process.py::test_a_full_disk_is_named",),
        "A command that failed exits with 0.",
    ),
    "success-of-a-bad-verification": Bug(
        "blockdb/commands/cli.py",
        "return result.exit_code",
        "return DONE",
        ("tests/commands/test_chain.py::test_verify_names_what_is_wrong",),
        "`verify` exits with 0 though it found damage.",
    ),
    "a-token-for-everybody": Bug(
        "blockdb/commands/profiles.py",
        "if not is_private and any(",
        "if False and any(",
        ("tests/commands/test_profiles.py::test_a_token_wants_a_file_that_nobody_else_reads",),
        "A token is taken from a file that everybody on the machine can read.",
    ),
    "a-transaction-that-nobody-has": Bug(
        "repl/session.py",
        "except (TransactionClosed, TransactionTimeout):\n        return True",
        "except (TransactionClosed, TransactionTimeout):\n        return False",
        ("tests/repl/test_connection.py::test_a_transaction_that_the_server_forgot_is_told",),
        "The shell goes on with a transaction that was lost with the connection.",
    ),
}
