"""Bugs of the storage room's other half: reading, and attachments beside the writer."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

READING: Final[dict[str, Bug]] = {
    "snapshot-shows-later-records": Bug(
        "blockdb/storage/sources.py",
        "if not first and len(self.memtable) == stop:",
        "if not first and len(self.memtable) >= stop:",
        ("tests/storage/test_view.py::test_a_scan_is_of_the_moment_of_the_call_not_of_its_first_step",),
        "A scan shows records that came after it began.",
    ),
    "item-at-the-edge-twice": Bug(
        "blockdb/lsm/merge.py",
        "self._key, self._inclusive = keys[0 if self._reverse else -1], False",
        "self._key = keys[0 if self._reverse else -1]",
        ("tests/storage/test_view.py::test_scans_are_those_of_a_sorted_list",),
        "A scan of a memtable gives the key at the edge of a window twice.",
    ),
    "prefix-of-ff": Bug(
        "blockdb/storage/view.py",
        r'stem = prefix.rstrip(b"\xff")',
        "stem = prefix",
        ("tests/storage/test_view.py::test_a_range_has_the_keys_that_its_words_say",),
        "What comes after a prefix that ends with 0xff is miscalculated.",
    ),
    "as-of-one-record-less": Bug(
        "blockdb/storage/history.py",
        "return self.horizon_at(as_of.sequence + 1)",
        "return self.horizon_at(as_of.sequence)",
        ("tests/storage/test_as_of.py::test_a_scan_of_the_past_is_the_scan_of_what_was_there",),
        "A read as of a record does not see that record.",
    ),
    "as-of-one-record-more": Bug(
        "blockdb/storage/sources.py",
        "if low <= place < high]",
        "if low <= place <= high]",
        ("tests/storage/test_as_of.py::test_a_scan_of_the_past_is_the_scan_of_what_was_there",),
        "A scan as of a moment sees the record after it, if a table has both.",
    ),
    "as-of-a-time": Bug(
        "blockdb/storage/history.py",
        "self._search(lambda seal: seal.header.last_time_ms > time_ms)",
        "self._search(lambda seal: seal.header.first_time_ms > time_ms)",
        ("tests/storage/test_as_of.py::test_a_scan_of_the_past_is_the_scan_of_what_was_there",),
        "A read as of a time sees the rest of a block.",
    ),
    "chunk-of-another-file": Bug(
        "blockdb/storage/packed.py",
        "name = self._opening, number",
        "name = 0, number",
        ("tests/storage/test_packed.py::test_everything_reads_the_same",),
        "The cache takes a chunk of one packed chain file for that of another.",
    ),
    "cache-without-limit": Bug(
        "blockdb/storage/cache.py",
        "if room.young_bytes + size > half:",
        "if room.young_bytes + size < 0:",
        ("tests/storage/test_cache.py",),
        "The cache grows without limit.",
    ),
    "cache-that-forgets-what-is-used": Bug(
        "blockdb/storage/cache.py",
        "if room.young_bytes << 2 > room.limit_bytes:",
        "if room.young_bytes > room.limit_bytes:",
        ("tests/storage/test_cache.py::test_what_is_used_stays_and_what_is_not_goes",),
        "What is used is forgotten when a generation ends.",
    ),
    "cache-that-moves-what-fits": Bug(
        "blockdb/storage/cache.py",
        "if room.young_bytes << 2 > room.limit_bytes:",
        "if room.young_bytes:",
        ("tests/storage/test_cache.py::test_nothing_moves_while_what_is_read_fits",),
        "What is read in turns is put into the cache again and again.",
    ),
    "file-that-grew": Bug(
        "blockdb/storage/chain.py",
        "return decode(*self._at(number, offset, self.size(number)))",
        "raise",
        ("tests/storage/test_chain.py::test_a_record_that_was_written_after_the_file_was_mapped_is_found",),
        "A record that came after the file was mapped is taken for damage.",
    ),
    "attachment-stands-still": Bug(
        "blockdb/storage/attachment.py",
        "if written <= self._state.end:",
        "if written:",
        ("tests/storage/test_attachment.py::test_each_record_is_seen_by_the_next_call",),
        "A reader beside the writer does not follow the mark.",
    ),
    "attachment-keeps-old-files": Bug(
        "blockdb/storage/attachment.py",
        "if self._look() != self._identity:",
        "if self._look() is None:",
        ("tests/fault/test_processes.py::test_readers_see_a_writers_records",),
        "A reader beside the writer does not notice that files were replaced.",
    ),
    "memory-not-verified": Bug(
        "blockdb/storage/reader.py",
        "same = self.chain.item_at(place) == (key, value)",
        "same = self.chain.item_at(place)[0] == key",
        ("tests/database/test_reading.py",),
        "Verification does not compare the values in memory with the chain.",
    ),
    "filter-that-does-not-cover": Bug(
        "blockdb/storage/view.py",
        "covers = filter_ is not None and filter_.records >= self.table_records",
        "covers = filter_ is not None",
        ("tests/storage/test_flushing.py::test_a_table_that_the_filter_over_all_does_not_have_is_asked",),
        "The filter over all tables is asked also where a table came that it does not have.",
    ),
    "seals-of-frozen-memtables": Bug(
        "blockdb/storage/view.py",
        "for memtable in self.memtables:\n            ordinal = number - memtable.first_block",
        "for memtable in self.memtables[:1]:\n            ordinal = number - memtable.first_block",
        ("tests/storage/test_flushing.py",),
        "A block whose seal is in a memtable that is being flushed is not found.",
    ),
    "expires-a-millisecond-early": Bug(
        "blockdb/storage/expiry.py",
        "if frame.time_ms >= oldest_ms:",
        "if frame.time_ms > oldest_ms:",
        ("tests/storage/test_expiry.py::test_reads_show_what_has_not_expired",),
        "A record expires a millisecond before its time to live is over.",
    ),
    "expired-horizon-rests": Bug(
        "blockdb/storage/expiry.py",
        "frame.time_ms + self.ttl_ms + 1)",
        "frame.time_ms + self.ttl_ms + 2)",
        ("tests/storage/test_expiry.py::test_the_horizon_moves_on_record_by_record_each_of_them_once",),
        "What has expired is looked at again a millisecond too late.",
    ),
    "expired-in-the-cache": Bug(
        "blockdb/storage/reader.py",
        "if self._expiry is not None:\n            value = self.find_value(key)",
        "if False:\n            value = self.find_value(key)",
        ("tests/storage/test_expiry.py::test_reads_show_what_has_not_expired",),
        "Reads by key show what has expired.",
    ),
    "watcher-not-woken": Bug(
        "blockdb/storage/writer.py",
        "self._room.notify_all()  # see `Store.wait_beyond`",
        "pass",
        ("tests/database/test_watching.py::test_who_waits_in_one_thread_hears_of_what_another_one_stores",),
        "A write does not wake who waits for it.",
    ),
    "watcher-told-too-early": Bug(
        "blockdb/storage/store.py",
        "        if forced_only:\n",
        "        if forced_only is None:\n",
        ("tests/storage/test_feed.py::test_only_what_is_on_the_disk_is_given_where_that_is_what_counts",),
        "A watcher is given what is not on the disk yet, where writers wait for that.",
    ),
    "change-in-another-block": Bug(
        "blockdb/storage/feed.py",
        "if self._index == self._reader.metadata.blockchain_batch_size",
        "if self._index > self._reader.metadata.blockchain_batch_size",
        ("tests/storage/test_feed.py::test_places_are_told_also_where_sealing_lags_behind",),
        "Changes are told to be in a block that has another size than the sealed one.",
    ),
}
