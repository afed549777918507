"""tests/database/test_writing.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import conftest
from tests.database import test_writing as original

globals().update(
    borrow(
        original,
        conftest.db,
        quick=["test_sequence_numbers_count_from_zero", "test_a_key_that_is_twice_in_a_batch_refuses_all_of_it"],
        without=["test_a_record_may_be_asked_for_while_it_is_written"],
    )
)  # it is about one way of writing
