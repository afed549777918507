"""The tests of collections, over a network."""

import pytest

from tests.commands.test_collections import *  # noqa: F403

pytestmark = pytest.mark.torture
