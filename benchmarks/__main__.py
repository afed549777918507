"""Run the comparison: `python -m benchmarks --records 1000000`.

The databases take turns session by session, in an order that rotates from round to round, so that a machine that is
slower for a minute is so for all of them. Before each session the disk is brought to rest: writes of the one before
would otherwise be charged to it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .cases import CASES, SESSIONS, Data, make_data
from .report import save, table
from .stores import PEERS, Peer

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, keep the raw results."""
    options = _options(arguments)
    peers = [peer for peer in PEERS if find_spec(peer.module)]
    data = make_data(options.records)
    gc.freeze()
    results: dict[str, dict[str, list[float]]] = {peer.name: defaultdict(list) for peer in peers}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="blockdb-bench-", dir=options.directory) as directory:
            _round(peers[number % len(peers) :] + peers[: number % len(peers)], Path(directory), data, results)
    _say("")
    print(table(results, peers, options.records))
    if not options.no_save:
        print(f"\nRaw results: {save(results, options.records, RESULTS)}", file=sys.stderr)
    return 0


def _round(peers: Sequence[Peer], directory: Path, data: Data, results: dict[str, dict[str, list[float]]]) -> None:
    cases = {case.name: case for case in CASES}
    for session in SESSIONS:
        for peer in peers:
            _say(f"{peer.name}: {session.__name__.replace('_', ' ')} ...")
            home = directory / peer.name
            home.mkdir(exist_ok=True)
            gc.collect()
            os.sync()
            for finding in session(peer, home, data):
                results[peer.name][finding.case].append(cases[finding.case].value(finding))


def _say(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", help="where the databases are made; by default with the temporary files")
    parser.add_argument("--no-save", action="store_true", help="keep no raw results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
