"""tests/database/test_transactions.py, over a replicated log."""

from tests.cluster.database.borrowing import borrow
from tests.database import test_transactions as original

globals().update(borrow(original, original.db))
