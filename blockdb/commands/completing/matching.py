"""Which words are like what was typed: those that begin so; and where none does, those that have its letters in order.

There is no library in this: the fuzzy matchers of the toolkits look at each word with a regular expression at every
key, and split `users:42` at its colon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, TypeVar

__all__ = ["BEGINS", "MOST_LOOKED_AT", "matching", "score"]

T = TypeVar("T")

MOST_COMPARED: Final = 50_000
"""So many words are looked at for whether they begin with what is typed; those that come later are not known."""

MOST_LOOKED_AT: Final = 10_000
"""So many of them for the same in another case, and for letters in order."""

BEGINS: Final = 1_000
"""The score of a word that begins with what was typed; of one that does in other letters' case, 1 less."""

_AT_A_JOINT: Final = 8
_IN_A_ROW: Final = 4
_FEWEST_LETTERS: Final = 2
_JOINTS: Final = frozenset(' -_.:/["')


def matching(found: Iterable[T], typed: str, name: Callable[[T], str]) -> list[tuple[int, T]]:
    """Those that fit what was typed, with their scores, the best first; equals in the order in which they came.

    Where some begin with it, only they fit. O(`MOST_COMPARED`) for that; else O(letters of `MOST_LOOKED_AT` words).
    """
    every = list(islice(found, MOST_COMPARED))
    if not typed:
        return [(BEGINS, it) for it in every]
    names, length, folded = list(map(name, every)), len(typed), typed.casefold()
    exact = [(BEGINS, every[at]) for at, word in enumerate(names) if word[:length] == typed]
    if exact:
        return exact
    near = names[:MOST_LOOKED_AT]
    loose = [(BEGINS - 1, every[at]) for at, word in enumerate(near) if word.casefold().startswith(folded)]
    if loose or length < _FEWEST_LETTERS:
        return loose
    scored = [(score(word, folded), every[at]) for at, word in enumerate(near)]
    return sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])


def score(word: str, typed: str) -> int:
    """How well a word fits small letters that it has in their order; 0 where it has not. At most `BEGINS` - 2.

    The first letter must begin the word or one of its parts, or anything long would fit anything short. Letters that
    begin a part count most, then those in a row. Greedy, from left to right: O(length of the word).
    """
    letters = word.casefold()
    at = _joint(letters, typed[0])
    if at < 0:
        return 0
    points, last = _AT_A_JOINT, at
    for letter in typed[1:]:
        row = letters[last + 1 : last + 2] == letter
        place = last + 1 if row else _joint(letters, letter, last + 1)
        if place < 0:
            place = letters.find(letter, last + 1)
        if place < 0:
            return 0
        points += _IN_A_ROW if row else _AT_A_JOINT if letters[place - 1] in _JOINTS else 1
        last = place
    return max(1, min(points * 8 - len(word), BEGINS - 2))


def _joint(letters: str, letter: str, start: int = 0) -> int:
    """Where a letter begins the word or a part of it, from `start` on; -1 where it does not."""
    at = letters.find(letter, start)
    while at > 0 and letters[at - 1] not in _JOINTS:
        at = letters.find(letter, at + 1)
    return at
