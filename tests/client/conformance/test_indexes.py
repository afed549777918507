from tests.client.borrowing import borrow
from tests.database import test_indexes as original

globals().update(borrow(original, original.db))
