"""tests/database/test_watching.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import test_watching as original

globals().update(borrow(original, original.db, without=["test_the_records_of_a_collection_expire"]))
