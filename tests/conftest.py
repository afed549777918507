"""What every test stands on: no settings, no history and no terminal of the person who runs it."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.tally import Totals, taken

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when textual is imported

# Compiling the modules takes longer than most tests, and each process that a test starts would do it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# Who starts the tests in the background has them ignore Ctrl-C, and each process that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


MEMORY = Path("/dev/shm")
LEAST_FREE_BYTES = 4 << 30

# Tests make thousands of small files, and a disk takes its time even where nothing is forced. Where there is plenty of
# memory they are made there. What passed is removed at once (see pyproject.toml); --basetemp says another place.
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= LEAST_FREE_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def force_nothing(descriptor: int) -> None:
    """In place of forcing a file to the disk: no test cuts the power, and those that play it record the calls."""


# Thousands of modules and tests are collected, and all of them stay: looking for garbage meanwhile is a fifth of it.
gc.disable()

# Before the engine is imported, which takes these once. A process that a test starts forces as always.
os.fsync = os.fdatasync = force_nothing

# Two noisy cores: an example may take its time. The long tier may try more of them.
settings.register_profile("quick", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.register_profile("torture", deadline=None, max_examples=2_000)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("hypothesis_profile", None):
        settings.load_profile("torture" if config.getoption("markexpr") == "torture" else "quick")


def pytest_collection_finish() -> None:
    """What was collected stays until the end: no collection of garbage need look through it."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


was_run: set[str] = set()
tried = Totals()
uncollected: list[str] = []


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        uncollected.append(report.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    was_run.add(report.nodeid)
    if report.when == "call":
        tried.add(report.nodeid, report.user_properties)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What a test counted is told with its report, which comes here from whichever process ran it."""
    try:
        yield
    finally:
        item.user_properties += taken()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in tried.lines():
        terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Failed tests are the reason of an end only where all were run: several workers say so of any end.

    Who wants no more than some failures (`-x`) has the others left out on purpose.
    """
    if session.config.getoption("maxfail"):
        return
    if exitstatus == pytest.ExitCode.TESTS_FAILED and (uncollected or len(was_run) < session.testscollected):
        session.exitstatus = pytest.ExitCode.INTERRUPTED


@pytest.fixture(autouse=True)
def nobodys_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is empty, and none of the variables that change what a program says or reads."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name in list(os.environ):
        if name.startswith(("BLOCKDB_", "XDG_", "GIT_")) or name in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
