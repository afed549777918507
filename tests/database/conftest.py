from collections.abc import Iterator
from pathlib import Path

import pytest

import blockdb


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    """An empty database whose blocks have four records."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        yield db
