"""tests/database/test_watching.py, over a collection of one partition."""

from tests.cluster.partitions.conformance.one import over_one
from tests.database import test_watching as original

OF_DATABASES = [
    "test_a_stream_of_what_is_not_there",
    "test_each_collection_has_a_stream_of_its_own",
    "test_the_records_of_a_collection_expire",
    "test_who_watches_is_told_that_the_collection_was_dropped",
]

globals().update(over_one(original, original.db, without=OF_DATABASES))
