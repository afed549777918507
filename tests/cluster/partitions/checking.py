"""Whether a history of transactions is one that could have happened one after the other, in the order of real time.

Keys are written once, so who came before whom follows from what was read: there is nothing to be searched for. A reader
of a value came after its writer; who found a key missing came before whoever wrote it; and whoever was done before
another began came before it. It is serializable, strictly, if that goes round in no circle. (C. Papadimitriou, "The
serializability of concurrent database updates", 1979; A. Adya, "Weak consistency", 1999.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

Place = tuple[str, bytes]
"""A key of a partition."""


@dataclass
class Done:
    """What somebody did, or tried to."""

    name: bytes
    """The value that it writes everywhere."""
    begun: float
    ended: float = inf
    is_done: bool | None = None
    """None: nobody was told."""
    reads: dict[Place, bytes | None] = field(default_factory=dict)
    writes: set[Place] = field(default_factory=set)

    def told(self, now: float, *, is_done: bool) -> None:
        """It is known what became of it."""
        self.ended, self.is_done = now, is_done


def check(history: Sequence[Done], final: Mapping[Place, bytes]) -> None:
    """Raises AssertionError where parts of something are missing, or the history could not have happened."""
    done = [each for each in history if _is_done(each, final)]
    writers = {place: each for each in done for place in each.writes}
    assert set(final) == set(writers), "something was stored that nobody has written"
    numbers = {id(each): number for number, each in enumerate(done)}
    later: list[set[int]] = [{number for number, other in enumerate(done) if each.ended < other.begun} for each in done]
    for number, each in enumerate(done):
        for place, value in each.reads.items():
            writer = writers.get(place)
            assert value is None or (writer is not None and writer.name == value), f"{value!r} was never there"
            if writer is not None and writer is not each:
                other = numbers[id(writer)]
                first, second = (number, other) if value is None else (other, number)
                later[first].add(second)
    _check_no_circle(later)


def _is_done(each: Done, final: Mapping[Place, bytes]) -> bool:
    """Whether it counts: all of it, or nothing."""
    stored = [final.get(place) == each.name for place in each.writes]
    assert all(stored) or not any(stored), f"{each.name!r} is there in part"
    if each.writes:
        assert each.is_done in (None, stored[0]), f"{each.name!r} was told the contrary of what is so"
        return stored[0]
    return each.is_done is True


def _check_no_circle(later: Sequence[set[int]]) -> None:
    before = [0] * len(later)
    for targets in later:
        for target in targets:
            before[target] += 1
    free = [number for number, count in enumerate(before) if not count]
    seen = 0
    while free:
        number = free.pop()
        seen += 1
        for target in later[number]:
            before[target] -= 1
            if not before[target]:
                free.append(target)
    assert seen == len(later), "no order of the transactions explains what they have read"
