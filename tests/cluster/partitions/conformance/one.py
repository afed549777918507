"""The tests of the embedded interface over a collection of one partition: everything is as it is without it."""

from __future__ import annotations

from collections.abc import Collection as Names
from types import ModuleType
from typing import Any

import pytest

import blockdb
from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.database.collection import Collection
from tests.client.borrowing import borrow
from tests.cluster.partitions.spread import one_by_one


class OnePartition(PartitionedCollection):
    """A collection over a database; what is the database's own affair goes there."""

    def __init__(self, database: blockdb.Database) -> None:
        self._database = database
        super().__init__(database.id, database.name, lambda: [database], one_by_one(lambda: [database]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


for _name in ("create_collection", "collection", "close", "transaction", "__enter__", "__exit__"):
    assert not hasattr(Collection, _name), "what a collection has, is not asked of the database"


@pytest.fixture
def db(embedded: blockdb.Database) -> OnePartition:
    """A collection of one partition, over the database that the borrowed tests would have had."""
    return OnePartition(embedded)


def over_one(module: ModuleType, embedded: Any, quick: Names[str] = (), without: Names[str] = ()) -> dict[str, Any]:
    """See `borrow`."""
    return borrow(module, embedded, quick=quick, without=without) | {"db": db}
