"""Bugs of the storage room: the log, what is forced when, recovery, background work."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

POWER_CUT = "tests/fault/test_power_cut.py::test_a_crash_at_any_operation"
FLUSHING = "tests/storage/test_flushing.py"
RECOVERIES = "tests/fault/test_crash_in_recovery.py"
UNFORCED_NAMES = f"{RECOVERIES}::test_a_power_cut_after_names_that_a_killed_process_did_not_force[forced]"

LOG: Final[dict[str, Bug]] = {
    "put-not-forced": Bug(
        "blockdb/storage/store.py",
        "if sync or not self.config.wal_sync_interval:\n            sequence",
        "if sync:\n            sequence",
        (f"{POWER_CUT}[forced]",),
        "A put answers before its record is forced, though each one was to be.",
    ),
    "group-not-forced": Bug(
        "blockdb/storage/store.py",
        "self._log.force(end)\n        except",
        "self._log.force(0)\n        except",
        (f"{POWER_CUT}[forced]",),
        "Writers that wait together are answered before the force.",
    ),
    "batch-not-forced": Bug(
        "blockdb/storage/store.py",
        "if sync or not self.config.wal_sync_interval:\n            self._log.force(end)",
        "if sync:\n            self._log.force(end)",
        (f"{POWER_CUT}[forced]",),
        "A batch answers before its records are forced, though each one was to be.",
    ),
    "group-lets-errors-go": Bug(
        "blockdb/storage/store.py",
        "write.error = write.error or error",
        "pass",
        ("tests/storage/test_write_group.py",),
        "Where the force fails, writers that wait together are told that all is well.",
    ),
    "sync-ignored": Bug(
        "blockdb/storage/store.py",
        "if sync or not self.config.wal_sync_interval:\n            sequence",
        "if not self.config.wal_sync_interval:\n            sequence",
        ("tests/storage/test_flushing.py::test_each_write_is_forced_when_that_was_asked_for",),
        "A put that asks to be forced is not.",
    ),
    "forced-too-soon": Bug(
        "blockdb/storage/log.py",
        "            start = perf_counter_ns()\n            try:",
        "            start = perf_counter_ns()\n            self._set_forced(target)\n            try:",
        ("tests/storage/test_log.py",),
        "The mark vouches for what is not forced yet.",
    ),
    "failed-force-believed": Bug(
        "blockdb/storage/log.py",
        'raise self._stop("forcing the log to disk", error) from error',
        'raise storage_error("forcing the log to disk", error) from error',
        ("tests/storage/test_log.py::test_a_failed_force_is_never_tried_again_and_believed",),
        "A force that failed is tried again, and believed when it succeeds.",
    ),
    "written-not-told": Bug(
        "blockdb/storage/log.py",
        "self._words[WRITTEN_WORD] = end * GUARD",
        "self._words[WRITTEN_WORD] = place * GUARD",
        ("tests/storage/test_log.py",),
        "The mark is one commit behind the log.",
    ),
    "write-not-taken-back": Bug(
        "blockdb/storage/log.py",
        "self._undo()\n            raise storage_error",
        "raise storage_error",
        ("tests/storage/test_log.py",),
        "A write that failed part of the way stays in the log.",
    ),
    "clean-before-forced": Bug(
        "blockdb/storage/log.py",
        "self.force()\n            self._mark[STATE_OFFSET:] = mark_format.CLEAN",
        "self._mark[STATE_OFFSET:] = mark_format.CLEAN\n            self.force()",
        ("tests/storage/test_log.py",),
        "The mark says that the log was closed before it was forced.",
    ),
    "rolled-not-forced": Bug(
        "blockdb/storage/log.py",
        "self.force()\n        number = self.segment + 1",
        "number = self.segment + 1",
        (f"{POWER_CUT}[now and then]",),
        "A new chain file is begun while the end of the old one is not forced, and the mark says that it is.",
    ),
    "torn-end-kept": Bug(
        "blockdb/storage/log.py",
        "if torn_bytes:",
        "if torn_bytes < 0:",
        ("tests/storage/test_log.py",),
        "What a cut write left behind is not cut off before the next one.",
    ),
}

FILES: Final[dict[str, Bug]] = {
    "named-before-forced": Bug(
        "blockdb/storage/door.py",
        "self.write_all(descriptor, data)\n            self.force(descriptor)",
        "self.write_all(descriptor, data)",
        (f"{POWER_CUT}[unforced]",),
        "A file gets its name before its bytes are forced.",
    ),
    "written-in-place": Bug(
        "blockdb/storage/door.py",
        "self.create(temporary, data)\n        self.rename(temporary, path)",
        "self.create(path, data)",
        (f"{POWER_CUT}[unforced]",),
        "A file is replaced by writing over it.",
    ),
    "name-not-forced": Bug(
        "blockdb/storage/door.py",
        "os.replace(old, new)\n        self.force_directory(new.parent)",
        "os.replace(old, new)",
        (f"{POWER_CUT}[unforced]",),
        "The directory is not forced after a rename.",
    ),
    "directory-not-forced": Bug(
        "blockdb/storage/door.py",
        "path.mkdir(mode=0o700, exist_ok=True)\n        self.force_directory(path.parent)",
        "path.mkdir(mode=0o700, exist_ok=True)",
        (f"{POWER_CUT}[unforced]",),
        "The entry of a new directory is not forced.",
    ),
    "short-write": Bug(
        "blockdb/storage/door.py",
        "while view:\n            view = view[self.write(descriptor, view) :]",
        "self.write(descriptor, view)",
        ("tests/storage/test_door.py::test_everything_is_written_however_little_the_system_takes_at_once",),
        "A short write passes for a whole one.",
    ),
}

RECOVERY: Final[dict[str, Bug]] = {
    "cut-below-the-mark": Bug(
        "blockdb/storage/recovery.py",
        "if number < last_segment or place < trust.place or not (error.torn or trust.rubbish):",
        "if number < last_segment:",
        (
            "tests/storage/test_recovery.py::test_damage_in_what_the_mark_vouches_for_is_named_and_nothing_is_cut_off[False-0]",
        ),
        "The log is cut off at the first bad record, whatever was acknowledged after it.",
    ),
    "damage-passes-for-torn": Bug(
        "blockdb/storage/recovery.py",
        "place < trust.place or not",
        "not",
        ("tests/storage/test_recovery.py::test_a_damaged_length_does_not_pass_for_a_torn_end",),
        "A damaged length passes for a write that was cut short.",
    ),
    "mark-not-asked": Bug(
        "blockdb/storage/recovery.py",
        "_require(files, chain, last_segment, trust.place)",
        "_require(files, chain, last_segment, 0)",
        ("tests/storage/test_recovery.py::test_a_closed_log_has_the_size_it_had",),
        "Nobody asks whether the log reaches as far as the mark says.",
    ),
    "names-not-forced": Bug(
        "blockdb/database/database.py",
        "creation.force_names(self._door, self._files, files)",
        "pass",
        (UNFORCED_NAMES,),
        "Opening builds on names that a killed process may have left unforced.",
    ),
    "another-boot": Bug(
        "blockdb/format/mark.py",
        "return self.boot_id == boot_id and any(boot_id)",
        "return any(boot_id)",
        ("tests/storage/test_recovery.py::test_how_far_the_log_must_be_intact",),
        "After a power cut all that was written must be there, and the database does not open.",
    ),
    "flushed-place": Bug(
        "blockdb/storage/recovery.py",
        "max(mark.forced, flushed_place)",
        "mark.forced",
        ("tests/storage/test_recovery.py::test_what_tables_point_at_was_forced_whatever_the_mark_says",),
        "An old mark lets go of records that tables point at.",
    ),
    "recovered-is-not-forced": Bug(
        "blockdb/storage/recovery.py",
        "state.forced = segment.HEADER_BYTES if isinstance(mark, str) else mark.forced",
        "state.forced = segment.HEADER_BYTES if isinstance(mark, str) else mark.written",
        (f"{RECOVERIES}::test_a_crash_in_a_recovery[now and then]",),
        "What a killed process left in memory is taken for forced.",
    ),
    "seal-that-comes-late": Bug(
        "blockdb/storage/recovery.py",
        "if self.last_seal is not None and seal.header.number <= self.last_seal[1].header.number:",
        "if self.last_seal is not None and seal.header.number < 0:",
        ("tests/storage/test_attachment.py::test_flushes_and_compactions_change_nothing_for_a_reader",),
        "The seal of a block before the replay point is taken for the next one.",
    ),
    "key-twice": Bug(
        "blockdb/storage/recovery.py",
        " or self._first_in_tables(keys) is not None",
        "",
        ("tests/audit/test_forgery.py::test_a_key_that_is_there_twice_is_found_and_not_served",),
        "Recovery takes a key that a table has already.",
    ),
    "replay-too-late": Bug(
        "blockdb/storage/store.py",
        "ReplayPoint(block.first_place or end, self.next_sequence - len(block),",
        "ReplayPoint(end, self.next_sequence,",
        ("tests/storage/test_recovery.py::test_records_that_a_killed_writer_left_are_there_and_counted",),
        "Replay begins after the open block's records, which no seal will cover then.",
    ),
    "sequence-too-late": Bug(
        "blockdb/storage/store.py",
        "self.next_sequence - len(block), self._seals",
        "self.next_sequence - len(block) + 1, self._seals",
        ("tests/storage/test_recovery.py::test_records_that_a_killed_writer_left_are_there_and_counted",),
        "Replay counts from one record too late.",
    ),
    "root-not-compared": Bug(
        "blockdb/storage/recovery.py",
        "if frontier.root() != seal.header.root:",
        "if not seal.header.root:",
        ("tests/storage/test_recovery.py::test_records_that_were_exchanged_with_good_checks_are_noticed_by_the_block",),
        "A writer goes on from records that do not have the root of their block.",
    ),
}

WRITING: Final[dict[str, Bug]] = {
    "published-too-soon": Bug(
        "blockdb/storage/store.py",
        "place = self._log.append(with_check(body))\n        active.append(key, value, place)",
        "active.append(key, value, self._log.end)\n        place = self._log.append(with_check(body))",
        ("tests/storage/test_flushing.py::test_a_put_that_the_log_does_not_take_leaves_no_trace",),
        "A record is found before the log has it, and also where the log never takes it.",
    ),
    "frozen-memtables-skipped": Bug(
        "blockdb/storage/view.py",
        "for memtable in self.memtables[1:]:",
        "for memtable in self.memtables[2:]:",
        ("tests/storage/test_flushing.py::test_reads_find_everything_while_a_table_is_being_written",),
        "The duplicate check skips a memtable that is being flushed.",
    ),
    "frozen-memtables-skipped-by-batches": Bug(
        "blockdb/storage/view.py",
        "for memtable in self.memtables:\n            if not memtable.index.keys().isdisjoint(distinct):",
        "for memtable in self.memtables[:1]:\n            if not memtable.index.keys().isdisjoint(distinct):",
        ("tests/storage/test_flushing.py::test_reads_find_everything_while_a_table_is_being_written",),
        "The duplicate check of a batch looks into the newest memtable alone.",
    ),
    "time-goes-back": Bug(
        "blockdb/storage/store.py",
        "if now_ms > self._last_time_ms:",
        "if now_ms:",
        ("tests/database/test_determinism.py::test_time_never_goes_back_within_a_collection",),
        "Times follow a clock that goes back.",
    ),
    "seal-forgotten": Bug(
        "blockdb/storage/seals.py",
        "self.head_hash = seal.header.hash()\n            self._written(self.head_place)",
        "self.head_hash = seal.header.hash()",
        ("tests/database/test_reading.py::test_a_record_tells_its_place_time_and_block",),
        "Nobody is told where a seal is.",
    ),
    "answers-out-of-order": Bug(
        "blockdb/storage/sealing_process.py",
        "for seal in block.seal():",
        "for seal in reversed(block.seal()):",
        ("tests/storage/test_sealing_beside.py::test_blocks_closed_beside_the_writer_are_those_it_would_close",),
        "Blocks that were closed beside the writer are taken in another order.",
    ),
    "sealed-records-kept": Bug(
        "blockdb/storage/seals.py",
        "self.block.drop(seal.header.records)",
        "self.block.drop(seal.header.records - 1)",
        ("tests/storage/test_sealing_beside.py::test_blocks_closed_beside_the_writer_are_those_it_would_close",),
        "A record that was sealed beside the writer stays in the open block.",
    ),
    "number-of-a-table-twice": Bug(
        "blockdb/storage/maintenance.py",
        "next_table=max(old.next_table, *tables) + 1",
        "next_table=old.next_table",
        ("tests/storage/test_packed.py::test_it_is_written_on_with_and_without_packing",),
        "A writer gives a new table the number of one that counts.",
    ),
    "memory-without-limit": Bug(
        "blockdb/storage/upkeep.py",
        "return len(self._frozen) < MAX_FROZEN\n",
        "return True\n",
        (f"{FLUSHING}::test_a_flush_that_fails_stops_writers_only_when_memory_is_full_and_is_tried_again",),
        "Memtables are frozen without end while they cannot be flushed.",
    ),
    "view-before-manifest": Bug(
        "blockdb/storage/upkeep.py",
        "table = self._tables.write(frozen)\n",
        "self._reader.view = type(self._reader.view)(self._reader.view.memtables[:-1], self._reader.view.tables)\n"
        "        table = self._tables.write(frozen)\n",
        ("tests/storage/test_flushing.py",),
        "A memtable leaves the view before its table is there.",
    ),
    "let-go-before-written": Bug(
        "blockdb/storage/upkeep.py",
        "frozen = self._frozen[0]",
        "frozen = self._frozen.popleft()\n        self._frozen.appendleft(frozen) if frozen is None else None",
        ("tests/storage/test_flushing.py",),
        "A memtable is forgotten before its table is there.",
    ),
    "manifest-not-saved": Bug(
        "blockdb/storage/maintenance.py",
        "manifests.save(self._door, self._files.manifest, manifest)",
        "pass",
        ("tests/storage/test_flushing.py",),
        "The manifest is changed in memory alone.",
    ),
    "removed-before-manifest": Bug(
        "blockdb/storage/maintenance.py",
        "merged = {old.header.number for old in tables[1:]}",
        "merged = {old.header.number for old in tables[1:]}\n        self.remove(tables)",
        (f"{POWER_CUT}[merging beside]",),
        "Tables that were merged are removed before the manifest lets go of them.",
    ),
    "chain-removed-before-packed": Bug(
        "blockdb/storage/packed.py",
        "self._door.rename(temporary, target)",
        "self._door.remove(self._files.segment(number))\n        self._door.rename(temporary, target)",
        ("tests/storage/test_packed.py::test_packing_that_fails_is_told_and_tried_again",),
        "A chain file is removed before its packed form has its name.",
    ),
    "packed-cut-inside-a-frame": Bug(
        "blockdb/storage/packed.py",
        "cuts.append(end)",
        "cuts.append(end - 1)",
        ("tests/storage/test_packed.py::test_everything_reads_the_same",),
        "A chunk of a packed chain file begins inside a frame.",
    ),
}
