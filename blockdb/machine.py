"""What the machine tells of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
MOUNTS: Final = Path("/proc/self/mountinfo")

STORES_IN_ORDER: Final = hasattr(os, "uname") and os.uname().machine == "x86_64"
"""Whether every process sees what another one stores in memory in the order in which it does."""


def boot_id() -> bytes:
    """16 bytes that differ from one start of the machine to the next; zeros where the system does not tell."""
    try:
        return bytes.fromhex(BOOT_ID.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


class FileSystem(NamedTuple):
    """What is mounted: its kind, such as `ext4`, and the options that it has itself."""

    kind: str
    options: frozenset[str]


def file_system(device: int) -> FileSystem | None:
    """The file system that is mounted from a device (`st_dev`); None where the system does not tell."""
    numbers = f"{os.major(device)}:{os.minor(device)}"
    try:
        for line in MOUNTS.read_text().splitlines():
            mount, _, mounted = line.partition(" - ")
            if mount.split()[2] == numbers:
                kind, _, options = mounted.split()[:3]
                return FileSystem(kind, frozenset(options.split(",")))
    except (OSError, IndexError, ValueError):
        pass
    return None
