"""The tests of schemas, over a network."""

import pytest

from tests.commands.test_schemas import *  # noqa: F403

pytestmark = pytest.mark.torture
