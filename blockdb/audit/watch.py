"""Telling whoever waits for an audit how far it is, and hearing from them that they wait no more."""

from __future__ import annotations

from collections.abc import Callable

from blockdb.audit.chain import Cancelled
from blockdb.types import Progress

ProgressCallback = Callable[[Progress], None]
CancelCallback = Callable[[], bool]


class Watch:
    """Progress over all collections of a database. What is told never goes back."""

    def __init__(
        self,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        pace: Callable[[int], None] | None = None,
    ) -> None:
        """`pace` hears each time how many bytes were read, and may take its time."""
        self._progress = progress
        self._cancel = cancel
        self._pace = pace
        self._before = (0, 0)
        self._told = (0, 0)
        self.total = 0
        """How many records there are at least."""
        self.read_bytes = 0

    def begin_with(self, records: int, blocks: int) -> None:
        """So much was done before the collection that comes next."""
        self._before = records, blocks

    def tell(self, records: int, blocks: int) -> None:
        """So much of the collection is done. Raises Cancelled."""
        if self._cancel is not None and self._cancel():
            raise Cancelled
        if self._progress is not None:
            before_records, before_blocks = self._before
            self._told = max(self._told, (before_records + records, before_blocks + blocks))
            self._progress(Progress(self._told[0], max(self.total, self._told[0]), self._told[1]))

    def read(self, size: int) -> None:
        """So many bytes more were looked at. Raises what `pace` raises."""
        self.read_bytes += size
        if self._pace is not None:
            self._pace(size)
