"""What the tests of this room share."""

from pathlib import Path

import pytest

from tests.planted.planting import copy_of_the_house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house, in which one bug after the other is planted."""
    return copy_of_the_house(tmp_path_factory.mktemp("planted") / "house")
