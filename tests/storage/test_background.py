"""Threads that many share: what is woken is done, once at a time, and nobody waits for the work of others."""

from __future__ import annotations

import threading
from threading import Event, Thread, active_count
from time import monotonic

import pytest

from blockdb import StorageError
from blockdb.storage.background import Crew
from tests.storage.doors import PATIENCE_S, until


def test_there_is_no_thread_before_there_is_work_and_none_after_the_last_task() -> None:
    before = active_count()
    crew = Crew("crew", 2)
    done = Event()
    tasks = [crew.task(done.set) for _ in range(5)]
    assert active_count() == before
    tasks[3].wake()
    assert done.wait(PATIENCE_S)
    assert active_count() == before + 1
    for task in tasks[1:]:
        task.stop()
    assert active_count() == before + 1
    tasks[0].stop()
    assert active_count() == before
    tasks[0].stop()
    tasks[0].wake()
    assert active_count() == before
    again = crew.task(done.set)
    done.clear()
    again.wake()
    assert done.wait(PATIENCE_S)
    again.stop()
    assert active_count() == before


def test_what_is_woken_while_it_runs_runs_once_more() -> None:
    crew = Crew("crew", 2)
    runs: list[int] = []
    begun, go_on = Event(), Event()

    def work() -> None:
        runs.append(1)
        begun.set()
        assert go_on.wait(PATIENCE_S)

    task = crew.task(work)
    task.wake()
    assert begun.wait(PATIENCE_S)
    for _ in range(3):
        task.wake()
    assert len(runs) == 1, "never twice at the same time, though there are two threads"
    go_on.set()
    until(lambda: len(runs) == 2)
    task.stop()
    assert len(runs) == 2


def test_nobody_waits_for_the_work_of_others() -> None:
    crew = Crew("crew", 2)
    begun, go_on, done = Event(), Event(), Event()

    def be_slow() -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)

    slow, quick, never = crew.task(be_slow), crew.task(done.set), crew.task(lambda: runs.append(1))
    runs: list[int] = []
    slow.wake()
    assert begun.wait(PATIENCE_S)
    quick.wake()
    assert done.wait(PATIENCE_S)
    quick.stop()
    never.wake(3600)
    stopping = Thread(target=slow.stop)
    stopping.start()
    stopping.join(0.01)
    assert stopping.is_alive(), "its own work is waited for"
    go_on.set()
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()
    never.stop()
    assert not runs


def test_what_is_put_off_is_done_then_or_before_when_it_is_woken_again() -> None:
    crew = Crew("crew")
    done = Event()
    task, other = crew.task(done.set), crew.task(lambda: None)
    start = monotonic()
    task.wake(0.02)
    task.wake(3600)
    assert done.wait(PATIENCE_S)
    assert monotonic() - start >= 0.02
    done.clear()
    task.wake(3600)
    other.wake(1800)
    task.wake()
    assert done.wait(PATIENCE_S)
    task.stop()
    other.stop()


def test_work_that_goes_wrong_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr("blockdb.storage.background.excepthook", told.append)
    crew = Crew("crew")
    done = Event()

    def fail() -> None:
        raise ValueError("unexpected")

    bad, good = crew.task(fail), crew.task(done.set)
    bad.wake()
    good.wake()
    assert done.wait(PATIENCE_S)
    assert [type(args.exc_value) for args in told] == [ValueError]
    bad.stop()
    good.stop()


def test_where_the_system_has_no_thread_the_first_to_ask_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew("crew", 2)
    done = Event()
    task = crew.task(done.set)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        with pytest.raises(StorageError, match="no room for a thread"):
            task.wake()
    task.wake()
    assert done.wait(PATIENCE_S)
    task.stop()
