"""tests/database/test_reading.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import conftest
from tests.database import test_reading as original

globals().update(
    borrow(original, conftest.db, quick=["test_what_is_not_there"], without=["test_statistics_count_what_was_done"])
)  # the log takes room too
