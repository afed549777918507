"""The tests of the embedded database, over a replicated log: the same functions, with a database of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

import pytest

import blockdb
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.lone import LoneLog
from blockdb.format.consensus import Member
from tests.client import borrowing


@pytest.fixture
def db(embedded: blockdb.Database) -> Iterator[ReplicatedDatabase]:
    """The database that the borrowed tests would have had, as the beginning of a cluster of one node."""
    config = embedded.config
    embedded.close()
    with open_replicated(config, LoneLog(Member("one")), adopt=True, patience_s=20) as replicated:
        yield replicated


def borrow(
    module: ModuleType, embedded: Any, *, quick: Collection[str] = (), without: Collection[str] = ()
) -> dict[str, Any]:
    """What a module of tests consists of that runs those of another one: see `tests.client.borrowing`."""
    return {**borrowing.borrow(module, embedded, quick=quick, without=without), "db": db}
