"""tests/database/test_writing.py, over a collection of one partition."""

from tests.cluster.partitions.conformance.one import over_one
from tests.database import conftest
from tests.database import test_writing as original

globals().update(over_one(original, conftest.db, quick=["test_sequence_numbers_count_from_zero"]))
