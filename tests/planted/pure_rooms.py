"""Bugs of the rooms that touch no file: formats, the ledger, the merge tree."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

FORMAT: Final[dict[str, Bug]] = {
    "record-check": Bug(
        "blockdb/format/record.py",
        "content_bytes]\n    if xxh3_64_digest(body)[:CHECK_BYTES] != check:",
        "content_bytes]\n    if not body:",
        ("tests/fault/test_bytes.py::test_a_chain_that_is_damaged_under_an_open_handle",),
        "A reader takes a record without comparing its check.",
    ),
    "record-check-in-order": Bug(
        "blockdb/format/record.py",
        "offset + CHECK_BYTES : end]\n    if xxh3_64_digest(body)[:CHECK_BYTES] != check:",
        "offset + CHECK_BYTES : end]\n    if not body:",
        ("tests/format/test_record.py",),
        "Recovery and audit take a record without comparing its check.",
    ),
    "record-check-of-many": Bug(
        "blockdb/format/record.py",
        "_RECORD or digest(body)[:CHECK_BYTES] != check:",
        "_RECORD:",
        ("tests/fault/test_bytes.py::test_a_chain_that_is_damaged_under_an_open_handle",),
        "A scan takes records without comparing their checks.",
    ),
    "redactable-digest": Bug(
        "blockdb/format/record.py",
        '    elif not sealed.strip(b"\\0"):',
        "    elif digest:",
        ("tests/format/test_record.py",),
        "The value of a redactable record is not held against the digest that its leaf covers.",
    ),
    "record-check-of-a-run": Bug(
        "blockdb/format/walk.py",
        "if digest(body)[:CHECK_BYTES] != check:",
        "if not body:",
        ("tests/storage/test_recovery.py::test_damage_in_what_the_mark_vouches_for_is_named_and_nothing_is_cut_off",),
        "Replay takes a run of records without comparing their checks.",
    ),
    "torn-batch-of-a-run": Bug(
        "blockdb/format/walk.py",
        "return run if run.end == end and len(run.keys) == header.records else None",
        "return run if run.keys else None",
        ("tests/storage/test_recovery.py::test_damage_in_what_the_mark_vouches_for_is_named_and_nothing_is_cut_off",),
        "Replay takes the part of a batch that is intact.",
    ),
    "batch-count": Bug(
        "blockdb/format/walk.py",
        "if at != end or len(steps) != header.records:",
        "if at != end:",
        ("tests/format/test_walk.py",),
        "A batch with fewer records than announced is taken for whole.",
    ),
    "batch-header": Bug(
        "blockdb/format/batch.py",
        "if type_ not in HEADERS or check_of(body) != buffer[offset : offset + CHECK_BYTES]:",
        "if type_ not in HEADERS:",
        ("tests/format/test_batch.py",),
        "The check of a batch's header is not compared.",
    ),
    "torn-batch": Bug(
        "blockdb/format/walk.py",
        'raise TornFrame("the file ends inside a batch")',
        "return [_record_at(buffer, at)]",
        ("tests/format/test_walk.py",),
        "Of a batch that was cut short the first records are believed.",
    ),
    "seal-check": Bug(
        "blockdb/format/block.py",
        "if check_of(body) != buffer[offset : offset + CHECK_BYTES] or frontier_bytes < 0",
        "if frontier_bytes < 0",
        ("tests/format/test_block.py",),
        "The check of a seal is not compared.",
    ),
    "block-hash": Bug(
        "blockdb/format/block.py",
        "return _HEADER.pack(TAG, *self)",
        "return _HEADER.pack(TAG, *self._replace(last_time_ms=self.first_time_ms))",
        ("tests/golden/test_golden.py::test_its_ledger_is_the_one_that_is_documented",),
        "A block's hash does not cover all of its header.",
    ),
    "mark-guard": Bug(
        "blockdb/format/mark.py",
        "if word % GUARD or not word:",
        "if not word:",
        ("tests/format/test_mark.py",),
        "A place in the mark is believed without its guard.",
    ),
    "table-page": Bug(
        "blockdb/format/pages.py",
        "xxh3_64_digest(buffer[start : min(start + PAGE_BYTES, header.checks_offset)]) ==",
        "buffer[at : at + CHECK_BYTES] ==",
        ("tests/format/test_table.py",),
        "A page of a table passes without its check.",
    ),
    "packed-digest": Bug(
        "blockdb/format/packed.py",
        "if not are_chunks_intact(buffer, index):",
        "if not index.chunks:",
        ("tests/format/test_packed.py",),
        "The digest over the chunks of a packed chain file is not compared.",
    ),
    "packed-seek-table": Bug(
        "blockdb/format/packed.py",
        "if xxh3_64_digest(buffer[index.offsets[-1] :]) != header.table_digest or index.starts[-1] != header.size:",
        "if index.starts[-1] != header.size:",
        ("tests/format/test_packed.py",),
        "The digest of the seek table of a packed chain file is not compared.",
    ),
    "packed-bomb": Bug(
        "blockdb/format/packed.py",
        "if frame_content_size(frame) != size:",
        "if not frame_content_size(frame):",
        ("tests/format/test_packed.py",),
        "A chunk may unpack to more than it should.",
    ),
    "checked-toml": Bug(
        "blockdb/format/checked_toml.py",
        "if data[start:] != _last_line(text):",
        'if not data[start:].startswith(b"# sha256 "):',
        ("tests/format/test_checked_toml.py",),
        "The checksum of manifest, metadata and keys is not compared.",
    ),
}

LEDGER: Final[dict[str, Bug]] = {
    "prefix-of-nodes": Bug(
        "blockdb/ledger/merkle.py",
        r'_NODE: Final = b"\x01"',
        r'_NODE: Final = b"\x00"',
        ("tests/ledger/test_merkle.py",),
        "An inner node is hashed like a leaf, so that one passes for the other.",
    ),
    "node-left-out": Bug(
        "blockdb/ledger/merkle.py",
        "nodes.insert(0, waiting)",
        "nodes[0] = waiting",
        ("tests/ledger/test_merkle.py",),
        "A growing tree leaves a leaf out where it joins what was there before.",
    ),
    "leaf-doubled": Bug(
        "blockdb/ledger/merkle.py",
        "([level[-1]] if len(level) % 2 else [])",
        "([node_hash(level[-1], level[-1])] if len(level) % 2 else [])",
        ("tests/ledger/test_merkle.py",),
        "The odd leaf is hashed with itself, so that two lists of records have one root.",
    ),
    "signature": Bug(
        "blockdb/ledger/chain.py",
        "if not is_signed(public_key, header.hash(), seal.signature):",
        "if not seal.signature:",
        ("tests/ledger/test_chain.py",),
        "A block passes with whatever stands in the place of its signature.",
    ),
    "purpose-of-signatures": Bug(
        "blockdb/ledger/signature.py",
        '_CONTEXT: Final = b"BlockDB block signature 1\\n"',
        '_CONTEXT: Final = b""',
        ("tests/ledger/test_signature.py",),
        "A signature made for another purpose serves for a block.",
    ),
    "previous-hash": Bug(
        "blockdb/ledger/chain.py",
        "if header.previous_hash != head.previous_hash:",
        "if not header.previous_hash:",
        ("tests/ledger/test_chain.py",),
        "A block may follow from another history than the one before it.",
    ),
    "block-left-out": Bug(
        "blockdb/ledger/chain.py",
        "if header.number != head.next_number:",
        "if header.number < head.next_number:",
        ("tests/ledger/test_chain.py",),
        "A block may be left out of the chain.",
    ),
}

LSM: Final[dict[str, Bug]] = {
    "lying-filter": Bug(
        "blockdb/lsm/bloom.py",
        "bloom.update(hashes)",
        "bloom.update(list(hashes)[:-1])",
        ("tests/lsm/test_bloom.py",),
        "A filter says no for a key that the table has.",
    ),
    "lying-filter-of-neighbours": Bug(
        "blockdb/lsm/key_filter.py",
        "yield (bucket - 1) << _MARK_SHIFT",
        "yield bucket << _MARK_SHIFT",
        ("tests/lsm/test_key_filter.py::test_no_key_of_large_tables_is_denied_and_few_others_are_let_through",),
        "The filter over all tables denies keys whose slot lies in the bucket after that of their home.",
    ),
    "lying-filter-at-a-border": Bug(
        "blockdb/lsm/key_filter.py",
        "yield bucket << _MARK_SHIFT | words[slot - 1] >> FINGERPRINT_SHIFT",
        "yield (bucket - 1) << _MARK_SHIFT | words[slot - 1] >> FINGERPRINT_SHIFT",
        ("tests/lsm/test_key_filter.py::test_no_key_of_large_tables_is_denied_and_few_others_are_let_through",),
        "The filter over all tables denies keys whose home is shared by two buckets.",
    ),
    "fingerprint-alone": Bug(
        "blockdb/lsm/table.py",
        "if found_key == key:",
        "if found_key:",
        ("tests/lsm/test_table.py",),
        "A table takes a record for the one that was asked for, because 16 bits of their hashes agree.",
    ),
    "page-not-checked": Bug(
        "blockdb/lsm/paged_file.py",
        "if not is_page_intact(self.buffer, self._paged, page):",
        "if not page and not is_page_intact(self.buffer, self._paged, page):",
        ("tests/lsm/test_table.py",),
        "Only the first page of a table is checked before it is believed.",
    ),
    "no-empty-slot": Bug(
        "blockdb/lsm/builder.py",
        "max(last, count - 1) + 2",
        "max(last, count - 1) + 1",
        ("tests/lsm/test_table.py",),
        "No empty slot ends the search for a key that is not there.",
    ),
    "edge-of-a-window": Bug(
        "blockdb/lsm/merge.py",
        "first, stop = self._at, self._at + size\n            self._at = stop",
        "first, stop = self._at, self._at + size\n            self._at = stop + 1",
        ("tests/storage/test_view.py::test_scans_are_those_of_a_sorted_list",),
        "A merge drops the item at the edge of each window.",
    ),
    "edge-of-a-window-down": Bug(
        "blockdb/lsm/merge.py",
        "cut = (bisect_left if self._reverse else bisect_right)(self.waiting, bound, key=_key)",
        "cut = bisect_right(self.waiting, bound, key=_key)",
        ("tests/storage/test_view.py::test_scans_are_those_of_a_sorted_list",),
        "A merge that walks down stops at the edge of a window, as if all had come.",
    ),
    "no-neighbours": Bug(
        "blockdb/lsm/tiers.py",
        "return slice(start, stop)",
        "return slice(start, stop, 2)",
        ("tests/lsm/test_tiers.py",),
        "Tables are merged that are not neighbours, so that commit order is lost.",
    ),
    "stale-order": Bug(
        "blockdb/lsm/lazy_order.py",
        "if len(self._ordered) < len(self.index):",
        "if not self._ordered:",
        ("tests/lsm/test_memtable.py",),
        "The key order of a memtable does not follow what is written later.",
    ),
}
