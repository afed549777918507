"""A crash at each system call of a redaction, and of its recovery: in the end the value is there, or nowhere.

And the journal tells of all that was erased, and of nothing else, once.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import blockdb
from tests.database.indexed import check_index
from tests.fault.crash.disk import Disk, digest_of
from tests.fault.crash.judge import NAME, Broken, assert_nothing_missed, boot_id_of, lay_out, tree_of
from tests.fault.crash.lives import NEVER_MS, small_files
from tests.fault.crash.recorder import Promise, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.fault.test_power_cut import work as work
from tests.storage.doors import StillDoor, collection_of, open_through
from tests.storage.redacting import Ledger, answer, bytes_below, key_of, redactions_in, secret
from tests.tally import CRASH_STATES, tally

SETTINGS: dict[str, Any] = {"redactable": True, "blockchain_batch_size": 4, "wal_sync_interval": NEVER_MS}
RECORDS = 14
REDACTIONS = [[0], [1, 7, 12], [2], [RECORDS]]
"""What is redacted with each call, the first one before anything crashes: records in closed files, in the live one.

The last of them was stored a moment ago, and not forced.
"""


def document(number: int) -> bytes:
    """The value of a record: a document, so that it can be indexed."""
    return b'{"secret": "%s"}' % secret(number)


def told_in(db: blockdb.Database) -> list[list[int]]:
    """The records that each event in the journal is about, in order."""
    return [[entry["sequence"] for entry in event["records"]] for event in redactions_in(db)]


def live(root: Path, settings: dict[str, Any]) -> tuple[RecordingDoor, Ledger]:
    """The record of redactions, and the ledger as it was before them."""
    root.mkdir()
    with open_through(StillDoor(), root / NAME, **settings) as db:
        for number in range(RECORDS):
            db.put(key_of(number), document(number))
            if number == RECORDS // 2:
                db.compact()
                db.create_index("secret", ["secret"], unique=True)
        db.flush()
        ledger = Ledger(db)
        db.redact(key_of(REDACTIONS[0][0]), reason="asked for", by="me")
    door = RecordingDoor(root, Disk(tree_of(root)), boot_id_of(1))
    with door.beside(), open_through(door, root / NAME, **settings) as db:
        door.promises(Promise((), 1, 1))
        for done, numbers in enumerate(REDACTIONS[1:], 2):
            if numbers[0] == RECORDS:
                db.put(key_of(RECORDS), document(RECORDS))
            db.redact_many([key_of(number) for number in numbers], reason="asked for", by="me")
            door.promises(Promise((), done, done))
    assert_nothing_missed(door)
    return door, ledger


class Judge:
    """Opens what crashes left behind, each of them once."""

    def __init__(self, work: Path, ledger: Ledger, settings: dict[str, Any], share: float) -> None:
        """`share` of the states are opened."""
        self._share = share
        self._work = work
        self._ledger = ledger
        self._settings = settings
        self._laid_out = 0
        self.seen: set[bytes] = set()
        self.rng = Random(5)

    def try_life(self, life: RecordingDoor, effort: Effort, deeper: int = 0, boot: int = 1) -> None:
        """Crash a life at each operation, and `deeper` of its recoveries in turn."""
        chosen: list[tuple[Crash, int]] = []
        for crash in crashes(life.start, life.journal, effort, self.rng):
            next_boot = boot + crash.rebooted
            key = digest_of(crash.disk.image()) + bytes([crash.owed, crash.rebooted])
            if key not in self.seen and self.rng.random() < self._share:
                self.seen.add(key)
                self._open(crash, next_boot)
                chosen.append((crash, next_boot))
        for crash, next_boot in self.rng.sample(chosen, min(deeper, len(chosen))):
            self.try_life(self._open(crash, next_boot), effort, 0, next_boot)

    def _open(self, crash: Crash, boot: int) -> RecordingDoor:
        self._laid_out += 1
        root = self._work / str(self._laid_out)
        lay_out(crash.disk.image(), root)
        door = RecordingDoor(root, crash.disk, boot_id_of(boot))
        door.promises(Promise((), crash.owed, crash.owed))
        try:
            self._check_order(door, root)
            with door.beside(), open_through(door, root / NAME, **self._settings) as db:
                self._check(db, root, crash)
            assert_nothing_missed(door)
            return door
        except Exception as error:
            raise Broken(f"{crash.story}: {error!r}") from error
        finally:
            shutil.rmtree(root)

    def _check_order(self, door: RecordingDoor, root: Path) -> None:
        """What is erased, even in part, the journal tells of."""
        with open_through(door, root / NAME, read_only=True) as db:
            told = {number for numbers in told_in(db) for number in numbers}
        contents = [data for file, data in bytes_below(root).items() if file.suffix in (".chain", ".zst")]
        for number in range(RECORDS):
            assert number in told or any(secret(number) in data for data in contents), f"record {number}"

    def _check(self, db: blockdb.Database, root: Path, crash: Crash) -> None:
        events = told_in(db)
        assert events == REDACTIONS[: len(events)]
        assert len(events) >= crash.owed, "a redaction that was acknowledged is not there"
        gone = {number for numbers in events for number in numbers}
        self._ledger.check(db)
        for number in range(RECORDS):
            expected = blockdb.Redacted if number in gone else document(number)
            assert answer(db.get, key_of(number)) == expected, f"record {number}"
        if RECORDS in gone:
            assert answer(db.get, key_of(RECORDS)) is blockdb.Redacted
        for file, data in bytes_below(root).items():
            assert not [number for number in gone if secret(number)[:16] in data], f"a value is still in {file}"
        kept = {key: json.loads(value) for key, value in db.scan() if value is not blockdb.REDACTED}
        check_index(db, "secret", kept)
        names = [path.name for path in collection_of(root / NAME).chain.iterdir()]
        assert not [name for name in names if name.endswith((".old", ".chain.tmp"))], names
        problems = db.verify().problems
        assert not problems, problems


def try_everything(work: Path, packed: bool, share: float, effort: Effort, deeper: int) -> int:
    settings = {**SETTINGS, "compression_enabled": packed}
    with small_files(600):
        life, ledger = live(work / "life", settings)
        judge = Judge(work, ledger, settings, share)
        judge.try_life(life, effort, deeper)
    tally(CRASH_STATES, len(judge.seen))
    return len(judge.seen)


@pytest.mark.parametrize("packed", [False, pytest.param(True, marks=pytest.mark.torture)], ids=["plain", "packed"])
@pytest.mark.torture
def test_a_crash_at_any_operation_of_a_redaction(work: Path, packed: bool) -> None:
    assert try_everything(work, packed, 0.05, Effort(1, 1), 1) >= 15


@pytest.mark.torture
@pytest.mark.timeout(400)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_many_crashes_in_redactions_and_in_their_recoveries(work: Path, packed: bool) -> None:
    assert try_everything(work, packed, 0.4, Effort(2, 5), 15) >= 300
