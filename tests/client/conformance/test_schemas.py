"""tests/database/test_schemas.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import conftest
from tests.database import test_schemas as original

globals().update(borrow(original, conftest.db, without=["test_what_was_prepared_under_another_schema_is_not_stored"]))
