"""Opening what a crash left behind with the real engine, and holding it against what was promised."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import blockdb
from tests.database.indexed import check_index
from tests.fault.crash.disk import Image, digest_of
from tests.fault.crash.recorder import Commit, Promise, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.storage.doors import StillDoor, open_through

NAME = "db"
"""The directory of the database, in the tree that stands for the file system."""


class Broken(AssertionError):
    """A crash left behind what the engine does not make good."""


class Level(NamedTuple):
    """What is tried of a life, and how many of those states are opened to have that recovery crashed in turn."""

    effort: Effort
    recoveries: int = 0


def boot_id_of(boot: int) -> bytes:
    """What the system calls its start with this number."""
    return b"boot %011d" % boot


def lay_out(image: Image, root: Path) -> None:
    """Make a tree of files."""
    root.mkdir()
    for path in sorted(image):
        content = image[path]
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def tree_of(root: Path) -> dict[str, bytes | None]:
    """The tree that is really there."""
    return {path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")}


def assert_nothing_missed(door: RecordingDoor) -> None:
    """What was noted, done again, gives the files that are really there."""
    disk = door.start.copy()
    for entry in door.journal:
        if entry.operation is not None:
            disk.apply(entry.operation)
    assert disk.image() == tree_of(door.root), "the recorder missed something"


class Judge:
    """Tries crash states, each of them once, and counts them."""

    def __init__(
        self,
        work: Path,
        seed: int,
        *,
        going_on: float = 1.0,
        prepare: Callable[[RecordingDoor, Path], object] = lambda door, path: None,
        **settings: Any,
    ) -> None:
        """States are laid out below `work`, prepared, and opened with these settings.

        This share of them is verified, written to and opened again.
        """
        self._work = work
        self.rng = Random(seed)
        self._going_on = going_on
        self._prepare = prepare
        self._settings = settings
        self._served: dict[bytes, tuple[Commit, ...]] = {}
        self._gone_on: set[bytes] = set()
        self._laid_out = 0
        self.counts: Counter[str] = Counter()

    def try_life(self, life: RecordingDoor, plan: Sequence[Level], boot: int = 1, depth: int = 1) -> None:
        """Crash a recorded life at each of its operations, and judge each state; `plan` has a level for each depth."""
        level, *deeper = plan
        chosen: list[tuple[Crash, int]] = []
        for crash in crashes(life.start, life.journal, level.effort, self.rng):
            self.counts["tried"] += 1
            next_boot = boot + crash.rebooted
            if self._judge(crash, next_boot):
                self.counts[f"{depth} deep"] += 1
                self.counts["power cut" if crash.rebooted else "killed"] += 1
                self._choose(chosen, (crash, next_boot), level.recoveries, self.counts[f"{depth} deep"])
        for crash, next_boot in chosen:
            self.try_recovery(crash, deeper, next_boot, depth + 1)

    def try_recovery(self, crash: Crash, plan: Sequence[Level], boot: int, depth: int = 2) -> None:
        """Open what a crash left behind, and crash that in turn. `boot` is the start of the machine meanwhile."""
        try:
            self.try_life(self._open(crash, boot, whole=True)[0], plan, boot, depth)
        except Broken as error:
            raise Broken(f"{crash.story}; opened again, {error}") from error

    def try_recoveries(self, life: RecordingDoor, effort: Effort, count: int, plan: Sequence[Level]) -> None:
        """Crash a life in so many ways, and the recovery from each of them in turn."""
        every = list(crashes(life.start, life.journal, effort, self.rng))
        for crash in self.rng.sample(every, min(count, len(every))):
            self.try_recovery(crash, plan, 1 + crash.rebooted)

    def _choose(self, chosen: list[tuple[Crash, int]], one: tuple[Crash, int], most: int, seen: int) -> None:
        """Keep `most` of what comes along, each with the same chance."""
        if len(chosen) < most:
            chosen.append(one)
        elif (at := self.rng.randrange(seen)) < most:
            chosen[at] = one

    @property
    def distinct(self) -> int:
        """How many distinct states were opened."""
        return len(self._served)

    def _judge(self, crash: Crash, boot: int) -> bool:
        """Whether the state is one that was not tried before. Raises Broken."""
        key = digest_of(crash.disk.image()) + boot_id_of(boot)
        is_new = key not in self._served
        if is_new:
            self._served[key] = self._open(crash, boot)[1]
        served, commits = self._served[key], crash.promise.commits
        if len(served) < crash.owed or commits[: len(served)] != served:
            raise Broken(f"{crash.story}: {crash.owed} of {len(commits)} commits are owed, {len(served)} are there")
        return is_new

    def _open(self, crash: Crash, boot: int, whole: bool = False) -> tuple[RecordingDoor, tuple[Commit, ...]]:
        """Open a state and go on from there; gives the record of that, and the commits that were there."""
        self._laid_out += 1
        root = self._work / str(self._laid_out)
        lay_out(crash.disk.image(), root)
        door = RecordingDoor(root, crash.disk, boot_id_of(boot))
        try:
            with door.beside():
                return door, self._recover(door, crash, whole)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{crash.story}: {error!r}") from error
        finally:
            shutil.rmtree(root)

    def _recover(self, door: RecordingDoor, crash: Crash, whole: bool) -> tuple[Commit, ...]:
        """Open, look at what is there, write, close, open again.

        Only the first two where another state led to the same files, unless the `whole` is asked for.
        """
        path, forced = door.root / NAME, crash.promise.forced
        door.promises(Promise(crash.promise.commits, crash.owed, forced))
        self._prepare(door, path)
        with open_through(door, path, **self._settings) as db:
            commits = served_by(db, crash)
            door.promises(Promise(commits, len(commits), forced))
            opened = digest_of(door.disk.image())
            if not whole and (opened in self._gone_on or self.rng.random() >= self._going_on):
                return commits
            assert_valid(db)
            more = ((b"more:%d" % len(commits), b'{"and": "more"}'),)
            door.promises(Promise((*commits, more), len(commits), forced))
            db.put(*more[0])
            door.promises(Promise((*commits, more), len(commits) + 1, forced))
        door.promises(Promise((*commits, more), len(commits) + 1, len(commits) + 1))
        self._gone_on.add(opened)
        assert_nothing_missed(door)
        with open_through(StillDoor(), path, **self._settings) as db:
            assert served_by(db, crash._replace(promise=door.promise)) == (*commits, more)
            if whole:
                assert_valid(db)
        return commits


def served_by(db: blockdb.Database, crash: Crash) -> tuple[Commit, ...]:
    """The commits that are there: from the first on, all of them whole. Raises Broken."""
    commits = crash.promise.commits
    records = [(record.key, record.value) for record in db.records()]
    ends = list(accumulate(map(len, commits), initial=0))
    if len(records) not in ends or records != list(chain.from_iterable(commits))[: len(records)]:
        raise Broken(f"{crash.story}: what is there is no prefix of what was committed: {records}")
    if dict(db.scan()) != dict(records) or any(db.get(key) != value for key, value in records[-1:]):
        raise Broken(f"{crash.story}: what is served is not what is in the chain")
    for index in db.indexes():
        check_index(db, index.name, {key: json.loads(value) for key, value in records})
    return commits[: ends.index(len(records))]


def assert_valid(db: blockdb.Database) -> None:
    """Everything that the audit knows of is in order."""
    problems = db.verify().problems
    assert not problems, problems[:3]
