"""The tests of transfer, over a network."""

import pytest

from tests.commands.test_transfer import *  # noqa: F403

pytestmark = pytest.mark.torture
