"""A cluster over NATS JetStream, all of it on this machine: rates, and what a record costs.

`python -m benchmarks.streams` prints the table of costs: processor time of both kinds of process, bytes on the disks
and between the servers, of all nodes together, for each record that is applied, sealed and indexed by all its holders.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import blockdb

from .data import Data
from .lines import Finding, Goal, Line, Session
from .load import Job, Outcome, load
from .nodes import Node, Nodes, clustered, until

__all__ = ["SESSIONS"]

NODES: Final = 3
IN_FLIGHT: Final = 256
BATCH: Final = 1_000
SPREAD: Final = "spread"

HEADS: Final = ("k/s", "us ours", "us NATS", "B kept", "B logged", "B sent")

SINGLE: Final = Line("streams, put, 256 in flight", "k/s", (Goal(15),))
BATCHES: Final = Line("streams, records in batches", "k/s", (Goal(150),))


def _job(connections: int, requests: int, records: int = 1, *, seed: int, partitions: int = 1) -> Job:
    """What the nodes share."""
    return Job(0, connections, requests, records, seed=seed, collection=SPREAD, partitions=partitions)


@contextmanager
def streaming(nodes: int, partitions: int, directory: Path, replicas: int = NODES) -> Iterator[Nodes]:
    """So many nodes over JetStream, and a collection of so many partitions."""
    told = {"BLOCKDB_CLUSTER_ENGINE": "jetstream", "BLOCKDB_SERVER_REQUEST_TIMEOUT": "300"}
    with clustered(nodes, Path(tempfile.mkdtemp(dir=directory)), told) as made:
        with blockdb.connect(made.all[0].url, timeout_s=300) as database:
            settings = {"partitions": partitions, "replication_factor": replicas}
            database.create_collection(SPREAD, settings=settings)
        yield made


def spread(nodes: Nodes, job: Job) -> Outcome:
    """A job shared by all nodes, each of which is asked by a process of its own."""
    count = len(nodes.all)
    jobs = [
        replace(job, port=node.port, connections=job.connections // count, requests=job.requests // count, seed=seed)
        for seed, node in enumerate(nodes.all, 100 * job.seed)
    ]
    with ThreadPoolExecutor(count) as pool:
        outcomes = list(pool.map(load, jobs))
    assert not any(outcome.failed for outcome in outcomes), f"{[outcome.failed for outcome in outcomes]} failed"
    return max(outcomes, key=lambda outcome: outcome.elapsed_s)


def single(directory: Path, data: Data) -> Iterator[Finding]:
    """Puts of one record, at all nodes."""
    count = max(10 * NODES, min(30_000, len(data.pairs) // 20))
    with streaming(NODES, 1, directory) as nodes:
        spread(nodes, _job(IN_FLIGHT, count // 10, seed=1))
        outcome = spread(nodes, _job(IN_FLIGHT, count, seed=2))
    yield SINGLE.finding(count, outcome.elapsed_s)


def batches(directory: Path, data: Data) -> Iterator[Finding]:
    """Batches of a thousand records, at all nodes."""
    count = max(9, min(600, len(data.pairs) // 1_000))
    with streaming(NODES, 1, directory) as nodes:
        outcome = spread(nodes, _job(9, count, BATCH, seed=3))
    yield BATCHES.finding(count * BATCH, outcome.elapsed_s)


SESSIONS: Final = (Session((SINGLE,), {"BlockDB": single}), Session((BATCHES,), {"BlockDB": batches}))


# ── costs ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Spent:
    """What all nodes have spent so far."""

    ours_s: float
    nats_s: float
    stored_bytes: int
    logged_bytes: int
    sent_bytes: int

    def since(self, before: Spent) -> Spent:
        """What was spent after that."""
        return Spent(
            self.ours_s - before.ours_s,
            self.nats_s - before.nats_s,
            self.stored_bytes - before.stored_bytes,
            self.logged_bytes - before.logged_bytes,
            self.sent_bytes - before.sent_bytes,
        )


def spent(nodes: Nodes) -> Spent:
    """What they have spent, as the kernel and the NATS servers tell."""
    ours_s, nats_s = map(sum, zip(*(node.spent_s() for node in nodes.all), strict=True))
    logged = sum(_bytes_in(node.directory / "nats") for node in nodes.all)
    return Spent(
        ours_s,
        nats_s,
        sum(_bytes_in(node.directory) for node in nodes.all) - logged,
        logged,
        sum(map(_sent_bytes, nodes.all)),
    )


def _bytes_in(directory: Path) -> int:
    """What the files take on the disk: they may be larger than what was written to them."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def _sent_bytes(node: Node) -> int:
    """What a NATS server has sent to others."""
    port = tomllib.loads((node.directory / "nats" / "ports.toml").read_text())["monitor"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/routez", timeout=5) as answer:
        return sum(route["out_bytes"] for route in json.load(answer)["routes"])


def cost(nodes: int, partitions: int, records: int, directory: Path) -> str:
    """A row of the table: three copies of each record, written in batches that keep to a partition."""
    with streaming(nodes, partitions, directory) as made:
        warm = _job(9 * nodes, max(nodes, partitions) * 3, BATCH // 10, seed=4, partitions=partitions)
        spread(made, warm)
        before = spent(made)
        began = time.perf_counter()
        requests = records // BATCH // nodes * nodes
        spread(made, _job(3 * nodes, requests, BATCH, seed=5, partitions=partitions))
        _wait_applied(made.all)
        elapsed_s = time.perf_counter() - began
        took = spent(made).since(before)
    count = requests * BATCH
    cells = (
        f"{nodes:>5}{partitions:>12}",
        f"{count / elapsed_s / 1e3:>9.1f}",
        *(f"{1e6 * seconds / count:>9.1f}" for seconds in (took.ours_s, took.nats_s)),
        *(f"{amount / count:>9.0f}" for amount in (took.stored_bytes, took.logged_bytes, took.sent_bytes)),
    )
    return "".join(cells)


def _wait_applied(nodes: Sequence[Node]) -> None:
    """Return once no holder is behind."""

    def look() -> bool | None:
        found = [node.status() for node in nodes]
        return True if all(each is not None and not _lag(each) for each in found) else None

    until(look)


def _lag(status: dict[str, Any]) -> int:
    """How many entries a node is behind in what it holds."""
    held = [partition for partition in status["partitions"] if partition["is_held"]]
    own = [node for partition in held for node in partition["nodes"] if node["id"] == status["node_id"]]
    return sum(node["lag"] for node in own)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--records", type=int, default=90_000)
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 5, 9])
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 4, 16, 64])
    given = parser.parse_args()
    print(f"{given.records:,} records of 32 + 128 bytes in batches of {BATCH:,}, three copies of each, forced always")
    print(f"{'nodes':>5}{'partitions':>12}" + "".join(f"{head:>9}" for head in HEADS))
    with tempfile.TemporaryDirectory() as directory:
        for nodes in given.nodes:
            for partitions in given.partitions:
                print(cost(nodes, partitions, given.records, Path(directory)), flush=True)
    print(f"Load average: {' '.join(f'{load:.1f}' for load in os.getloadavg())}, on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
