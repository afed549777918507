"""Three nodes on loopback, which share this machine's cores with each other and with the load.

`python -m benchmarks.cluster` prints what a record costs each of them: processor time, helpers included.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Final

from .data import Data
from .lines import Finding, Goal, Line, Session
from .load import Job, Outcome, load
from .nodes import Nodes, clustered
from .serving import FORCED, serving

__all__ = ["SESSIONS"]

NODES: Final = 3
CLIENTS: Final = 64
BATCH: Final = 1_000
KILLS: Final = 200
ALONE: Final = "one node, forced"
HEALTHY: Final = "all well"
SETTLING_S: Final = 2.0
"""Followers and helpers come to their end meanwhile."""
COSTS: Final = ("k/s", "p50 ms", "us leader", "us follower")

SINGLE: Final = Line("cluster, put, 64 clients, p50", "ms", (Goal(10),))
SINGLE_RATE: Final = Line("cluster, put, 64 clients", "k/s", (Goal(1.3),))
BATCHES: Final = Line("cluster, records in batches", "k/s", (Goal(0.6, (ALONE,)), Goal(267.98)))
STOPPED: Final = Line("cluster, p99, one is stopped", "ms", (Goal(1.2, (HEALTHY,)),))
ELECTION: Final = Line("cluster, new leader, p99", "ms", (Goal(2_000),))
SLOWEST: Final = Line("cluster, new leader, slowest", "ms", (Goal(5_000),))


def _asked(job: Job) -> Outcome:
    outcome = load(job)
    assert not outcome.failed, f"{outcome.failed} of {job.requests} requests failed"
    return outcome


def _count(data: Data, most: int) -> int:
    return max(CLIENTS, min(most, len(data.pairs) // 20))


def single(directory: Path, data: Data) -> Iterator[Finding]:
    """Puts of one record."""
    count = _count(data, 20_000)
    with clustered(NODES, Path(tempfile.mkdtemp(dir=directory))) as nodes:
        port = nodes.leader().port
        _asked(Job(port, CLIENTS, count // 10, seed=1))
        outcome = _asked(Job(port, CLIENTS, count, seed=2))
    yield SINGLE.finding(1, outcome.p50_s)
    yield SINGLE_RATE.finding(count, outcome.elapsed_s)


def batches(directory: Path, data: Data) -> Iterator[Finding]:
    """Batches of a thousand records."""
    count = _count(data, 6_000) // 20
    with clustered(NODES, Path(tempfile.mkdtemp(dir=directory))) as nodes:
        outcome = _asked(Job(nodes.leader().port, 8, count, BATCH, seed=3))
    yield BATCHES.finding(count * BATCH, outcome.elapsed_s)


def batches_alone(directory: Path, data: Data) -> Iterator[Finding]:
    """The same for one node that forces each."""
    count = _count(data, 6_000) // 20
    with serving(FORCED, directory) as server:
        outcome = _asked(Job(server.port, 8, count, BATCH, seed=3))
    yield BATCHES.finding(count * BATCH, outcome.elapsed_s)


def stopped(is_stopped: bool, directory: Path, data: Data) -> Iterator[Finding]:
    """Puts while a follower does not answer."""
    count = _count(data, 10_000)
    with clustered(NODES, Path(tempfile.mkdtemp(dir=directory))) as nodes:
        leader = nodes.leader()
        _asked(Job(leader.port, 16, count // 10, seed=4))
        follower = next(node for node in nodes.all if node is not leader)
        if is_stopped:
            follower.signal(signal.SIGSTOP)
        outcome = _asked(Job(leader.port, 16, count, seed=5))
    yield STOPPED.finding(1, outcome.p99_s)


def elections(directory: Path, data: Data) -> Iterator[Finding]:
    """How long it takes from the death of a leader until the others know a new one."""
    kills = max(5, min(KILLS, len(data.pairs) // 5_000))
    with clustered(NODES, Path(tempfile.mkdtemp(dir=directory))) as nodes:
        taken_s = sorted(_killed(nodes) for _ in range(kills))
    yield ELECTION.finding(1, taken_s[max(0, len(taken_s) * 99 // 100 - 1)])
    yield SLOWEST.finding(1, taken_s[-1])


def _killed(nodes: Nodes) -> float:
    """Kill the leader, wait for the next one, and have the dead one back. Gives the seconds without a leader."""
    dead = nodes.leader()
    dead.kill()
    before = time.perf_counter()
    nodes.leader(besides=dead)
    elapsed_s = time.perf_counter() - before
    nodes.start(dead)
    nodes.wait_complete()
    return elapsed_s


SESSIONS: Final = (
    Session((SINGLE, SINGLE_RATE), {"BlockDB": single}),
    Session((BATCHES,), {"BlockDB": batches, ALONE: batches_alone}),
    Session((STOPPED,), {"BlockDB": partial(stopped, True), HEALTHY: partial(stopped, False)}),
    Session((ELECTION, SLOWEST), {"BlockDB": elections}, on_request=True),
)


# ── costs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cost(directory: Path, clients: int, requests: int, records: int) -> str:
    with clustered(NODES, Path(tempfile.mkdtemp(dir=directory))) as nodes:
        leader = nodes.leader()
        _asked(Job(leader.port, clients, max(clients, requests // 10), records, seed=6))
        before = {node.name: node.spent_s()[0] for node in nodes.all}
        outcome = _asked(Job(leader.port, clients, requests, records, seed=7))
        time.sleep(SETTLING_S)
        took = {node.name: node.spent_s()[0] - before[node.name] for node in nodes.all}
    led, count = took.pop(leader.name), requests * records
    cells = (count / outcome.elapsed_s / 1e3, 1e3 * outcome.p50_s, 1e6 * led / count, 1e6 * mean(took.values()) / count)
    return "".join(f"{cell:>12.1f}" for cell in cells)


def main() -> None:
    """Print the table."""
    print(f"{NODES} nodes, records of 32 + 128 bytes" + "".join(f"{head:>12}" for head in COSTS))
    with tempfile.TemporaryDirectory() as directory:
        print(f"{f'one a request, {CLIENTS} clients':<38}{_cost(Path(directory), CLIENTS, 20_000, 1)}", flush=True)
        print(f"{f'batches of {BATCH:,}, 8 clients':<38}{_cost(Path(directory), 8, 300, BATCH)}")


if __name__ == "__main__":
    main()
