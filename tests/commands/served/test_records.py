"""The tests of records, over a network."""

import pytest

from tests.commands.test_records import *  # noqa: F403

pytestmark = pytest.mark.torture
