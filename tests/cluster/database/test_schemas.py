"""tests/database/test_schemas.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import conftest
from tests.database import test_schemas as original

globals().update(
    borrow(
        original,
        conftest.db,
        without=[
            "test_records_that_come_while_others_are_looked_at",
            "test_what_was_prepared_under_another_schema_is_not_stored",
        ],
    )
)  # a schema is set between two writes there
