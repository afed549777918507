"""A crash while the database recovers from a crash, two and three deep; and a crash while it is repaired."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import blockdb
from tests.fault.crash.disk import Disk, ForcedDirectory
from tests.fault.crash.judge import Broken, Judge, Level, assert_nothing_missed, boot_id_of, tree_of
from tests.fault.crash.lives import LIVES, lived
from tests.fault.crash.recorder import Promise, RecordingDoor
from tests.fault.crash.states import Effort, crashes
from tests.fault.test_power_cut import NAMES
from tests.fault.test_power_cut import work as work
from tests.storage.doors import StillDoor, collection_of, open_through
from tests.tally import CRASH_STATES, tally
from tests.tiers import tiers

FIRST = Effort(cuts=3, outcomes=6)

QUICK = 2, [Level(Effort(1, 2), recoveries=1), Level(Effort(1, 1))]
QUICK_STATES = 50
MANY = 50, [Level(Effort(3, 8), recoveries=2), Level(Effort(2, 3))]
MANY_STATES = 1_500


def try_recoveries(work: Path, name: str, count: int, plan: list[Level], going_on: float) -> int:
    """Crash a life in so many ways, and the recovery from that; how many states there were."""
    with lived(name, work / "life") as life:
        judge = Judge(work, 2, going_on=going_on, **life.settings)
        judge.try_recoveries(life.door, FIRST, count, plan)
    tally(CRASH_STATES, judge.distinct)
    return judge.distinct


@pytest.mark.parametrize("name", tiers(["forced"], ["now and then", "packing"]))
def test_a_crash_in_a_recovery(work: Path, name: str) -> None:
    assert try_recoveries(work, name, *QUICK, going_on=0.1) >= QUICK_STATES


@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_many_crashes_in_recoveries(work: Path, name: str) -> None:
    assert try_recoveries(work, name, *MANY, going_on=1) >= MANY_STATES


@pytest.mark.parametrize("name", tiers(["now and then"], [name for name in LIVES if name != "now and then"]))
@pytest.mark.torture
def test_a_power_cut_after_names_that_a_killed_process_did_not_force(work: Path, name: str) -> None:
    """The process was killed between a rename and forcing its directory; the next one builds on the name it finds.

    Before the registry has its name the database is not made, and made anew.
    """
    with lived(name, work / "life") as life:
        judge = Judge(work, 3, going_on=0.2, **life.settings)
        killed = crashes(life.door.start, life.door.journal, Effort(0, 0), judge.rng)
        for crash in killed:
            made = any(path.endswith("/collections.toml") for path in crash.disk.names())
            if made and isinstance(crash.following, ForcedDirectory):
                judge.try_recovery(crash, [Level(Effort(0, 1))], 1)
    tally(CRASH_STATES, judge.distinct)
    assert judge.distinct >= 100


# ── repair ───────────────────────────────────────────────────────────────────────────────────────────────────────


def flip(path: Path) -> None:
    """Change a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "manifest": lambda path: collection_of(path).manifest.unlink(),
    "mark": lambda path: flip(collection_of(path).mark),
    "table": lambda path: flip(min(collection_of(path).tables.iterdir())),
    "keys": lambda path: (path / "keys" / "public.toml").unlink(),
    "registry": lambda path: flip(path / "global_metadata" / "collections.toml"),
    "chain": lambda path: flip(collection_of(path).segment(0)),
}


@contextmanager
def repaired(root: Path, damage: str, owed: int | None = None) -> Iterator[tuple[RecordingDoor, dict[str, Any]]]:
    """The record of repairing a database with this damage, of which so many commits are owed; and its settings."""
    with lived("forced", root) as life:
        DAMAGES[damage](root / "db")
        door = RecordingDoor(root, Disk(tree_of(root)), boot_id_of(1))
        commits = life.door.promise.commits
        owed = len(commits) if owed is None else owed
        door.promises(Promise(commits, owed, owed))
        with door.beside():
            assert blockdb.repair(root / "db").after.valid
        assert_nothing_missed(door)
        yield door, life.settings


def repair_again(door: RecordingDoor, path: Path) -> None:
    """After a crash within a repair, it is repaired once more, and opened then."""
    blockdb.repair(path)


def try_repair(work: Path, damage: str, plan: list[Level]) -> int:
    with repaired(work / "life", damage) as (door, settings):
        judge = Judge(work, 4, going_on=0.2, prepare=repair_again, **settings)
        judge.try_life(door, plan)
    tally(CRASH_STATES, judge.distinct)
    return judge.distinct


@pytest.mark.parametrize("damage", tiers(["table"], ["registry"]))
def test_a_crash_in_a_repair(work: Path, damage: str) -> None:
    assert try_repair(work, damage, [Level(Effort(1, 2))]) >= 15


@pytest.mark.torture
@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - {"chain"}))
def test_many_crashes_in_repairs(work: Path, damage: str) -> None:
    assert try_repair(work, damage, [Level(Effort(20, 40), recoveries=20), Level(Effort(3, 8))]) >= 500


def nothing_dropped(door: RecordingDoor, path: Path) -> None:
    """Repair once more; each record is in the chain or among those that were salvaged, but for the damaged one."""
    blockdb.repair(path)
    found = {record for file in path.glob("quarantine/**/salvaged.jsonl") for record in salvaged_in(file)}
    with open_through(StillDoor(), path, read_only=True) as db:
        found.update(record.key for record in db.records())
    missing = {key for commit in door.promise.commits for key, _ in commit} - found
    if len(missing) > 1:
        raise Broken(f"{len(missing)} records are neither in the chain nor salvaged")


def salvaged_in(file: Path) -> Iterator[bytes]:
    """The keys in a file of salvaged records, which may have been cut short."""
    for line in file.read_text(errors="replace").splitlines():
        try:
            yield base64.b64decode(json.loads(line)["key"])
        except ValueError:
            continue


@pytest.mark.torture
def test_a_power_cut_in_a_repair_drops_no_record(work: Path) -> None:
    with repaired(work / "life", "chain", owed=3) as (door, settings):
        judge = Judge(work, 5, going_on=0.2, prepare=nothing_dropped, **settings)
        judge.try_life(door, [Level(Effort(2, 6))])
    tally(CRASH_STATES, judge.distinct)
    assert judge.distinct >= 50
