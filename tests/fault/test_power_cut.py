"""A process that is killed, or a machine whose power is cut, at any moment of a database's life.

Each life is recorded once, every operation of it. For each moment the states are built that may then be on the disk,
and the real engine opens them: all that was acknowledged is there, as far as it was promised to survive that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

import blockdb
from blockdb.format.mark import GUARD, WRITTEN_WORD
from blockdb.storage.log import Log
from tests.fault.crash.disk import Disk, Reserve, Resize, Write, edited
from tests.fault.crash.judge import NAME, Broken, Judge, Level, assert_nothing_missed, boot_id_of, lay_out, served_by
from tests.fault.crash.lives import LIVES, lived
from tests.fault.crash.recorder import RecordingDoor, unknown_calls
from tests.fault.crash.states import Crash, Effort, crashes, power_cuts
from tests.storage.doors import open_through
from tests.tally import CRASH_STATES, tally
from tests.tiers import tiers

MEMORY = Path("/dev/shm")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Where states are laid out: in memory, where the system has such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
        yield Path(directory)


NAMES = list(LIVES)

QUICK = Level(Effort(cuts=1, outcomes=2))
QUICK_STATES = 130
ALL = Level(Effort(cuts=200, outcomes=150))
ALL_STATES = 3_000


def try_life(work: Path, name: str, level: Level, going_on: float) -> int:
    """Crash a life everywhere; how many states there were."""
    with lived(name, work / "life") as life:
        assert_nothing_missed(life.door)
        judge = Judge(work, 1, going_on=going_on, **life.settings)
        judge.try_life(life.door, [level])
    tally(CRASH_STATES, judge.distinct)
    return judge.distinct


DAILY = set(NAMES) - {"merging beside", "indexed"}


@pytest.mark.parametrize(
    "name", [name if name in DAILY else pytest.param(name, marks=pytest.mark.torture) for name in NAMES]
)
def test_a_crash_at_any_operation(work: Path, name: str) -> None:
    assert try_life(work, name, QUICK, going_on=0.1) >= QUICK_STATES


@pytest.mark.torture
@pytest.mark.parametrize("name", [name for name in NAMES if name != "indexed"])  # which takes a quarter of an hour
def test_every_state_after_a_crash_at_any_operation(work: Path, name: str) -> None:
    assert try_life(work, name, ALL, going_on=1) >= ALL_STATES


@pytest.mark.torture
def test_the_directory_of_a_new_database(work: Path) -> None:
    with lived("forced", work / "life", made=False) as life:
        judge = Judge(work, 1, **life.settings)
        judge.try_life(life.door, [QUICK])
    tally(CRASH_STATES, judge.distinct)


def read_without_writing(crash: Crash, root: Path, settings: dict[str, Any]) -> None:
    """Attach to what a power cut left behind, and audit it, before anybody opened it for writing. Raises Broken."""
    lay_out(crash.disk.image(), root)
    door = RecordingDoor(root, boot_id=boot_id_of(2))
    try:
        with open_through(door, root / NAME, read_only=True, **settings) as db:
            served = served_by(db, crash)
        problems = blockdb.verify(root / NAME).problems
    except Exception as error:
        raise Broken(f"{crash.story}: {error!r}") from error
    finally:
        shutil.rmtree(root)
    if len(served) < crash.owed or problems:
        raise Broken(f"{crash.story}: {crash.owed} commits are owed, {len(served)} are served; {problems[:2]}")


@pytest.mark.parametrize("name", tiers(["unforced"], ["now and then"]))
def test_reading_and_auditing_after_a_power_cut(work: Path, name: str) -> None:
    """None of these states is damage, so neither a reader nor the audit may call it that."""
    with lived(name, work / "life") as life:
        for crash in crashes(life.door.start, life.door.journal, QUICK.effort, Random(1)):
            if crash.rebooted and any(path.endswith("/collections.toml") for path in crash.disk.names()):
                read_without_writing(crash, work / "state", life.settings)
                tally(CRASH_STATES)


# ── the recorder and the checker themselves ──────────────────────────────────────────────────────────────────────


def test_no_call_of_the_door_is_missed() -> None:
    assert not unknown_calls(), "RecordingDoor should note what these do, or stand in its list of those that do nothing"


def test_what_may_become_of_a_file() -> None:
    edits = (Write(0, b"abcd"), Resize(2), Write(4, b"xy"), Reserve(8), Reserve(3))
    assert edited(b"", edits) == b"ab\0\0xy\0\0"


def test_what_may_become_of_an_unforced_write(work: Path) -> None:
    disk = Disk({"file": b"forced"})
    [number] = disk.files
    disk.files[number] = disk.files[number]._replace(edits=(Write(6, b"more"),))
    found = {image["file"] for image, _ in power_cuts(disk, 100, Judge(work, 1).rng)}
    assert {b"forced", b"forcedm", b"forcedmo", b"forcedmor", b"forcedmore", b"forced\0\0\0\0"} <= found
    assert all(content is not None and content.startswith(b"forced") for content in found)


class SkipsForces(RecordingDoor):
    """A lie: what is written to chain files is never forced."""

    def force(self, descriptor: Any) -> None:
        number = self._number_of(descriptor)
        if not any(path.endswith(".chain") and found == number for path, found in self.disk.names().items()):
            super().force(descriptor)


class RenamesBeforeData(RecordingDoor):
    """A lie: a new file gets its name before its bytes are forced."""

    creating = False

    def create(self, path: Path, data: bytes) -> None:
        with self.still:
            self.creating = True
            super().create(path, data)
            self.creating = False

    def force(self, descriptor: Any) -> None:
        if not self.creating:
            super().force(descriptor)


class NeverForcesDirectories(RecordingDoor):
    """A lie: what a directory holds is never forced."""

    def force_directory(self, path: Path) -> None:
        pass


@pytest.mark.parametrize("lie", [SkipsForces, RenamesBeforeData, NeverForcesDirectories])
def test_a_lie_about_the_disk_is_found(work: Path, lie: type[RecordingDoor]) -> None:
    with lived("now and then", work / "life", lie) as life, pytest.raises(Broken):
        Judge(work, 1, going_on=0, **life.settings).try_life(life.door, [QUICK])


@contextmanager
def marked_before_written() -> Iterator[None]:
    """A bug: the mark vouches for what is not written yet."""
    append: Callable[[Log, bytes], int] = Log.append

    def mark_first(log: Log, frames: bytes) -> int:
        log._words[WRITTEN_WORD] = (log.end + len(frames)) * GUARD
        return append(log, frames)

    with patch.object(Log, "append", mark_first):
        yield


def test_a_mark_that_is_ahead_of_the_log_is_found(work: Path) -> None:
    with (
        marked_before_written(),
        lived("now and then", work / "life") as life,
        pytest.raises(Broken, match="killed at"),
    ):
        Judge(work, 1, going_on=0, **life.settings).try_life(life.door, [QUICK])


def test_the_same_state_is_opened_once(work: Path) -> None:
    few = Level(Effort(0, 1))
    with lived("unforced", work / "life") as life:
        judge = Judge(work, 1, going_on=0, **life.settings)
        judge.try_life(life.door, [few])
        once = judge.distinct
        judge.try_life(life.door, [few])
    assert judge.distinct == once
    assert judge.counts["tried"] > 2 * once
    assert [path.name for path in work.iterdir()] == ["life"], "states are removed once they were tried"
