"""The audit log under a failing system, and of a process that is killed: a log that verifies, and goes on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

import blockdb
from blockdb.errors import BlockDBError
from blockdb.storage import audit_log
from blockdb.types import Act
from tests.fault.doors import KINDS, FaultyDoor
from tests.fault.family import ROOT
from tests.fault.support import open_database
from tests.tally import FAILING_CALLS, KILLS, tally
from tests.tiers import tiers

SMALL_FILE = 1_000
ENTRIES = 25
LONG = [pytest.param(kind, 1, marks=pytest.mark.torture) for kind in KINDS]
MANY_KILLS = 20


def act(number: int) -> Act:
    return Act(number, "ann", "", "", "local", "put", "default", b"key", 3, 1, "ok", "")


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "FILE_BYTES", SMALL_FILE)


def live(path: Path, door: FaultyDoor) -> tuple[int, int]:
    """Two lives of a log, in which only what is an error of ours goes wrong: how many entries were acknowledged, and
    how many were asked for.
    """
    acknowledged = asked = 0
    for _ in range(2):
        with suppress(BlockDBError), open_database(path, door) as db:
            log = db.audit_log()
            for number in range(ENTRIES):
                asked += 1
                with suppress(BlockDBError):
                    acknowledged = log.append(act(asked)) + 1
                    if number % 7 == 0:
                        log.sign()
    return acknowledged, asked


@pytest.mark.parametrize(("kind", "step"), [("write", 31), *LONG])
def test_every_system_call_of_a_log_fails_once(kind: str, step: int, tmp_path: Path) -> None:
    open_database(tmp_path / "calls").close()
    counting = FaultyDoor()
    live(tmp_path / "calls", counting)
    for at in range(0, counting.calls[kind], step):
        path = tmp_path / f"{kind}{at}"
        open_database(path).close()
        door = FaultyDoor(kind, at, errno.EIO)
        acknowledged, asked = live(path, door)
        assert door.failed
        tally(FAILING_CALLS)
        report = blockdb.verify(path)
        assert report.valid, (kind, at, report.problems)
        with open_database(path) as db:
            assert acknowledged <= db.audit_log().head.size <= asked
            db.audit_log().append(act(0))
        assert blockdb.verify(path).valid


CHILD = """
import os, sys
import blockdb
from blockdb.storage import audit_log
from tests.fault.test_audit_log import act
audit_log.FILE_BYTES = 1_000
with blockdb.open(sys.argv[1]) as db:
    log = db.audit_log()
    while True:
        number = log.append(act(0))
        os.write(1, b"%d\\n" % number)
        if number % 50 == 0:
            log.sign()
"""


@pytest.mark.parametrize("kills", tiers([1], [MANY_KILLS]))
def test_what_was_acknowledged_survives_kills(kills: int, tmp_path: Path) -> None:
    path, last = tmp_path / "db", -1
    blockdb.open(path).close()
    for life in range(kills):
        command = [sys.executable, "-c", CHILD, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for said in count():
                line = child.stdout.readline()
                if line:
                    last = int(line)
                if not line or said == 60 + 17 * life:
                    break
            os.kill(child.pid, signal.SIGKILL)
            rest = child.stdout.read().split(b"\n")[:-1]
            last = int(rest[-1]) if rest else last
        report = blockdb.verify(path)
        assert report.valid, report.problems
        with blockdb.open(path, read_only=True) as db:
            numbers = [act.sequence for act in db.acts()]
        assert numbers == list(range(len(numbers)))
        assert last < len(numbers) <= last + 2
        tally(KILLS)
