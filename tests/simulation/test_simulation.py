"""Whole clusters in simulated time. `make simulate SEEDS=100000` runs many more seeds than these."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice

import pytest

from blockdb.raft import Raft
from tests.planted.planting import ROOT
from tests.simulation.canary import Hasty, Slow
from tests.simulation.clients import Call, History
from tests.simulation.cluster import Outcome, simulate
from tests.simulation.many import outcomes, simulate_batch
from tests.simulation.world import Wrong
from tests.tally import SEEDS, tally

QUICK_SEEDS = range(30)
SOME_SEEDS = range(600)
MANY_SEEDS = range(1000, 6000)
CANARY_SEEDS = range(20)


def failures(done: Iterable[Outcome]) -> list[str]:
    return [f"python -m tests.simulation {each.seed} --trace  # {each.wrong}" for each in done if each.wrong]


def first_failure(seeds: Iterable[int]) -> list[Outcome]:
    return list(islice((outcome for outcome in outcomes(seeds) if outcome.wrong), 1))


def test_all_holds_in_some_seeds() -> None:
    done = simulate_batch(QUICK_SEEDS)
    tally(SEEDS, len(QUICK_SEEDS))
    assert not failures(done)
    assert sum(outcome.calls for outcome in done) > 10 * len(QUICK_SEEDS)


@pytest.mark.torture
def test_all_holds_in_hundreds_of_seeds() -> None:
    assert not failures(first_failure(SOME_SEEDS))
    tally(SEEDS, len(SOME_SEEDS))


@pytest.mark.torture
def test_all_holds_in_thousands_of_seeds() -> None:
    assert not failures(first_failure(MANY_SEEDS))
    tally(SEEDS, len(MANY_SEEDS))


@pytest.mark.parametrize("core", [Hasty, Slow])
def test_a_core_that_is_wrong_on_purpose_is_found(core: type[Raft]) -> None:
    outcome = next((outcome for seed in CANARY_SEEDS if (outcome := simulate(seed, core=core)).wrong), None)
    assert outcome is not None


# ── the same seed is the same history ────────────────────────────────────────────────────────────────────────────


def test_a_trace_changes_nothing_and_two_runs_have_the_same() -> None:
    for seed in range(3):
        first, second = simulate(seed, tracing=True), simulate(seed, tracing=True)
        assert first.trace == second.trace
        assert first.digest == second.digest
        assert simulate(seed).events == first.events


def test_a_trace_does_not_depend_on_the_order_of_sets() -> None:
    """Each process hashes strings in its own way; what happens must not follow from it."""
    program = (
        "from tests.simulation.cluster import simulate; print(*(simulate(s, tracing=True).digest for s in (6, 7)))"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        digests.add(subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True).stdout)
    assert len(digests) == 1


# ── what clients may be told ─────────────────────────────────────────────────────────────────────────────────────


def history() -> tuple[History, Call]:
    """A key that was written by request 1, as its client was told at 10."""
    history, put = History(), Call(1, 5, is_read=False, began=0)
    history.begins(put)
    history.ends(put, 10, 1, has_written=True)
    return history, put


def test_a_read_that_began_before_the_write_was_told_of_may_miss_it() -> None:
    seen, _ = history()
    seen.ends(Call(2, 5, is_read=True, began=10), 20, None, has_written=False)


def test_a_read_that_began_after_it_may_not() -> None:
    seen, _ = history()
    with pytest.raises(Wrong, match="finds nothing"):
        seen.ends(Call(2, 5, is_read=True, began=11), 20, None, has_written=False)


def test_a_key_has_one_value() -> None:
    seen, _ = history()
    second = Call(2, 5, is_read=False, began=0)
    seen.begins(second)
    with pytest.raises(Wrong, match="before there was"):
        seen.ends(second, 20, 2, has_written=True)


def test_nobody_finds_what_nobody_wrote() -> None:
    seen, _ = history()
    with pytest.raises(Wrong, match="nobody wrote"):
        seen.ends(Call(2, 6, is_read=True, began=0), 20, 1, has_written=False)


def test_a_retry_is_not_told_that_somebody_else_wrote_its_key() -> None:
    seen, put = history()
    with pytest.raises(Wrong, match="is told"):
        seen.ends(put, 20, 1, has_written=False)
