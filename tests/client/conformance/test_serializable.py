from tests.client.borrowing import borrow
from tests.database import test_serializable as original

globals().update(borrow(original, original.db))
