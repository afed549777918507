"""Threads in which requests are answered, apart by what they may have to wait for.

Whoever waits for a lock must not keep the one from a thread that would release it: so ends of transactions have their
own, and so have what takes long, and streams.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from blockdb.wire.operation import Kind, Operation

__all__ = ["Threads"]

WORKERS: Final = 64
"""As many writers wait for the disk at the same time, and share a force."""
LONG_WORKERS: Final = 8
ENDING_WORKERS: Final = 8
MONITORING_WORKERS: Final = 2
ENDING: Final = frozenset({"commit", "abort"})


class Threads:
    """Pools of threads, which come when they are needed."""

    def __init__(self, most_streams: int) -> None:
        self._common = ThreadPoolExecutor(WORKERS, "blockdb-request")
        self._long = ThreadPoolExecutor(LONG_WORKERS, "blockdb-long")
        self._ending = ThreadPoolExecutor(ENDING_WORKERS, "blockdb-ending")
        self._monitoring = ThreadPoolExecutor(MONITORING_WORKERS, "blockdb-monitoring")
        self.streams = ThreadPoolExecutor(max(most_streams, 1), "blockdb-stream")

    def of(self, operation: Operation) -> ThreadPoolExecutor:
        """Where an operation is done."""
        if operation.is_monitoring:
            return self._monitoring
        if operation.name in ENDING:
            return self._ending
        if operation.kind is not Kind.PLAIN:
            return self.streams
        return self._long if operation.is_long else self._common

    def close(self) -> None:
        """Take nothing any more, and wait for what is under way."""
        for pool in (self._common, self._long, self._ending, self._monitoring, self.streams):
            pool.shutdown(cancel_futures=True)
