"""Bugs of collections that are spread over partitions."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

MODEL: Final = "tests/cluster/partitions/test_partitioned_model.py"
WHOLE: Final = "tests/cluster/partitions/test_partitioned_collection.py"
FINDING: Final = "tests/cluster/partitions/test_partitioned_finding.py"
SPREADING: Final = "tests/cluster/partitions/test_spreading.py"
HERE: Final = "blockdb/cluster/partitions"

PARTITIONS: Final[dict[str, Bug]] = {
    "first-too-early": Bug(
        f"{HERE}/spreading.py",
        "return max(0, -((partition - number) // self.partitions))",
        "return max(0, (number - partition) // self.partitions)",
        (f"{SPREADING}::test_borders_are_where_they_should_be",),
        "Records come again on the next page.",
    ),
    "numbers-by-partition": Bug(
        f"{HERE}/changing.py",
        "                became[at] = self._spreading.number(sequence, number)",
        "                became[at] = sequence",
        (f"{WHOLE}::test_a_batch_has_its_numbers_in_the_order_of_its_items",),
        "The numbers of a batch are those of other records.",
    ),
    "offset-in-each": Bug(
        f"{HERE}/collection.py",
        "        return cut(merged(sources, key, reverse=reverse), offset, limit)",
        "        return cut(merged(sources, key, reverse=reverse), 0, limit)",
        (f"{WHOLE}::test_offset_and_limit_are_of_the_whole",),
        "A scan does not skip what it is told to.",
    ),
    "cursor-of-what-was-fetched": Bug(
        f"{HERE}/results.py",
        "        if self._behind is not None:\n            return self._behind\n",
        "        if self._behind is not None:\n            return self._results.cursor\n",
        (f"{FINDING}::test_a_page_may_end_anywhere",),
        "The next page leaves out what was fetched ahead.",
    ),
    "ties-upside-down": Bug(
        f"{HERE}/results.py",
        "        if self._ranking.descending:\n            return other.number < self.number",
        "        if self._ranking.descending:\n            return self.number < other.number",
        (f"{FINDING}::test_what_is_found_is_what_a_naive_search_finds",),
        "Documents of equal rank come in another order than one partition gives them.",
    ),
    "numbers-asked-as-they-are": Bug(
        f"{HERE}/filters.py",
        "    if SEQUENCE not in paths_of(term):",
        "    if SEQUENCE in paths_of(term):",
        (f"{FINDING}::test_what_is_found_is_what_a_naive_search_finds",),
        "A filter asks each partition for its own numbers.",
    ),
    "later-pages-are-newer": Bug(
        f"{HERE}/collection.py",
        "        start = standing_of(after, count)\n",
        "        start = Standing(self._parts.horizons(None), standing_of(after, count).behind)\n",
        (f"{FINDING}::test_later_pages_are_of_the_moment_of_the_first",),
        "What is stored meanwhile shifts the pages.",
    ),
    "one-after-the-other": Bug(
        f"{HERE}/merging.py",
        "    waiting = [_threads().submit(copy_context().run, call) for call in calls[1:]]\n",
        "    return [call() for call in calls]\n    waiting = []\n",
        (f"{MODEL}::test_writes_to_several_partitions_go_out_side_by_side",),
        "Writes take as many times as long as there are partitions.",
    ),
}
