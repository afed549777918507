"""Many seeds, one after the other or on several cores."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing import get_context
from time import monotonic
from typing import Final

from tests.simulation.cluster import Outcome, simulate

BATCH: Final = 50
"""Seeds between two collections of garbage: a finished cluster is one big cycle."""
MAX_FAILURES: Final = 10
PROGRESS_S: Final = 1.0


def simulate_batch(seeds: Iterable[int]) -> list[Outcome]:
    """Run some seeds."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return [simulate(seed) for seed in seeds]
    finally:
        gc.collect()
        if was_enabled:
            gc.enable()


def outcomes(seeds: Iterable[int], jobs: int = 1) -> Iterator[Outcome]:
    """Run seeds, and give what became of each, as it comes."""
    rest = iter(seeds)
    batches = iter(lambda: list(islice(rest, BATCH)), [])
    if jobs == 1:
        for batch in batches:
            yield from simulate_batch(batch)
        return
    with get_context("fork").Pool(jobs) as pool:
        for done in pool.imap_unordered(simulate_batch, batches):
            yield from done


def report(seeds: range, jobs: int) -> int:
    """Run seeds with a line of progress, and say which failed. Gives what the process is to exit with."""
    began = shown = monotonic()
    count = events = calls = 0
    failures: list[Outcome] = []
    for outcome in outcomes(seeds, jobs):
        count, events, calls = count + 1, events + outcome.events, calls + outcome.calls
        if outcome.wrong:
            failures.append(outcome)
            print(
                f"\rseed {outcome.seed}: {outcome.wrong}\n  python -m tests.simulation {outcome.seed} --trace",
                flush=True,
            )
        now = monotonic()
        if now - shown > PROGRESS_S or count == len(seeds):
            shown = now
            rate = f"{count / (now - began):.0f} seeds/s, {events / (now - began):,.0f} events/s"
            line = (
                f"{count:,} of {len(seeds):,} seeds, {events:,} events, {calls:,} calls, {len(failures)} failed, {rate}"
            )
            print(f"\r{line}   ", end="", flush=True)
        if len(failures) >= MAX_FAILURES:
            break
    print()
    return 1 if failures else 0
