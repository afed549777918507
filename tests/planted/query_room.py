"""Bugs of the filter language, of plans, and of how queries are run."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

PLANS: Final = ("tests/query/test_plan.py::test_choice",)
FINDING: Final = "tests/database/test_finding.py"

QUERY: Final[dict[str, Bug]] = {
    "true-is-one": Bug(
        "blockdb/query/evaluation.py",
        "        is_like_bool = right in (0, 1)\n",
        "        is_like_bool = False\n",
        ("tests/query/test_evaluation.py::test_false",),
        "In Python true equals 1, and so it does in a filter.",
    ),
    "sparse-taken": Bug(
        "blockdb/query/plan.py",
        "    if index.sparse and not present.issuperset(index.fields):\n        return None\n",
        "",
        PLANS,
        "A sparse index is used where the filter is true of documents that it leaves out.",
    ),
    "halves-of-a-plural-range": Bug(
        "blockdb/query/constraints.py",
        "    if path.plural:\n",
        "    if False:\n",
        PLANS,
        "Two bounds of an array's members are taken for those of one member.",
    ),
    "mixed-directions": Bug(
        "blockdb/query/plan.py",
        "len({step.descending for step in steps}) > 1 or ",
        "",
        PLANS,
        "An index is said to serve an order that goes up by one field and down by another.",
    ),
    "open-end-closed": Bug(
        "blockdb/query/plan.py",
        "Bound(high.value, not high.closed)",
        "Bound(high.value, high.closed)",
        PLANS,
        "A bound of the sequence number is off by one.",
    ),
    "quarter-ignored": Bug(
        "blockdb/query/plan.py",
        "        return entries is not None and entries > self.total * SMALL_PART\n",
        "        return False\n",
        ("tests/query/test_plan.py::test_an_index_is_not_taken_where_reading_all_records_is_quicker",),
        "Most of the records are read through an index, one by one.",
    ),
    "found-twice": Bug(
        "blockdb/database/queries/search.py",
        "        places = {place for source in self.plan.sources for place in self._places(source)}\n",
        "        places = [place for source in self.plan.sources for place in self._places(source)]\n",
        (f"{FINDING}::test_what_several_entries_lead_to_is_given_once",),
        "A document that several entries of an index lead to is given several times.",
    ),
    "page-begins-at-the-cursor": Bug(
        "blockdb/database/queries/search.py",
        '                yield max(start, edge + b"\\0"), stop\n',
        "                yield max(start, edge), stop\n",
        (f"{FINDING}::test_an_index_that_comes_or_goes_changes_no_page",),
        "A page begins with the document at which the one before ended.",
    ),
    "fingerprint-without-order": Bug(
        "blockdb/database/queries/querying.py",
        "filter_text(self.term), order_text(self.steps), str(self.as_of)",
        "filter_text(self.term), str(self.as_of)",
        (f"{FINDING}::test_a_cursor_outlives_the_handle_but_fits_its_query_alone",),
        "A cursor is taken by a query with another order.",
    ),
    "moment-unbound": Bug(
        "blockdb/storage/columns.py",
        "        yield columns._replace(first_sequence=sequence).between(low.place, high.place)\n",
        "        yield columns._replace(first_sequence=sequence)\n",
        (f"{FINDING}::test_a_search_of_the_past_ends_with_its_moment",),
        "A query of the past sees the rest of the run in which its moment lies.",
    ),
    "count-of-now": Bug(
        "blockdb/database/queries/search.py",
        "is_whole = self.moment.is_now and not self._low.place",
        "is_whole = not self._low.place",
        (f"{FINDING}::test_a_search_of_the_past_ends_with_its_moment",),
        "A count of the past is taken from the size of an index as it is now.",
    ),
    "pasted-value": Bug(
        "blockdb/query/text.py",
        """value.replace("'", "''")""",
        "value",
        ("tests/query/test_parser.py::test_what_a_filter_says",),
        "The text of a filter lets a value end early.",
    ),
}
