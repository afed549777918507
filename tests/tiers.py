"""The tiers of the tests: what every change waits for, and what `make torture` adds."""

from collections.abc import Iterable
from typing import Any

import pytest


def tiers(quick: Iterable[Any], long: Iterable[Any]) -> list[Any]:
    """The values of a parameter: those of the quick tier, and those of the long one."""
    return [*quick, *(pytest.param(value, marks=pytest.mark.torture) for value in long)]
