"""tests/database/test_indexes.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import test_indexes as original

globals().update(
    borrow(
        original,
        original.db,
        quick=["test_a_violation_says_who_has_the_values_and_nothing_is_written"],
        without=[
            "test_a_write_that_was_prepared_without_the_index_is_prepared_anew",
            "test_an_index_is_made_while_others_write",
            "test_a_record_that_comes_during_the_building_violates_it",
        ],
    )
)  # an index is made between two writes there
