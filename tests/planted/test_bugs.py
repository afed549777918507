"""Bugs that are planted on purpose are found: who changes a test sees whether it still guards what it guarded."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.planted.catalogue import BUGS
from tests.planted.planting import ROOT, Bug, planted, run_tests, try_bug
from tests.tally import FOUND, PLANTED, tally

QUICK = {"recovery:cut-below-the-mark"}
"""One for every day; all of them in the long tier."""


@pytest.mark.parametrize(
    "bug",
    [pytest.param(bug, id=name, marks=[] if name in QUICK else pytest.mark.torture) for name, bug in BUGS.items()],
)
def test_it_is_found(house: Path, bug: Bug) -> None:
    outcome = try_bug(house, bug)
    tally(PLANTED)
    tally(FOUND, outcome.found_a_bug)
    assert outcome.found_a_bug, f"{bug.means}\n{outcome.words}"


@pytest.mark.torture
def test_without_a_bug_the_same_tests_pass(house: Path) -> None:
    named = dict.fromkeys(test for bug in BUGS.values() for test in bug.tests)
    files = {test for test in named if "::" not in test}
    single = [test for test in named if test.partition("::")[0] not in files]
    for tests in (files, single):  # of those that are named one by one, the long ones, too
        outcome = run_tests(house, tests)
        assert outcome.passed, outcome.words


# ── what takes no process ────────────────────────────────────────────────────────────────────────────────────────


def test_every_bug_has_its_place_and_its_tests(tmp_path: Path) -> None:
    text_of = cache(lambda path: (ROOT / path).read_text())
    for name, bug in BUGS.items():
        (tmp_path / f"{name.replace(':', '-')}.py").write_text(planted(text_of(bug.file), bug))
        for test in bug.tests:
            path, _, function = test.partition("::")
            assert f"def {function.partition('[')[0]}" in text_of(path), f"{test} is gone"
    unknown_names = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821"]
    checked = subprocess.run([*unknown_names, "--output-format", "concise", tmp_path], capture_output=True, check=False)
    assert not checked.returncode, checked.stdout.decode()


def test_every_room_of_the_engine_has_bugs() -> None:
    rooms = {path.name for path in (ROOT / "blockdb").iterdir() if (path / "__init__.py").exists()}
    rooms -= {"interface"}  # types alone
    places = [Path(bug.file).parts for bug in BUGS.values()]
    assert rooms <= {room for package, room, *_ in places if package == "blockdb"}
    assert rooms == {room for package, room, *_ in places if package == "blockdb" and not room.endswith(".py")}
