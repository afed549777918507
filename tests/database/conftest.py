from collections.abc import Iterator
from pathlib import Path

import pytest

import blockdb
from tests.database.clock import Clock, standing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    return standing(monkeypatch)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    """An empty database whose blocks have four records."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        yield db
