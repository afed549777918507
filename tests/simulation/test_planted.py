"""Bugs that only thousands of seeds find. Those that hundreds find are tried with all others, in `tests/planted`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.planted.planting import ROOT, planted
from tests.planted.raft_room import RARE


@pytest.mark.torture
@pytest.mark.parametrize("name", RARE)
def test_it_is_found(name: str) -> None:
    command = [sys.executable, "-m", "tests.simulation.planted", name]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_every_rare_bug_has_its_place() -> None:
    for bug in RARE.values():
        planted((ROOT / bug.file).read_text(), bug)
