"""What completion gives: an offer for a word, and a candidate for a place in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["plain", "data", "text"]

__all__ = ["Candidate", "Offer"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A word that may stand where one is being typed, before anybody has quoted it.

    - `shown` stands for it in a list, and is safe to show, as `meaning` is
    - `keeps` is how many of the characters that are typed it begins with: a filter grows, and is not replaced
    - `goes_on` says that more of the same word may follow, behind a folder or in a filter
    - `kind` says how it is quoted: "plain" not at all, being words of ours; "data" where it has to be; a "text" may
      have blanks behind it, and so it stands in quotes, which stay open
    - `is_literal` says that it looks like a flag and is none, so that `--` has to stand before it
    """

    word: str
    shown: str
    meaning: str = ""
    score: int = 0
    keeps: int = 0
    goes_on: bool = False
    kind: Kind = "data"
    is_literal: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may stand in place of a line's characters from `start` to the cursor; the greater the `score`, the likelier.

    `text` is what to insert, quoted as a line wants it; `shown` and `meaning` are safe to show.
    `goes_on` as in `Offer`.
    """

    text: str
    start: int
    shown: str
    meaning: str = ""
    score: int = 0
    goes_on: bool = False
