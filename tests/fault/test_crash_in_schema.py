"""A crash at each system call of setting a schema: there is the old one or the new one, and the journal tells of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import blockdb
from tests.fault.crash.disk import Disk, digest_of
from tests.fault.crash.judge import NAME, Broken, assert_nothing_missed, boot_id_of, lay_out, tree_of
from tests.fault.crash.lives import NEVER_MS
from tests.fault.crash.recorder import Promise, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.fault.test_power_cut import work as work
from tests.storage.doors import StillDoor, open_through
from tests.tally import CRASH_STATES, tally

SETTINGS: dict[str, Any] = {"blockchain_batch_size": 4, "wal_sync_interval": NEVER_MS}
NAME_FIELD = {"field_type": "String", "required": True}
INDEXES = [{"name": "by_name", "fields": ["name"], "unique": True}]
SCHEMAS: list[dict[str, Any]] = [
    {"fields": {"name": NAME_FIELD}},
    {"fields": {"name": NAME_FIELD, "age": {"field_type": "Integer"}}, "indexes": INDEXES},
    {"fields": {"name": {"field_type": "String"}, "age": {"field_type": "Float"}}, "indexes": INDEXES},
]
REFUSED = [{"name": 1}, {"name": "x", "age": 0.5}, {"age": "x"}]
"""For each version, what it does not take, though the version before or the one after does."""


def live(root: Path) -> RecordingDoor:
    """The record of one schema after the other, with a document before each."""
    root.mkdir()
    with open_through(StillDoor(), root / NAME, **SETTINGS) as db:
        db.create_collection("users")
    door = RecordingDoor(root, Disk(tree_of(root)), boot_id_of(1))
    with door.beside(), open_through(door, root / NAME, **SETTINGS) as db:
        users = db["users"]
        for number, schema in enumerate(SCHEMAS):
            users.put(b"%d" % number, {"name": f"n{number}"})
            door.promises(Promise((), number, number))
            users.set_schema(schema, by="me")
            door.promises(Promise((), number + 1, number + 1))
    assert_nothing_missed(door)
    return door


def check(db: blockdb.Database, crash: Crash) -> None:
    users = db["users"]
    versions = users.schemas()
    assert [each.version for each in versions] == list(range(1, len(versions) + 1))
    assert crash.owed <= len(versions) <= crash.owed + 1
    assert all(each.first_sequence <= users.count() for each in versions)
    journal = db._core.notary.journal()
    assert journal is not None
    told = [event for _, event in journal.events("schema set")]
    assert [(event["version"], event["first_sequence"]) for event in told] == [
        (each.version, each.first_sequence) for each in versions
    ]
    names = {index.name for index in users.indexes()}
    assert names == {"by_name"} or len(versions) < 2
    if versions:
        with pytest.raises(blockdb.ValidationError):
            users.put(b"bad", REFUSED[len(versions) - 1])
    else:
        users.put(b"raw", b"raw")
    users.put(b"good", {"name": "good"})
    problems = db.verify().problems
    assert not problems, problems


def try_everything(work: Path, share: float, effort: Effort) -> int:
    life, rng, seen = live(work / "life"), Random(5), set[bytes]()
    for crash in crashes(life.start, life.journal, effort, rng):
        key = digest_of(crash.disk.image()) + bytes([crash.owed, crash.rebooted])
        if key in seen or rng.random() >= share:
            continue
        seen.add(key)
        root = work / str(len(seen))
        lay_out(crash.disk.image(), root)
        door = RecordingDoor(root, crash.disk, boot_id_of(1 + crash.rebooted))
        try:
            with door.beside(), open_through(door, root / NAME, **SETTINGS) as db:
                check(db, crash)
        except Exception as error:
            raise Broken(f"{crash.story}: {error!r}") from error
        shutil.rmtree(root)
    tally(CRASH_STATES, len(seen))
    return len(seen)


def test_a_crash_at_any_operation_of_setting_a_schema(work: Path) -> None:
    assert try_everything(work, 0.1, Effort(0, 1)) >= 10


@pytest.mark.torture
def test_many_crashes_in_setting_schemas(work: Path) -> None:
    assert try_everything(work, 1, Effort(1, 3)) >= 100
