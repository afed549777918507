"""tests/database/test_writing.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import conftest
from tests.database import test_writing as original

globals().update(
    borrow(
        original,
        conftest.db,
        quick=["test_sequence_numbers_count_from_zero", "test_any_byte_may_stand_in_a_key_and_in_a_value"],
        without=["test_a_value_has_at_most_64_mib"],
    )
)
