"""The tests of queries, over a network."""

import pytest

from tests.commands.test_queries import *  # noqa: F403

pytestmark = pytest.mark.torture
