"""The demo's database: filled at once, then gently for as long as somebody looks."""

import random
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

import blockdb
from blockdb_tui.demo import open_demo, sources, writer

PATIENCE_S = 60


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A directory in no repository, so that the history is made of trades."""
    home = tmp_path / "nowhere"
    home.mkdir()
    return home


def test_a_history_is_loaded_and_then_grows(nowhere: Path) -> None:
    with open_demo(repository=nowhere) as demo:
        assert demo.database.stats().records == 0
        demo.start()
        assert demo.loaded.wait(PATIENCE_S)
        loaded = sources.HISTORY_RECORDS
        wait_until(lambda: demo.database.stats().records > loaded + 20)
        demo.stop()
        assert demo.error is None
        assert demo.database.stats().blocks >= loaded // 100
        assert demo.database.verify().valid


def test_the_temporary_directory_goes_away(nowhere: Path) -> None:
    with open_demo(repository=nowhere) as demo:
        path = demo.database.path
        assert path.is_dir()
        demo.start()
    assert not path.exists()


def test_a_kept_directory_is_continued(tmp_path: Path, nowhere: Path) -> None:
    home = tmp_path / "kept"
    with open_demo(home, repository=nowhere) as demo:
        demo.start()
        wait_until(lambda: demo.database.stats().records > sources.HISTORY_RECORDS)
    with open_demo(home, repository=nowhere) as demo:
        before = demo.database.stats().records
        demo.start()
        wait_until(lambda: demo.database.stats().records > before)
        demo.stop()
        assert demo.error is None
        assert demo.database.count(prefix=b"trade:") == demo.database.stats().records


def test_start_and_stop_can_be_repeated(nowhere: Path) -> None:
    with open_demo(repository=nowhere) as demo:
        demo.stop()
        for _ in range(2):
            demo.start()
            demo.start()
            before = demo.database.stats().records
            wait_until(lambda before=before: demo.database.stats().records > before)
            demo.stop()
            demo.stop()
            assert "blockdb-demo" not in {thread.name for thread in threading.enumerate()}


def test_a_database_that_refuses_ends_the_writer_quietly(nowhere: Path) -> None:
    with open_demo(repository=nowhere) as demo:
        demo.database.close()
        demo.start()
        wait_until(lambda: demo.error is not None)
        assert isinstance(demo.error, blockdb.DatabaseClosed)


def test_the_pace_is_gentle_and_uneven() -> None:
    paces = list(islice(writer.bursts(random.Random(3)), 2_000))
    rates = [size / pause_s for size, pause_s in paces]
    assert all(20 <= rate <= 60 for rate in rates)
    assert max(rates) > 50
    assert min(rates) < 30
    assert all(0 < pause_s <= 0.4 for _, pause_s in paces)
