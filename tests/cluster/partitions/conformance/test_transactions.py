"""tests/database/test_transactions.py, over a node of two that have partitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blockdb.cluster.partitions.database import PartitionedDatabase
from tests.client.borrowing import borrow
from tests.cluster.partitions.nodes import Cluster
from tests.database import test_transactions as original


@pytest.fixture
def db(tmp_path: Path) -> Iterator[PartitionedDatabase]:
    cluster = Cluster(tmp_path / "cluster", 2)
    cluster["n1"].create_collection("users")
    yield cluster["n1"]
    cluster.close()


ELSE = [
    "test_a_document_that_is_refused_leaves_the_transaction_as_it_was",  # unique indexes
    "test_a_range_that_was_read_stays_as_it_was",  # plain writes do not wait: see test_a_phantom_is_refused
    "test_an_attachment_sees_what_is_committed",
    "test_commit_says_where_records_are_in_the_order_of_commits",  # numbers have gaps
    "test_documents_are_found_with_own_ones_among_them",  # so has that of an own one
    "test_plain_writes_are_quick_again_once_nobody_holds_locks",
    "test_who_reads_is_not_overtaken_by_who_writes",
    "test_who_takes_too_long_gives_way_to_who_waits",
]
"""What is otherwise with partitions: docs/TRANSACTIONS.md says how."""

globals().update({**borrow(original, original.db, without=ELSE), "db": db})
