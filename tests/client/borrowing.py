"""The tests of the embedded interface, over the wire: the same functions, with a database that is on a server."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest

import blockdb
from tests.client.served import served


@pytest.fixture
def db(embedded: blockdb.Database) -> Iterator[blockdb.RemoteDatabase]:
    """A connection to a server of the database that the borrowed tests would have had."""
    with served(embedded) as server, blockdb.connect(server.url, attempts=2) as remote:
        yield remote


def borrow(
    module: ModuleType, embedded: Any, *, quick: Collection[str] = (), without: Collection[str] = ()
) -> dict[str, Any]:
    """What a module of tests consists of that runs those of another one which take a `db` alone.

    `quick` are in the quick tier; `without` are about things that are the embedded database's own.
    """
    functions = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    missing = {*quick, *without} - functions.keys()
    assert not missing, f"there are no such tests to borrow: {missing}"
    wanted = {
        name: _copy(function, is_quick=name in quick)
        for name, function in functions.items()
        if "db" in inspect.signature(function).parameters and name not in without
    }
    return {"db": db, "embedded": embedded, **wanted}


def _copy(function: Any, *, is_quick: bool) -> Any:
    """A function of its own, so that a mark on it is not on the original too."""
    made = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    made.__dict__["pytestmark"] = list(getattr(function, "pytestmark", []))
    return made if is_quick else pytest.mark.torture(made)
