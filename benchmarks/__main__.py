"""Run the comparison, or a part of it: `python -m benchmarks --records 200000 --rounds 1 --only get scan`.

Those who take part in a session do so one after the other, in an order that rotates from round to round, so that a
machine that is slower for a minute is so for all of them. Before each the disk is brought to rest: the writes of the
one before would otherwise be charged to it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import cluster, documents, integrity, proofs, reads, server, space, streams, writes
from .data import Data, make_data
from .lines import OURS, Line, Session, rest
from .report import save, table
from .stores import Skipped

SESSIONS: Final = (
    *writes.SESSIONS,
    *reads.SESSIONS,
    *integrity.SESSIONS,
    *proofs.SESSIONS,
    *documents.SESSIONS,
    *server.SESSIONS,
    *cluster.SESSIONS,
    *streams.SESSIONS,
    *space.SESSIONS,
)
RESULTS: Final = Path(__file__).parent / "results"


class Comparison:
    """What was found so far, line by line, and why something was not."""

    def __init__(self, sessions: Sequence[Session], data: Data) -> None:
        self.results: dict[str, dict[str, list[float]]] = {}
        self.skipped: dict[str, str] = {}
        self._sessions = sessions
        self._data = data

    def round(self, number: int, directory: Path) -> None:
        """Hold every session once; those that take very long in the first round alone."""
        for session in self._sessions:
            names = list(session.takers)
            turn = number % len(names)
            if not (session.on_request and number):
                for name in names[turn:] + names[:turn]:
                    say(f"round {number + 1} · {session.lines[0].name} · {name} ...")
                    self._hold(session, name, directory)

    def _hold(self, session: Session, name: str, directory: Path) -> None:
        rest()
        try:
            for finding in session.takers[name](directory, self._data):
                # All names are entered at once: told in the session's order, whoever's turn was first.
                who = self.results.setdefault(finding.line.name, {taker: [] for taker in session.takers})
                who[name].append(finding.value)
        except Skipped as reason:
            missing = [line.name for line in session.lines] if name == OURS else [name]
            self.skipped.update(dict.fromkeys(missing, str(reason)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, keep the raw results of a whole run."""
    options = parse(arguments)
    sessions, lines = chosen(options.only, options.long)
    data = make_data(options.records)
    gc.freeze()
    comparison = Comparison(sessions, data)
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="blockdb-bench-", dir=options.directory) as directory:
            comparison.round(number, Path(directory))
    say("")
    print(table(comparison.results, lines, comparison.skipped, options.records))
    if not options.only and not options.no_save:
        print(f"\nRaw results: {save(comparison.results, lines, options.records, RESULTS)}", file=sys.stderr)
    return 0


def chosen(only: Sequence[str], is_long: bool = False) -> tuple[list[Session], list[Line]]:
    """The sessions to hold and the lines to tell: those whose names contain one of these; without any, all."""
    words = [word.casefold() for word in only]

    def wanted(session: Session, line: Line) -> bool:
        if words:
            return any(word in line.name.casefold() for word in words)
        return is_long or not session.on_request

    pairs = [(session, line) for session in SESSIONS for line in session.lines if wanted(session, line)]
    sessions = [session for session in SESSIONS if any(session is other for other, _ in pairs)]
    return sessions, [line for _, line in pairs]


def say(words: str) -> None:
    """Show what goes on, in one line, to who is looking."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="how many (1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians are told (3)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="lines whose name contains one of these")
    parser.add_argument("--long", action="store_true", help="also what takes minutes: 10 M records, 200 elections")
    parser.add_argument("--directory", help="where the databases are made; by default with the temporary files")
    parser.add_argument("--no-save", action="store_true", help="keep no raw results; those of --only never are")
    options = parser.parse_args(arguments)
    if not chosen(options.only)[1]:
        names = ", ".join(line.name.strip() for session in SESSIONS for line in session.lines)
        parser.error(f"no line has such a name; there are: {names}")
    return options


if __name__ == "__main__":
    sys.exit(main())
