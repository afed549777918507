"""tests/database/test_writing.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import conftest
from tests.database import test_writing as original

globals().update(
    borrow(
        original,
        conftest.db,
        without=["test_a_record_may_be_asked_for_while_it_is_written", "test_a_value_has_at_most_64_mib"],
    )
)
