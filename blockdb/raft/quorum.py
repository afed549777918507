"""Majorities: how far one has the log, who has won an election."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from enum import Enum

__all__ = ["Outcome", "has_majority", "outcome", "reached"]


class Outcome(Enum):
    """What became of an election so far."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


def reached(marks: Iterable[int]) -> int:
    """The highest mark that a majority of them has reached; 0 where there is nobody. O(n log n).

    In ascending order the one at (n - 1) // 2 is it: itself and all behind it are n // 2 + 1.
    """
    ordered = sorted(marks)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0


def has_majority(voters: Iterable[str], chosen: Container[str]) -> bool:
    """Whether a majority of the voters is among the chosen. Nobody is no majority of nobody."""
    count = have = 0
    for voter in voters:
        count += 1
        have += voter in chosen
    return have > count // 2


def outcome(voters: Iterable[str], votes: Mapping[str, bool]) -> Outcome:
    """What the votes make of an election; votes of others than the voters do not count."""
    count = yes = no = 0
    for voter in voters:
        count += 1
        vote = votes.get(voter)
        yes += vote is True
        no += vote is False
    if yes > count // 2:
        return Outcome.WON
    return Outcome.LOST if no >= count - count // 2 else Outcome.OPEN
