"""When records are read in bulk, with numpy (`format.gather`), or written so (`format.bulk_batch`); else one by one.

Importing numpy takes as long as reading a hundred thousand records, so a process that reads little never does. One that
has it reads whatever it wants many of in bulk. The same is true of writing batches.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

FEWEST: Final = 48
"""Fewer records than these are sooner read one by one."""

LONG: Final = 512
"""Where so many are wanted at once, more are likely to come: a scan grows to such windows after a thousand records."""

WORTHWHILE: Final = 65_536
"""So many records read in long windows are a reason to import numpy: by then they took about as long as that does."""

WORTHWHILE_WRITTEN: Final = 262_144
"""So many records written in batches are one too, since as many more save that time."""


class Readings:
    """How much this process has read in long windows. Threads may lose counts of each other, which is harmless."""

    def __init__(self) -> None:
        self.records = 0

    def count(self, records: int) -> bool:
        """Note that so many are about to be read together, and say whether that is to be done in bulk. O(1)."""
        if records >= LONG:
            self.records += records
        return is_bulk(records) or (records >= LONG and self.records > WORTHWHILE)


class Writings:
    """How much this process has written in batches. Threads may lose counts of each other, which is harmless."""

    def __init__(self) -> None:
        self.records = 0
        self.is_preparing = False

    def count(self, records: int) -> None:
        """Note that so many were written together. O(1)."""
        if records >= FEWEST:
            self.records += records

    @property
    def are_worthwhile(self) -> bool:
        """Whether there were so many that numpy is worth importing."""
        return self.records > WORTHWHILE_WRITTEN

    def prepare(self) -> None:
        """Import numpy, if batches are worth it: for a thread that writers do not wait for."""
        if self.are_worthwhile and "numpy" not in sys.modules:
            self.is_preparing = True  # else whoever takes it for imported waits for that
            try:
                import_module("numpy")
            finally:
                self.is_preparing = False


READINGS: Final = Readings()
WRITINGS: Final = Writings()


def is_bulk(records: int) -> bool:
    """Whether so many are read in bulk, with what is imported by now. O(1)."""
    return records >= FEWEST and "numpy" in sys.modules and not WRITINGS.is_preparing
