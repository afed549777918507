"""How much the tests tried: what each of them counts, a run sums up at its end, room by room (tests/conftest.py).

A proof by trying is worth as much as what was tried. Whoever makes a sweep cheaper sees here that it is still whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

CRASH_STATES = "crash states"
FAILING_CALLS = "failing calls"
KILLS = "kills"
BYTES = "bytes changed"
FILES = "files damaged"
MUTANTS = "forged proofs"
SEEDS = "seeds"
PLANTED = "bugs planted"
FOUND = "bugs found"

_counts: Counter[str] = Counter()


def tally(kind: str, count: int = 1) -> None:
    """The test that is run tried so many more of this kind, each of them another state."""
    _counts[kind] += count


def taken() -> list[tuple[str, object]]:
    """What the test that just ended tried, as properties of its report."""
    counts = list(_counts.items())
    _counts.clear()
    return [*counts]


class Totals:
    """What all tests of a run tried, by room."""

    def __init__(self) -> None:
        self._rooms: dict[str, Counter[str]] = {}

    def add(self, node_id: str, properties: Iterable[tuple[str, object]]) -> None:
        """Add what a test with this name reported. Properties that are no counts of ours are left out."""
        _, _, path = node_id.partition("::")[0].partition("tests/")
        room = path.partition("/")[0] if "/" in path else "tests"
        for kind, count in properties:
            if isinstance(count, int):
                self._rooms.setdefault(room, Counter())[kind] += count

    def lines(self) -> Iterator[str]:
        """A line for each room that counted something."""
        for room, counts in sorted(self._rooms.items()):
            told = ", ".join(f"{count:,} {kind}".replace(",", " ") for kind, count in sorted(counts.items()))
            yield f"{room}: {told}"
