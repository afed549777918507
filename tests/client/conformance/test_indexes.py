"""tests/database/test_indexes.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import test_indexes as original

globals().update(
    borrow(
        original,
        original.db,
        without=[
            "test_a_dropped_index_stays_readable_for_who_reads_it",
            "test_its_bytes_are_counted",
            "test_a_write_that_was_prepared_without_the_index_is_prepared_anew",
            "test_an_index_is_made_while_others_write",
            "test_values_are_found_in_the_order_of_the_fields",
        ],
    )
)
