"""One write notes when it reaches its stages, and no other is in the way of that."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

import blockdb
from blockdb.storage.tracing import Trace


def test_a_force_of_what_was_there_before_is_not_that_of_the_write() -> None:
    trace, writer = Trace(), SimpleNamespace()
    writer.trace = trace
    trace.begin(writer)  # type: ignore[arg-type]
    trace.begun()
    trace.logged(7, b"k", 100)
    trace.logged(8, b"l", 120)
    trace.forced(99)
    assert (trace.sequence, trace.key, trace.forced_ns) == (7, b"k", 0)
    trace.forced(100)
    trace.sealed(0, 7)
    assert (trace.forced_ns > trace.logged_ns, trace.sealed_ns) == (True, 0)
    trace.sealed(1, 8)
    assert (trace.block, writer.trace) == (1, None)


def test_of_many_writers_the_first_is_traced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as database:
        store: Any = database._store
        trace, go = database.trace(), Event()

        def write(name: int) -> None:
            go.wait(20)
            for number in range(10):
                database.put(b"%d:%d" % (name, number), b"v")

        threads = [Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        go.set()
        for thread in threads:
            thread.join(20)
        assert (trace.sequence, trace.block) == (0, 0)
        record = database.record(trace.key)
        assert record is not None
        assert record.sequence == 0
        database.put(b"forced", b"v", sync=True)
        assert trace.begun_ns <= trace.logged_ns <= trace.forced_ns
        assert store.trace is None
        second, third = database.trace(), database.trace()
        database.put_many([(b"x", b"1"), (b"y", b"2")])
        assert (second.sequence, third.sequence, third.key) == (-1, 41, b"x")
        second.end()
        assert store.trace is third
        third.end()
        assert store.trace is None


def test_what_is_counted_is_among_the_records_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between storing a batch and counting it is short, so it is looked at from within."""
    with blockdb.open(tmp_path / "db") as database:
        seen = []
        monkeypatch.setattr(Trace, "logged", lambda *_: seen.append((database.count(), len(list(database.records())))))
        for number in range(2):
            database.trace()
            database.put_many([(b"%d:%d" % (number, ordinal), b"v") for ordinal in range(3)])
        database.trace()
        database.put(b"k", b"v")
    assert seen == [(3, 3), (6, 6), (7, 7)]
