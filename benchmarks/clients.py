"""A process that puts or gets records with `blockdb.connect`: `python -m benchmarks.clients` reads a job.

One thread that waits for each answer, or an event loop with so many requests in flight.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from random import Random
from subprocess import PIPE, run
from typing import Any

from .load import KEY_BYTES, TIMEOUT_S, VALUE_BYTES

__all__ = ["Job", "Outcome", "work"]


@dataclass(frozen=True)
class Job:
    """What is to be asked of a server: `requests` of one record each, unequal to those of other `seed`s."""

    port: int
    requests: int
    in_flight: int = 0
    """Without any, a thread asks for one after the other."""
    seed: int = 0
    is_read: bool = False
    """Whether the records of that seed are there, and are asked for."""


@dataclass(frozen=True)
class Outcome:
    """How long it took, and how much processor time of the client's process."""

    elapsed_s: float
    cpu_s: float


def work(job: Job) -> Outcome:
    """Do a job in a process of its own."""
    done = run(
        [sys.executable, "-m", "benchmarks.clients"],
        input=json.dumps(asdict(job)).encode(),
        stdout=PIPE,
        check=True,
        timeout=TIMEOUT_S,
    )
    return Outcome(**json.loads(done.stdout))


def _pairs(job: Job) -> list[tuple[bytes, bytes]]:
    chance = Random(job.seed)
    return [(chance.randbytes(KEY_BYTES), chance.randbytes(VALUE_BYTES)) for _ in range(job.requests)]


class _Clock:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def outcome(self) -> Outcome:
        return Outcome(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


def _in_a_thread(job: Job) -> Outcome:
    import blockdb

    pairs = _pairs(job)
    with blockdb.connect(f"http://127.0.0.1:{job.port}") as db:
        clock = _Clock()
        for key, value in pairs:
            if job.is_read:
                assert db.get(key) == value
            else:
                db.put(key, value)
        return clock.outcome()


async def _on_a_loop(job: Job) -> Outcome:
    import blockdb

    async with await blockdb.connect_async(f"http://127.0.0.1:{job.port}") as db:
        pairs = iter(_pairs(job))

        async def get(key: bytes, value: bytes) -> None:
            assert await db.get(key) == value

        ask: Callable[[bytes, bytes], Awaitable[Any]] = get if job.is_read else db.put
        clock = _Clock()
        await asyncio.gather(*(_each(ask, pairs) for _ in range(job.in_flight)))
        return clock.outcome()


async def _each(ask: Callable[[bytes, bytes], Awaitable[Any]], pairs: Iterator[tuple[bytes, bytes]]) -> None:
    for key, value in pairs:
        await ask(key, value)


def main() -> None:
    """Read a job from standard input, do it, and write the outcome to standard output."""
    job = Job(**json.load(sys.stdin))
    outcome = asyncio.run(_on_a_loop(job)) if job.in_flight else _in_a_thread(job)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
