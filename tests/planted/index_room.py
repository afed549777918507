"""Bugs of indexes: the order of values, files, uniqueness, what is erased and what is audited."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

ORDERED = "tests/format/test_ordered.py"
INDEX = "tests/lsm/test_index.py"
INDEXES = "tests/database/test_indexes.py"

INDEXING: Final[dict[str, Bug]] = {
    "great-numbers-are-doubles": Bug(
        "blockdb/format/ordered.py",
        "rest = value - int(double)",
        "rest = 0",
        (f"{ORDERED}::test_the_order_of_the_bytes_is_that_of_the_values",),
        "Whole numbers beyond 2^53 are taken for the double next to them.",
    ),
    "open-ends-are-closed": Bug(
        "blockdb/format/ordered.py",
        '(AFTER if high.closed else b"")',
        "AFTER",
        (f"{ORDERED}::test_a_span_has_what_its_bounds_say",),
        "A range below a value has the value too.",
    ),
    "filter-of-entries": Bug(
        "blockdb/lsm/index_file.py",
        "hashes.extend([key_hash(entry[:-PLACE_BYTES]) for entry in entries])",
        "hashes.extend(map(key_hash, entries))",
        (f"{INDEX}::test_the_places_of_a_value",),
        "The filter of an index that is not unique denies its values.",
    ),
    "one-group-alone": Bug(
        "blockdb/lsm/index_file.py",
        "range(self.position(values), len(ends))",
        "range(self.position(values), min(self.position(values) // GROUP * GROUP + GROUP, len(ends)))",
        (f"{INDEX}::test_of_a_value_that_many_records_have_all_are_found",),
        "Of a value that many records have, those in one group of entries are found.",
    ),
    "group-unchecked": Bug(
        "blockdb/lsm/index_file.py",
        "            if not self._checked_groups[at // GROUP]:\n                self._check_group(at // GROUP)\n",
        "",
        (f"{INDEX}::test_a_damaged_group_is_met_by_whoever_looks_into_it",),
        "A value is looked up in entries that are damaged.",
    ),
    "horizon-is-seen": Bug(
        "blockdb/lsm/index_view.py",
        "if item[1] < horizon:",
        "if item[1] <= horizon:",
        (f"{INDEX}::test_a_scan_is_that_of_a_sorted_list",),
        "A scan sees the record that came after it began.",
    ),
    "batch-against-itself": Bug(
        "blockdb/storage/index_rider.py",
        "if len(distinct) < sum(map(len, values)):",
        "if False:",
        (f"{INDEXES}::test_a_violation_says_who_has_the_values_and_nothing_is_written",),
        "Two documents of one batch may have the same values in a unique index.",
    ),
    "prepared-before-the-index": Bug(
        "blockdb/storage/index_keeper.py",
        "                self._use({**self.by_name, definition.name: index})\n                store.look_for_riders()",
        "                self._use({**self.by_name, definition.name: index})",
        (f"{INDEXES}::test_a_write_that_was_prepared_without_the_index_is_prepared_anew",),
        "A record that was prepared before an index was made is not in it.",
    ),
    "built-over-doubles": Bug(
        "blockdb/storage/index_build.py",
        "if strict:\n                    raise Doubled",
        "if False:\n                    raise Doubled",
        (f"{INDEXES}::test_two_records_with_one_value_refuse_a_unique_index_and_are_named",),
        "A unique index is made of records that have the same values.",
    ),
    "newer-records-not-compared": Bug(
        "blockdb/storage/index_keeper.py",
        "checked = _check_distinct(memory, 0, files) if definition.unique else 0",
        "checked = len(memory)",
        (f"{INDEXES}::test_a_record_that_comes_during_the_building_violates_it",),
        "What is written while a unique index is made is not held against what was there.",
    ),
    "redacted-values-stay-in-files": Bug(
        "blockdb/storage/index_keeper.py",
        "if any(first <= place < end for place in places) and pieces(file, places):",
        "if False:",
        (f"{INDEXES}::test_what_is_redacted_goes_from_memory_and_files",),
        "The files of indexes keep the values of redacted records.",
    ),
    "entries-not-audited": Bug(
        "blockdb/audit/indexes.py",
        "if not wanted.is_same(kept):",
        "if False:",
        ("tests/audit/test_indexes.py::test_what_was_changed_is_named",),
        "An audit believes the entries of an index.",
    ),
}
