"""`python -m tests.simulation SEED --trace` shows what happens in a seed; with `--seeds N` many are run."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.cluster import simulate
from tests.simulation.many import report


def main() -> int:
    """Run one seed or many."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulate whole clusters.")
    parser.add_argument("seed", nargs="?", type=int, help="run this seed alone")
    parser.add_argument("--trace", action="store_true", help="show everything that happens in it")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run (1000)")
    parser.add_argument("--first", type=int, default=0, help="which to begin with (0)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes to use (1)")
    arguments = parser.parse_args()
    if arguments.seed is None:
        return report(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs)
    outcome = simulate(arguments.seed, tracing=arguments.trace)
    print(*outcome.trace, sep="\n")
    print(f"seed {outcome.seed}: {outcome.wrong or 'all holds'}; {outcome.events} events, digest {outcome.digest}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
