"""tests/database/test_reading.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import conftest
from tests.database import test_reading as original

globals().update(borrow(original, conftest.db, quick=["test_what_is_not_there"]))
