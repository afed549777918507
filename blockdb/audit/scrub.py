"""A process that audits a directory once, no faster than it is told: what the scrubber of an open database starts.

It is niced, works on one core, says on stdout how far it is, and ends when its stdin does, so that it never outlives
the database that it works for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from select import select
from time import monotonic
from typing import Any, Final

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.errors import BlockDBError
from blockdb.format.keyring import DataKeys
from blockdb.process import secret_of_helper
from blockdb.types import Progress

NICENESS: Final = 19
TELL_S: Final = 0.5
"""How often it says how far it is, at most."""


@dataclass
class Pace:
    """Lets so many bytes pass in a second; what was not used is not saved up.

    `wait(seconds)` passes the time.
    """

    bytes_per_s: int
    wait: Callable[[float], None]
    clock: Callable[[], float] = monotonic
    _due: float = 0.0

    def __call__(self, size: int) -> None:
        """So many bytes were read."""
        now = self.clock()
        if self._due > now:
            self.wait(self._due - now)
        self._due = max(self._due, now) + size / self.bytes_per_s


def main(argument: str) -> None:
    """What the process does: `argument` is JSON with the directory and the bytes a second that it may read."""
    job, secret = json.loads(argument), secret_of_helper()
    options = Options(processes=1, data_keys=DataKeys.decode(secret) if secret else None)
    os.nice(NICENESS)
    told = [monotonic()]

    def tell(progress: Progress) -> None:
        if monotonic() - told[0] >= TELL_S:
            told[0] = monotonic()
            _say({"done": progress.records_done, "total": progress.records_total})

    try:
        report = audit(Path(job["path"]), tell, None, options, Pace(job["rate_limit"], _wait))
    except (BlockDBError, OSError) as error:
        _say({"failure": str(error)})
        return
    # What is found is kept on the disk: there keys of an encrypted database must not stand.
    problems = [replace(problem, key=None) if secret else problem for problem in report.problems]
    _say({"records": report.records, "problems": list(map(str, problems))})


def _say(words: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _wait(seconds: float) -> None:
    """Pass the time, but no longer than there is somebody who wants to know."""
    if select([sys.stdin], [], [], seconds)[0]:
        raise SystemExit
