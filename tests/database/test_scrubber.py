"""The scrubber: it finds what is changed while it runs, tells it, keeps to its rate and ends when the database does."""

import json
import logging
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.audit.scrub import Pace
from blockdb.database import scrubber as scrubber_module
from blockdb.database.scrubber import Scrubber, ScrubFile, load_state
from blockdb.process import start_python
from tests.storage.doors import collection_of, pairs, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        db.put_many(pairs(range(50)))
        db.flush()
    return db.path


@pytest.fixture
def scrubber(path: Path) -> Any:
    made: list[Scrubber] = []

    def make(rate_limit: int = 1 << 30, **others: Any) -> Scrubber:
        options = {"interval_s": 0.05, "first_after_s": 0.0, **others}
        made.append(Scrubber(path, path / "scrub.toml", rate_limit, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def flip(path: Path) -> str:
    chain = collection_of(path).segment(0)
    data = bytearray(chain.read_bytes())
    data[len(data) // 2] ^= 1
    chain.write_bytes(data)
    return chain.name


def test_a_byte_that_is_flipped_while_it_runs_is_found_told_and_kept(
    path: Path, scrubber: Callable[..., Scrubber], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "blockdb")
    at_work = scrubber()
    until(lambda: at_work.state.passes >= 1)
    assert (at_work.state.problems, at_work.state.records_done) == ((), 50)
    name = flip(path)
    until(lambda: bool(at_work.state.problems))
    [problem] = at_work.state.problems
    assert name in problem
    assert "expected check" in problem
    flip(path)
    passes = at_work.state.passes
    until(lambda: at_work.state.passes > passes + 1)
    assert at_work.state.problems == (problem,), "it was there, whoever mended it"
    assert [record.getMessage() for record in caplog.records].count(f"the scrubber found damage: {problem}") == 1
    at_work.close()
    left = load_state(path / "scrub.toml")
    assert left is not None
    assert (left.problems, left.running) == ((problem,), False)
    again = scrubber()
    assert again.state.problems == (problem,)
    until(lambda: again.state.passes > left.passes)
    assert again.state.problems == (), "a whole pass has found nothing"


def test_the_state_is_in_the_statistics_of_the_handle_and_of_those_that_attach(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubber_module, "FIRST_AFTER_S", 0.0)
    with blockdb.open(path) as db:
        assert db.stats().scrub == blockdb.ScrubStatistics()
    with blockdb.open(path, scrub_rate_limit=1 << 30) as db:
        until(lambda: db.stats().scrub.passes == 1)
        assert db.stats().scrub.rate_limit == 1 << 30
        with blockdb.open(path, read_only=True) as reader:
            until(lambda: reader.stats().scrub.passes == 1)
            assert reader.stats().scrub.problems == ()
    assert not [thread for thread in threading.enumerate() if thread.name == "blockdb-scrub"]


def test_it_stops_at_once_and_its_process_with_it(scrubber: Callable[..., Scrubber]) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, argument: str, _: bytes) -> subprocess.Popen[bytes]:
        started.append(start_python(module, argument))
        return started[-1]

    slow = scrubber(rate_limit=1, start=start)  # a pass would take hours
    until(lambda: slow.state.running and bool(started))
    slow.close()
    assert started[0].poll() is not None
    assert not slow.state.running
    assert slow.state.failure is None


def test_a_process_whose_database_is_gone_ends(path: Path) -> None:
    process = start_python("blockdb.audit.scrub", json.dumps({"path": str(path), "rate_limit": 1}))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize(
    "module", ["blockdb.no_such_module", pytest.param("blockdb.audit.scrub", marks=pytest.mark.torture)]
)
def test_whatever_happens_to_a_pass_there_is_a_next_one(
    path: Path, scrubber: Callable[..., Scrubber], module: str
) -> None:
    failures: list[str | None] = []
    starts = [module, ""]

    def start(usual: str, argument: str, _: bytes) -> subprocess.Popen[bytes]:
        failures.append(at_work[0].state.failure if at_work else None)
        given = starts.pop(0) if starts else usual
        if not given:
            raise OSError("there are no more processes")
        return start_python(given, argument.replace(str(path), "/nowhere") if starts else argument)

    at_work: list[Scrubber] = []
    at_work.append(scrubber(start=start))
    until(lambda: at_work[0].state.passes > 0)
    assert at_work[0].state.failure is None
    assert failures[2] == "OSError: there are no more processes"
    assert failures[1] is not None


def test_it_keeps_to_its_rate() -> None:
    now, waited = [0.0], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    pace = Pace(1000, wait, lambda: now[0])
    for _ in range(10):
        pace(500)
        now[0] += 0.1  # what the work itself takes is part of the time
    assert now[0] == pytest.approx(4.6)
    now[0] += 100
    pace(500)
    pace(500)
    assert waited[-1] == pytest.approx(0.5), "time that went by is not saved up"


def test_a_state_that_is_no_state_is_none(path: Path) -> None:
    file = path / "scrub.toml"
    assert ScrubFile(file).state() == blockdb.ScrubStatistics()
    file.write_text("hello")
    assert ScrubFile(file).state() == blockdb.ScrubStatistics()
    file.write_bytes(os.urandom(100))
    assert load_state(file) is None
