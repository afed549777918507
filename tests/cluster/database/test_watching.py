"""tests/database/test_watching.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import test_watching as original

globals().update(
    borrow(original, original.db, without=["test_the_records_of_a_collection_expire"])
)  # it takes the embedded one's clock
