"""tests/database/test_indexes.py, over a collection of one partition."""

from tests.cluster.partitions.conformance.one import over_one
from tests.database import test_indexes as original

globals().update(over_one(original, original.db))
