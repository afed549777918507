"""Commits over several partitions, with a coordinator or a holder killed at each step: whole, or not there at all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from blockdb.cluster.partitions.committing import IN_DOUBT_S
from blockdb.errors import BlockDBError, DuplicateKey, Unavailable
from tests.cluster.processes.dying import STEPS
from tests.cluster.processes.test_streams import PATIENCE_S, again, cluster, until
from tests.server.cluster.processes import NodeProcess, connected

pytestmark = [pytest.mark.torture, pytest.mark.timeout(1200)]

LONGEST_S = 4 * IN_DOUBT_S
"""In doubt for so long at the most: its bound, as long again until another holder looks, and NATS's own elections."""


def test_each_side_is_killed_at_each_step(tmp_path: Path) -> None:
    told = []
    with cluster(tmp_path, copies=3) as nodes:  # each of which applies whatever there is to be applied
        for number, step in enumerate(STEPS):
            victim, *others = nodes[number % 3 :] + nodes[: number % 3]
            begin_to_die(victim, step)
            keys, is_acknowledged = fatal_write(victim, victim if step.startswith("ask") else others[0], step)
            is_stored, took_s = outcome(others, keys)
            assert is_stored or not is_acknowledged, step
            assert took_s < LONGEST_S, (step, took_s)
            victim.program = "blockdb.commands.main"
            again(victim)
            for node in nodes:
                assert whole(node, keys) == {b"new" if not is_stored else b"first"}, (step, node.name)
            told.append(f"{step}: {'stored' if is_stored else 'not stored'}, decided within {took_s:.1f} s")
    print(*told, sep="\n")
    assert any("not stored" in line for line in told)
    assert any(": stored" in line for line in told)


def begin_to_die(node: NodeProcess, step: str) -> None:
    node.stop()
    node.program, node.environ = "tests.cluster.processes.dying", {"DIE_AT": step}
    again(node)


def fatal_write(victim: NodeProcess, asked: NodeProcess, step: str) -> tuple[list[bytes], bool]:
    """Write batches until one is the death of a node: its keys, and whether it was acknowledged.

    One that is refused, as others do not answer yet, does not come to the step.
    """
    last = time.monotonic() + PATIENCE_S
    for attempt in count():
        keys = [f"{step}:{attempt}:{each}".encode() for each in range(40)]  # some in each of the partitions
        is_acknowledged = write(asked, keys)
        assert victim.process is not None
        with suppress(TimeoutExpired):
            victim.process.wait(2.0)
            break
        assert time.monotonic() < last, f"{victim.name} does not die at {step}"
    victim.kill()
    return keys, is_acknowledged


def write(node: NodeProcess, keys: Sequence[bytes]) -> bool:
    """Write all in one batch; whether that was acknowledged."""
    with suppress(BlockDBError), connected([node], attempts=1, timeout_s=30.0) as db:
        db.collection("users").put_many([(key, b"first") for key in keys])
        return True
    return False


def outcome(nodes: Sequence[NodeProcess], keys: Sequence[bytes]) -> tuple[bool, float]:
    """Write the same keys again: whether they were there, and for how long nobody could tell."""
    began = time.monotonic()
    while True:
        try:
            with connected(nodes, attempts=1, timeout_s=10.0) as db:
                db.collection("users").put_many([(key, b"new") for key in keys])
            return False, time.monotonic() - began
        except DuplicateKey:
            return True, time.monotonic() - began
        except Unavailable:
            assert time.monotonic() - began < PATIENCE_S


def whole(node: NodeProcess, keys: Sequence[bytes]) -> set[bytes]:
    """The values that a node has under the keys."""
    found: set[bytes] = set()

    def asked() -> bool:
        with suppress(Unavailable), connected([node], timeout_s=10.0) as db:
            values = [db.collection("users").get(key) for key in keys]
            found.update(b"" if value is None else value for value in values)
            return True
        return False

    until(asked, f"an answer of {node.name}")
    return found
