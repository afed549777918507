"""The tests of watch, over a network."""

import pytest

from tests.commands.test_watch import *  # noqa: F403

pytestmark = pytest.mark.torture
