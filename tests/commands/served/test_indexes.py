"""The tests of indexes, over a network."""

import pytest

from tests.commands.test_indexes import *  # noqa: F403

pytestmark = pytest.mark.torture
