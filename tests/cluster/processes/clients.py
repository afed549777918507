"""Threads that are clients of a cluster until they are told to stop, and write down what they saw."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from tests.cluster.conformance import until
from tests.cluster.processes.history import STORED, Op


class Clients:
    """What all loads have in common: who works, until when, and what came of it."""

    def __init__(self, seed: int, works: Mapping[str, Callable[[str, random.Random], None]]) -> None:
        """`works` by the names of those who do it; each has chances of its own."""
        self.ops: list[Op] = []
        self.kinds: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=work, args=(who, random.Random(f"{seed} {who}")), name=who, daemon=True)
            for who, work in works.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of them, with the operations that they are at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60.0)
            assert not thread.is_alive(), f"{thread.name} hangs"

    @property
    def stored(self) -> int:
        """How many puts were acknowledged."""
        return self.kinds[STORED]

    def more(self, stored: int, timeout_s: float = 60.0) -> None:
        """Wait until so many more puts were acknowledged."""
        wanted = self.stored + stored
        until(lambda: self.stored >= wanted, f"{stored} more are stored", timeout_s)

    def _note(self, op: Op) -> None:
        with self._lock:
            self.ops.append(op)
            self.kinds[op.what] += 1
