"""The tests of proofs, over a network."""

import pytest

from tests.commands.test_proofs import *  # noqa: F403

pytestmark = pytest.mark.torture
