"""The server, on loopback: beside the same framework's endpoint that does nothing, and beside Redis where there is one.

Server and load are a process each, so they take a core each. What is compared is measured one after the other.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Final

from .clients import Job as OwnJob
from .clients import work
from .data import Data
from .lines import Finding, Goal, Line, Session
from .load import Job, Outcome, load
from .serving import CONSTANT, FORCED, PLAIN, serving
from .stores import Skipped

__all__ = ["SESSIONS"]

CONNECTIONS: Final = 64
CLIENTS: Final = 30
BATCH: Final = 1_000
SLOW: Final = 1_000
STARLETTE: Final = "Starlette"
REDIS: Final = "Redis"
ALONE: Final = "BlockDB alone"
"""With one connection, or without the slow ones."""
BARE: Final = "bare HTTP"
"""The same requests, made before the clock starts."""

SINGLE: Final = Line("server, put, 64 connections", "k/s", (Goal(0.8, (STARLETTE,)),))
SINGLE_P99: Final = Line("server, p99 of that", "ms")
CLIENT_PUTS: Final = Line("client, put, 64 in flight", "k/s")
CLIENT_PUTS_SERVER: Final = Line("client, server's time for that", "µs")
CLIENT_PUTS_OWN: Final = Line("client, its own time for that", "µs")
CLIENT_GETS: Final = Line("client, get, 64 in flight", "k/s")
CLIENT_GETS_SERVER: Final = Line("client, server's time for gets", "µs")
CLIENT_GETS_OWN: Final = Line("client, its own time for gets", "µs")
CLIENT_THREAD: Final = Line("client, put, one thread", "k/s")
CLIENT_THREAD_OWN: Final = Line("client, one thread's own time", "µs")
BATCHES: Final = Line("server, records in batches", "k/s", (Goal(150),))
FORCED_BATCHES: Final = Line("server, the same, forced", "k/s", (Goal(341.778),))
FORCED_CLIENTS: Final = Line("server, put forced, 30 clients", "k/s", (Goal(1.881),))
FORCED_CONNECTIONS: Final = Line("server, put forced, 64 conn.", "k/s", (Goal(20, (ALONE,)),))
BESIDE_REDIS: Final = Line("server, beside Redis always", "k/s")
SLOW_P99: Final = Line("server, p99 beside 1000 slow", "ms", (Goal(2, (ALONE,)),))


def _asked(job: Job) -> Outcome:
    """The outcome of a job of which nothing may fail."""
    outcome = load(job)
    assert not outcome.failed, f"{outcome.failed} of {job.requests} requests failed"
    return outcome


def _count(data: Data, most: int) -> int:
    """How many requests: fewer where few records are asked for."""
    return max(CONNECTIONS, min(most, len(data.pairs) // 20))


def single(what: str, directory: Path, data: Data) -> Iterator[Finding]:
    """Puts of one record, not forced."""
    count = _count(data, 30_000)
    with serving(what, directory) as server:
        _asked(Job(server.port, CONNECTIONS, count // 10, seed=1))
        outcome = _asked(Job(server.port, CONNECTIONS, count, seed=2))
    yield SINGLE.finding(count, outcome.elapsed_s)
    yield SINGLE_P99.finding(1, outcome.p99_s)


def clients(directory: Path, data: Data) -> Iterator[Finding]:
    """Puts and gets of one record by the own client, on an event loop: what it takes both ends."""
    count = _count(data, 10_000)
    with serving(PLAIN, directory) as server:
        work(OwnJob(server.port, count // 10, CONNECTIONS, seed=1))
        for lines, is_read in (
            ((CLIENT_PUTS, CLIENT_PUTS_SERVER, CLIENT_PUTS_OWN), False),
            ((CLIENT_GETS, CLIENT_GETS_SERVER, CLIENT_GETS_OWN), True),
        ):
            before_s = server.cpu_s()
            outcome = work(OwnJob(server.port, count, CONNECTIONS, seed=2, is_read=is_read))
            spent_s = (outcome.elapsed_s, server.cpu_s() - before_s, outcome.cpu_s)
            yield from (line.finding(count, seconds) for line, seconds in zip(lines, spent_s, strict=True))


def clients_bare(directory: Path, data: Data) -> Iterator[Finding]:
    """The same puts, with an Idempotency-Key each."""
    count = _count(data, 10_000)
    with serving(PLAIN, directory) as server:
        _asked(Job(server.port, CONNECTIONS, count // 10, seed=1, is_keyed=True))
        before_s = server.cpu_s()
        outcome = _asked(Job(server.port, CONNECTIONS, count, seed=2, is_keyed=True))
        yield CLIENT_PUTS.finding(count, outcome.elapsed_s)
        yield CLIENT_PUTS_SERVER.finding(count, server.cpu_s() - before_s)


def thread(directory: Path, data: Data) -> Iterator[Finding]:
    """Puts of one record by the own client, one after the other."""
    count = _count(data, 5_000)
    with serving(PLAIN, directory) as server:
        outcome = work(OwnJob(server.port, count, seed=3))
    yield CLIENT_THREAD.finding(count, outcome.elapsed_s)
    yield CLIENT_THREAD_OWN.finding(count, outcome.cpu_s)


def thread_bare(directory: Path, data: Data) -> Iterator[Finding]:
    """The same requests on one connection."""
    count = _count(data, 5_000)
    with serving(PLAIN, directory) as server:
        outcome = _asked(Job(server.port, 1, count, seed=3, is_keyed=True))
    yield CLIENT_THREAD.finding(count, outcome.elapsed_s)


def batches(what: str, line: Line, connections: int, directory: Path, data: Data) -> Iterator[Finding]:
    """Batches of a thousand records."""
    count = max(connections, _count(data, 6_000) // 20)
    with serving(what, directory) as server:
        outcome = _asked(Job(server.port, connections, count, BATCH, seed=3))
    yield line.finding(count * BATCH, outcome.elapsed_s)


def forced(line: Line, connections: int, directory: Path, data: Data) -> Iterator[Finding]:
    """Puts of one record, each on the disk before the answer."""
    count = _count(data, 20_000 if connections > 1 else 1_000)
    with serving(FORCED, directory) as server:
        outcome = _asked(Job(server.port, connections, count, seed=4))
    yield line.finding(count, outcome.elapsed_s)


def slow(connections: int, directory: Path, data: Data) -> Iterator[Finding]:
    """Puts while so many other connections do not come to the end of their heads."""
    count = _count(data, 10_000)
    with serving(PLAIN, directory) as server:
        outcome = _asked(Job(server.port, 16, count, seed=5, slow=connections))
    yield SLOW_P99.finding(1, outcome.p99_s)


@contextmanager
def _redis() -> Iterator[int]:
    """A Redis that forces each write before it acknowledges it. Gives its port. Raises Skipped."""
    program = shutil.which("redis-server")
    if program is None:
        raise Skipped("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        options = ["--dir", directory, "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        process = Popen([program, "--port", str(port), *options], stdout=DEVNULL)
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Skipped("redis-server did not begin to listen")


def redis(directory: Path, data: Data) -> Iterator[Finding]:
    """The same forced puts to Redis."""
    count = _count(data, 20_000)
    with _redis() as port:
        outcome = _asked(Job(port, CONNECTIONS, count, seed=4, speaks="redis"))
    yield BESIDE_REDIS.finding(count, outcome.elapsed_s)


_BESIDE: Final = partial(forced, BESIDE_REDIS, CONNECTIONS)

SESSIONS: Final = (
    Session((SINGLE, SINGLE_P99), {"BlockDB": partial(single, PLAIN), STARLETTE: partial(single, CONSTANT)}),
    Session(
        (
            CLIENT_PUTS,
            CLIENT_PUTS_SERVER,
            CLIENT_PUTS_OWN,
            CLIENT_GETS,
            CLIENT_GETS_SERVER,
            CLIENT_GETS_OWN,
        ),
        {"BlockDB": clients, BARE: clients_bare},
    ),
    Session((CLIENT_THREAD, CLIENT_THREAD_OWN), {"BlockDB": thread, BARE: thread_bare}),
    Session((BATCHES,), {"BlockDB": partial(batches, PLAIN, BATCHES, 4)}),
    Session((FORCED_BATCHES,), {"BlockDB": partial(batches, FORCED, FORCED_BATCHES, CLIENTS)}),
    Session((FORCED_CLIENTS,), {"BlockDB": partial(forced, FORCED_CLIENTS, CLIENTS)}),
    Session(
        (FORCED_CONNECTIONS,),
        {
            "BlockDB": partial(forced, FORCED_CONNECTIONS, CONNECTIONS),
            ALONE: partial(forced, FORCED_CONNECTIONS, 1),
        },
    ),
    Session((BESIDE_REDIS,), {"BlockDB": _BESIDE, REDIS: redis}),
    Session((SLOW_P99,), {"BlockDB": partial(slow, SLOW), ALONE: partial(slow, 0)}),
)
