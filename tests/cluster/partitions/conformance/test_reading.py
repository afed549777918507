"""tests/database/test_reading.py, over a collection of one partition."""

from tests.cluster.partitions.conformance.one import over_one
from tests.database import conftest
from tests.database import test_reading as original

globals().update(over_one(original, conftest.db, quick=["test_what_is_not_there"]))
