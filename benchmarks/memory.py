"""Memory while writing: a process of its own writes random records, and is watched from outside with its helpers.

The peak of the writer is the kernel's own (`VmHWM`). What is its own and not a mapped file, which the kernel takes
back when it likes, and what the helpers have, is looked at every 50 ms.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .data import BATCH_RECORDS, KEY_BYTES, VALUE_BYTES
from .stores import Skipped

__all__ = ["Peaks", "peaks"]

POLL_S: Final = 0.05


@dataclass(frozen=True)
class Peaks:
    """Megabytes beyond an interpreter that has imported BlockDB; helpers are processes, counted whole."""

    resident_mb: float
    own_mb: float
    helpers_mb: float


def peaks(path: Path, records: int) -> Peaks:
    """Write so many records to a new database, and tell what that took. Raises Skipped where there is no /proc."""
    if not Path("/proc/self/status").exists():
        raise Skipped("memory is read from /proc, which this system does not have")
    command = [sys.executable, "-m", "benchmarks.memory", str(path), str(records)]
    own = helpers = 0
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as writer:
        while writer.poll() is None:
            own = max(own, status_bytes(writer.pid, "RssAnon"))
            helpers = max(helpers, sum(status_bytes(helper, "VmHWM") for helper in children(writer.pid)))
            time.sleep(POLL_S)
        told, _ = writer.communicate()
    if writer.returncode:
        raise RuntimeError("the process that writes failed")
    baseline, baseline_own, peak = map(int, told.split())
    return Peaks((peak - baseline) / 1e6, max(0, own - baseline_own) / 1e6, helpers / 1e6)


def status_bytes(process: int, field: str) -> int:
    """A field of /proc/<process>/status in bytes; 0 where the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return 0


def children(process: int) -> Iterator[int]:
    """The processes that a process started, from whichever of its threads."""
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text().split())


def main(path: str, records: int) -> None:
    """What the process does: write, and tell its resident memory before, its own part of it, and its peak."""
    import blockdb.database.database  # the engine, which `open` would load

    us = os.getpid()
    before = [status_bytes(us, field) for field in ("VmRSS", "RssAnon")]
    chance = random.Random(1)
    with blockdb.open(path) as database:
        for start in range(0, records, BATCH_RECORDS):
            count = min(BATCH_RECORDS, records - start)
            database.put_many([(chance.randbytes(KEY_BYTES), chance.randbytes(VALUE_BYTES)) for _ in range(count)])
    print(*before, status_bytes(us, "VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
