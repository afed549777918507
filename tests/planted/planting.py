"""Planting bugs: a copy of the engine with one small change, and the tests that should notice it.

The copy is a whole one, since a part of what is tested runs in processes that the engine starts by itself: each of
them imports the package from beside the module that starts it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {"blockdb": "blockdb", "repl": "blockdb_repl", "tui": "blockdb_tui", "themes": "blockdb_themes"}
"""The folders, and the names under which they are imported."""
READ_BY_TESTS: Final = ("docs", "deploy")

TEST_TIMEOUT_S: Final = 240
RUN_TIMEOUT_S: Final = 1200
FAILED: Final = 1
"""What pytest exits with where tests ran and failed; other numbers say that it came to no tests."""

_BROKEN = re.compile(
    r"^E +(?:NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError|Failed: Timeout)\b"
    r"|^E +FileNotFoundError: .*/house/(?!tmp/)"  # what a test reads, and the copy has not
    r"|^\[XPASS\(strict\)\]",
    re.MULTILINE,
)
_FAILURES = re.compile(r"^FAILED (\S+)", re.MULTILINE)


class Bug(NamedTuple):
    """A change of the source that the tests must notice."""

    file: str
    old: str
    """What is replaced: it occurs exactly once."""
    new: str
    tests: tuple[str, ...]
    """Which tests notice it, as pytest is told of them."""
    means: str
    """What it stands for."""


class Outcome(NamedTuple):
    """What became of a run of tests."""

    code: int
    words: str

    @property
    def passed(self) -> bool:
        """Whether there were tests, and all of them passed."""
        return self.code == 0

    @property
    def failures(self) -> list[str]:
        """The tests that failed."""
        return _FAILURES.findall(self.words)

    @property
    def found_a_bug(self) -> bool:
        """Whether a test failed by what it looked at.

        A change that makes no sense finds nothing, nor does a test that does not end, or passes against expectation.
        """
        return self.code == FAILED and bool(self.failures) and not _BROKEN.search(self.words)


def planted(source: str, bug: Bug) -> str:
    """The source with the bug in it. Raises ValueError where its place is not to be found."""
    count = source.count(bug.old)
    if count != 1:
        raise ValueError(f"{bug.file}: {bug.old!r} occurs {count} times; it should once. Has the code moved on?")
    changed = source.replace(bug.old, bug.new)
    compile(changed, bug.file, "exec")
    return changed


def copy_of_the_house(target: Path) -> Path:
    """A copy of everything that the tests of the engine stand on, under the names that are imported."""
    target.mkdir()
    shutil.copy(ROOT / "pyproject.toml", target)
    for folder, name in PACKAGES.items():
        shutil.copytree(ROOT / folder, target / name)  # with what was compiled: times are kept
    for folder, name in PACKAGES.items():
        if folder != name:
            (target / folder).symlink_to(name)
    for folder in READ_BY_TESTS:
        shutil.copytree(ROOT / folder, target / folder)
    shutil.copytree(ROOT / "tests", target / "tests", ignore=shutil.ignore_patterns("__pycache__", "__snapshots__"))
    return target


@contextmanager
def planting(house: Path, bug: Bug) -> Iterator[None]:
    """The bug stands in a copy for as long as the context lasts."""
    path = house / bug.file
    changed = planted(path.read_text(), bug)
    aside = path.rename(path.with_suffix(".aside"))
    try:
        path.write_text(changed)
        _forget_what_was_compiled(path)
        yield
    finally:
        aside.replace(path)
        _forget_what_was_compiled(path)


def _forget_what_was_compiled(path: Path) -> None:
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def run_tests(house: Path, tests: Iterable[str]) -> Outcome:
    """Run tests in a copy, up to the first that fails, in a process that ends within its time.

    Of whole files those of the quick tier; tests that are named one by one, whichever tier they are of.
    """
    tests = list(tests)
    command = [sys.executable, "-m", "pytest", *tests, "-x", "-q", "-rfE", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-m", ""] if all("::" in test for test in tests) else []
    command += [
        "--hypothesis-profile",
        "thorough",
        "--hypothesis-seed",
        "0",
        "--timeout",
        str(TEST_TIMEOUT_S),
        "--basetemp",
        str(house / "tmp"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    environment |= {"PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=house, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            words = process.communicate(timeout=RUN_TIMEOUT_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Outcome(-signal.SIGKILL, f"the tests did not end within {RUN_TIMEOUT_S} s")
    return Outcome(process.returncode, words.decode(errors="replace"))


def try_bug(house: Path, bug: Bug) -> Outcome:
    """Plant a bug into the copy at `house`, and run the tests that should find it. The copy is as before then."""
    with planting(house, bug):
        return run_tests(house, bug.tests)
