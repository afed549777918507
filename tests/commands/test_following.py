"""A write is followed: exactly where this process writes, as it is seen where another does, and what is known later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.commands.context import Context
from blockdb.commands.following import Following, Stage
from blockdb.commands.invocation import parse_line
from blockdb.commands.results import Result, Table
from tests.commands.conftest import Run


def reached(following: Following, writes: list[Any] | None = None, timeout_s: float = 20) -> list[Stage]:
    """The stages; whenever nothing comes, one of the writes is made."""
    found = []
    for stage in following.stages(timeout_s):
        if stage is not None:
            found.append(stage)
        elif writes:
            writes.pop(0)()
    return found


def names(stages: list[Stage]) -> list[str]:
    return [stage.name for stage in stages]


def put(database: Any, *keys: bytes) -> list[Any]:
    return [lambda key=key: database.put(key, b"v") for key in keys]


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2, wal_sync_interval=0) as database:
        yield database


def test_a_writer_tells_exactly_when_its_next_write_reaches_each_stage(writer: Any, tmp_path: Path) -> None:
    writer.add_anchor(tmp_path / "anchor")
    publish = [*put(writer, b"a", b"b"), writer.publish]
    following = Following(writer, writer)
    stages = reached(following, publish)
    assert names(stages) == ["accepted", "logged", "forced", "sealed", "proven", "anchored"]
    times = [stage.ms for stage in stages]
    assert times == sorted(times, key=float)
    assert times[0] == 0.0
    assert [stage.within_ms is None for stage in stages] == [True] * 5 + [False]
    assert following.key == b"a"
    assert "block 0" in stages[3].words
    assert "hashes recomputed here" in stages[4].words
    assert str(tmp_path / "anchor") in stages[5].words
    assert writer._store.trace is None, "nobody is told any more"


def test_of_another_process_it_is_told_when_a_stage_was_first_seen(writer: Any) -> None:
    with blockdb.open(writer.path, read_only=True, create=False) as reader:
        stages = reached(Following(reader, reader), put(writer, b"a", b"b"))
        assert names(stages) == ["stored", "sealed", "proven"]
        assert [stage.within_ms is not None for stage in stages] == [True, True, False]
        assert "(seen, within " in stages[0].when
        writer.put(b"c", b"v")
        told = reached(Following(reader, reader, key=b"c", waits=False))
        assert names(told) == ["stored", "open", "proven"]
        assert [stage.when for stage in told] == ["before", "before", "now"]
        with pytest.raises(blockdb.KeyNotFound):
            reached(Following(reader, reader, key=b"never"))


def test_what_is_stopped_ends_and_what_never_comes_times_out(writer: Any) -> None:
    following = Following(writer, writer)
    stages = following.stages(20)
    assert next(stages) is None
    following.stop()
    assert [*stages] == []
    assert writer._store.trace is None
    ticks = iter(range(100))
    silent = Following(writer, writer, clock=lambda: float(next(ticks)), sleep=lambda _: None)
    assert reached(silent, timeout_s=5) == []
    trace = writer.trace()
    with pytest.raises(blockdb.InvalidData):
        writer.put(b"", b"v")
    assert trace.sequence == -1
    assert writer.put_many([(b"x", b"1"), (b"y", b"2")])[0] == trace.sequence
    assert trace.key == b"x"
    with blockdb.open(writer.path, read_only=True, create=False) as reader, pytest.raises(blockdb.ReadOnly):
        reader.trace()


def test_what_was_answered_by_a_database_that_forces_each_write_is_on_the_disk(writer: Any, tmp_path: Path) -> None:
    def told(database: Any) -> list[Stage]:
        database.put(b"a", b"v")
        return reached(Following(database, database, key=b"a", took_ms=2.5, waits=False))

    assert [(stage.name, stage.when) for stage in told(writer)[:2]] == [("forced", "before"), ("answered", "+2.500 ms")]
    with blockdb.open(tmp_path / "lazy", wal_sync_interval=1000) as lazy:
        assert names(told(lazy))[:2] == ["answered", "stored"]


def test_a_shell_proves_what_it_wrote_or_read_last(writer: Any) -> None:
    context = Context(lambda: writer, in_shell=True)

    def ran(line: str) -> Result:
        return parse_line(line).run(context)

    with pytest.raises(blockdb.commands.failures.UsageError, match="no record was written or read"):  # type: ignore[attr-defined]
        ran("verify last")
    ran("put a 1")
    table = ran("verify last")
    assert isinstance(table, Table)
    rows = [*table.rows]
    assert [row["stage"] for row in rows] == ["accepted", "logged", "forced", "open", "proven"]
    assert rows[1]["when"].endswith(" ms")
    ran("put b 2")
    ran("get a")
    table = ran("verify last")
    assert isinstance(table, Table)
    assert [row["stage"] for row in table.rows] == ["stored", "sealed", "proven"]


def test_one_record_is_proven_on_the_command_line(run: Run, here: Path) -> None:
    run("put", "a", "1")
    ran = run("verify", "--record", "a", "--format", "jsonl")
    assert (ran.code, ran.text.count("\n")) == (0, 3)
    assert '"stage":"proven"' in ran.text
    assert run("verify", "--record", "b").code == 1
    assert "--record KEY" in run("verify", "last").err
    followed = run("follow", "a", "--timeout", "0")
    assert '"stage":"stored"' in followed.text
