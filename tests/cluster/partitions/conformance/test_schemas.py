"""tests/database/test_schemas.py, over a collection of one partition."""

from tests.cluster.partitions.conformance.one import over_one
from tests.database import conftest
from tests.database import test_schemas as original

globals().update(over_one(original, conftest.db))
