from tests.client.borrowing import borrow
from tests.database import conftest
from tests.database import test_writing as original

globals().update(borrow(original, conftest.db))
