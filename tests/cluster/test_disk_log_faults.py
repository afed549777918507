"""The log of consensus under a failing system, in a process that is killed, on a machine whose power is cut."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from blockdb.cluster.consensus.disk import DiskLog
from blockdb.errors import BlockDBError, WritesStopped
from blockdb.format.consensus import HardState
from blockdb.storage.door import Door
from tests.cluster.disk_model import Model, Step, a_life, entry, files_in, open_log, sealed, small_files, take
from tests.fault.crash.disk import Disk
from tests.fault.crash.judge import boot_id_of, lay_out, tree_of
from tests.fault.crash.recorder import Promise, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.fault.doors import KINDS, FaultyDoor, ShortDoor
from tests.fault.family import ROOT
from tests.storage.doors import StillDoor
from tests.tiers import tiers

NODE_ROOT = "db"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Where states are laid out: in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def _small_files() -> Iterator[None]:
    with small_files():
        yield


STEPS = a_life(7, 30)


def live(root: Path, door: Door, steps: list[Step]) -> list[Model]:
    """A life in which only what is an error of ours goes wrong. Gives all that may be there afterwards: what was there
    when something was acknowledged last, and each state since.
    """
    model, may_be = Model(), [Model()]
    log: DiskLog | None = None
    for step in steps:
        try:
            log = log or open_log(root, door)
            after = model.copy()
            with suppress(WritesStopped):
                may_be.append(_planned(step, model))
                take(step, log, after)
                model = after
                may_be.append(model.copy())
                log.force()
                may_be = may_be[-1:]
                continue
            with suppress(BlockDBError):
                log.close()
            break
        except BlockDBError:
            continue
    else:
        if log is not None:
            with suppress(BlockDBError):
                log.close()
    return may_be


def _planned(step: Step, model: Model) -> Model:
    after = model.copy()
    take(step, None, after)
    return after


@pytest.mark.parametrize("kind", tiers(["force"], [*(kind for kind in (*KINDS, "truncate") if kind != "force")]))
@pytest.mark.parametrize("wrap", [lambda door: door, pytest.param(sealed, marks=pytest.mark.torture)])
def test_every_system_call_fails_once(kind: str, wrap: Callable[[Door], Door], tmp_path: Path) -> None:
    counting = FaultyDoor()
    live(tmp_path / "calls", wrap(counting), STEPS)
    for at in range(0, counting.calls[kind], 4 if kind == "force" else 1):
        root = tmp_path / f"{kind}{at}"
        door = FaultyDoor(kind, at, errno.EIO)
        may_be = live(root, wrap(door), STEPS)
        assert door.failed
        log = open_log(root, wrap(Door()))
        assert not log.is_damaged, at
        assert any(not model.differs(log) for model in may_be), (at, [model.differs(log) for model in may_be])
        log.store(HardState(99), [entry(log.last_index + 1, 99)])
        log.close()
        open_log(root, wrap(Door())).close()


def test_a_failed_force_stops_it_for_good(tmp_path: Path) -> None:
    door = FaultyDoor()
    log = open_log(tmp_path, door)
    log.store(HardState(1), [entry(1, 1)])
    door.fail_from_now("force", errno.EIO, lasting=False)
    with pytest.raises(WritesStopped):
        log.force()
    for write in (log.force, lambda: log.store(None, [entry(2, 1)]), lambda: log.begin_anew(log.head)):
        with pytest.raises(WritesStopped):
            write()
    assert log.entries(1, 1) == [entry(1, 1)]
    with pytest.raises(WritesStopped):
        log.close()


def test_a_vote_that_could_not_be_kept_stops_it_for_good(tmp_path: Path) -> None:
    door = FaultyDoor()
    log = open_log(tmp_path, door)
    log.store(HardState(1, "node2"))
    door.fail_from_now("rename", errno.EIO, lasting=False)
    for _ in range(2):
        with pytest.raises(WritesStopped):
            log.force()
    with pytest.raises(WritesStopped):
        log.close()


@pytest.mark.parametrize("seed", tiers(range(2), range(2, 40)))
def test_a_disk_that_is_full_in_the_middle_of_a_write(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    door, model = ShortDoor(lambda size: rng.randrange(1, size + 1)), Model()
    log = open_log(tmp_path, door)
    for step in a_life(seed, 60):
        door.room = rng.randrange(600) if step[0] == "store" and rng.random() < 0.3 else None
        after = model.copy()
        with suppress(BlockDBError):
            take(step, log, after)
            model = after
        assert not model.differs(log)
    door.room = None
    log.close()
    log = open_log(tmp_path)
    assert not model.differs(log)
    log.close()


# ── kills and power cuts ─────────────────────────────────────────────────────────────────────────────────────────


def recorded(root: Path, seed: int, count: int, wrap: Callable[[Door], Door]) -> tuple[RecordingDoor, list[Model]]:
    """A life, operation by operation, and what the log held after each step: promises are numbers of these."""
    (root / NODE_ROOT).mkdir(parents=True)
    door = RecordingDoor(root, Disk({NODE_ROOT: None}), boot_id_of(1))
    wrapped = wrap(door)
    states = [Model()]
    log = open_log(root / NODE_ROOT, wrapped)
    for step in a_life(seed, count):
        states.append(_planned(step, states[-1]))
        take(step, log, states[-2].copy())
        written = len(states) - 1
        forced = door.promise.forced if step[0] == "store" else written
        door.promises(Promise((), written, forced))
    log.close()
    return door, states


class BootedDoor(StillDoor):
    """The system, after a start of its own."""

    def __init__(self, boot: int) -> None:
        super().__init__()
        self._boot = boot

    def boot_id(self) -> bytes:
        return boot_id_of(self._boot)


def judge(crash: Crash, states: list[Model], root: Path, wrap: Callable[[Door], Door]) -> str:
    """What is wrong about the log after a crash: it holds what was promised, and is what it was after some step."""
    lay_out(crash.disk.image(), root)
    (root / NODE_ROOT).mkdir(parents=True, exist_ok=True)
    boot = 2 if crash.rebooted else 1
    try:
        log = open_log(root / NODE_ROOT, wrap(BootedDoor(boot)))
        found = [number for number, state in enumerate(states) if not state.differs(log)]
        if log.is_damaged:
            return f"{crash.story}: damage: {log.damage}"
        if max(found, default=-1) < crash.owed:
            return f"{crash.story}: {crash.owed} is owed, it is {found}"
        log.store(None, [entry(log.last_index + 1, 50)])
        log.close()
        open_log(root / NODE_ROOT, wrap(BootedDoor(boot))).close()
    except BlockDBError as error:
        return f"{crash.story}: {error!r}"
    finally:
        shutil.rmtree(root)
    return ""


@pytest.mark.parametrize(
    "life",
    tiers(
        [(5, 9, Effort(1, 2), False)],
        [(seed, 40, Effort(12, 18), is_sealed) for seed in range(3) for is_sealed in (False, True)],
    ),
)
def test_a_crash_at_any_operation(life: tuple[int, int, Effort, bool], work: Path) -> None:
    seed, count, effort, is_sealed = life

    def wrap(door: Door) -> Door:
        return sealed(door) if is_sealed else door

    door, states = recorded(work / "life", seed, count, wrap)
    wrong = [
        judge(crash, states, work / "crash", wrap) for crash in crashes(door.start, door.journal, effort, Random(1))
    ]
    assert len(wrong) > 100
    assert [each for each in wrong if each] == []


CHILD = """
import os, sys
from pathlib import Path
from blockdb.format.consensus import HardState
from tests.cluster.disk_model import entry, open_log, small_files
with small_files():
    log = open_log(Path(sys.argv[1]))
    while True:
        index = log.last_index + 1
        log.store(HardState(1, "node2", index - 1), [entry(index, 1)])
        os.write(1, b"%d\\n" % index)
"""


@pytest.mark.torture
@pytest.mark.parametrize("kills", tiers([1], [20]))
def test_what_was_stored_survives_kills(kills: int, tmp_path: Path) -> None:
    last = 0
    for life in range(kills):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(60 + 17 * life):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
        log = open_log(tmp_path)
        assert not log.is_damaged
        assert log.last_index >= last + 60
        last = log.last_index
        assert log.entries(1, last) == [entry(index, 1) for index in range(1, last + 1)]
        log.close()
    assert files_in(tmp_path).file(1).exists()


def damaged_image(work: Path, at: int) -> tuple[dict[str, bytes | None], Model]:
    """The files of a log of several files, one byte of the second of which is not what it was."""
    model, log = Model(), open_log(work / "made" / NODE_ROOT, BootedDoor(1))
    for index in range(1, 13):
        take(("store", 0, 7), log, model)
        assert log.last_index == index
    log.force()
    image = tree_of(work / "made")
    log.close()
    path = files_in(Path(NODE_ROOT)).file(1).as_posix()
    data = image[path]
    assert data is not None
    image[path] = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
    return image, model


@pytest.mark.parametrize("at", tiers([200], [3, 61, 140, 500]))
def test_a_crash_while_damage_is_set_aside(at: int, work: Path) -> None:
    """Whenever it comes, the damage is not forgotten, nor is anything lost that comes before it."""
    image, model = damaged_image(work, at)
    lay_out(image, work / "life")
    door = RecordingDoor(work / "life", Disk(image), boot_id_of(1))
    log = open_log(work / "life" / NODE_ROOT, door)
    first, last = log.first_damaged, log.last_index
    assert first == last + 1 <= model.last
    log.close()
    for crash in crashes(door.start, door.journal, Effort(2, 6), Random(1)):
        lay_out(crash.disk.image(), work / "crash")
        found = open_log(work / "crash" / NODE_ROOT, BootedDoor(2 if crash.rebooted else 1))
        told = found.first_damaged, found.last_index, found.hard_state.term, found.hard_state.vote
        assert told == (first, last, model.state.term, model.state.vote), crash.story
        assert found.entries(1, last) == model.entries[:last]
        found.close()
        shutil.rmtree(work / "crash")
