"""Completion of a line as the shell and the explorer have it: words found, offers quoted as a line wants them."""

from __future__ import annotations

from dataclasses import dataclass

from blockdb.commands.command import Where
from blockdb.commands.display import shortened
from blockdb.commands.line import quote, quoted_start, to_bytes, words

from .candidate import Candidate, Offer
from .source import NO_SOURCE, Source
from .words import offered

__all__ = ["complete"]

MEANING_CHARACTERS = 60


@dataclass(frozen=True)
class _Word:
    """The word at the cursor: the words before it, what it says, and where in the line it begins."""

    before: list[str]
    typed: str
    start: int

    @classmethod
    def of(cls, line: str) -> _Word:
        found = words(line)
        if not found or found[-1].end < len(line):
            return cls([word.text for word in found], "", len(line))
        last, before = found[-1], [word.text for word in found[:-1]]
        flag, equals, value = last.text.partition("=")
        if equals and flag.startswith("--") and not line[last.start : last.end].startswith(('"', "'")):
            return cls([*before, flag], value, last.start + len(flag) + 1)
        return cls(before, last.text, last.start)


def complete(
    line: str, cursor: int, source: Source = NO_SOURCE, current: str | None = None, *, where: Where = Where.SHELL
) -> list[Candidate]:
    """What may stand at the cursor of a line, the best first. What is behind the cursor is not looked at.

    `current` is the collection that is used where the line names none, `where` says which commands there are. It may
    wait for the source: call it where that holds nobody up. Never raises.
    """
    line = line[:cursor].rpartition("\n")[2]
    skipped = cursor - len(line)
    try:
        word = _Word.of(line)
        found = offered(word.before, word.typed, where, source, current)
        return [_candidate(offer, word, line, skipped) for offer in found]
    except UnicodeError:  # half of a surrogate pair, which stands for nothing
        return []


def _candidate(offer: Offer, word: _Word, line: str, skipped: int) -> Candidate:
    text, start = _text(offer, word, line)
    guard = "-- " if offer.is_literal else ""
    meaning = shortened(offer.meaning, MEANING_CHARACTERS)
    return Candidate(guard + text, skipped + start, offer.shown, meaning, offer.score, offer.goes_on)


def _text(offer: Offer, word: _Word, line: str) -> tuple[str, int]:
    """What to insert for an offer, and where. Of a text in quotes, what is typed already stays as it stands there."""
    if offer.kind == "plain":
        return offer.word, word.start
    if offer.kind == "data":
        return quote(to_bytes(offer.word)), word.start
    mark = line[word.start : word.start + 1]
    if mark in ("'", '"'):
        kept, added = (quoted_start(text[offer.keeps :], mark) for text in (word.typed, offer.word))
        if kept is not None and added is not None and line[word.start + 1 :].endswith(kept[1:]):
            return added[1:], len(line) - len(kept) + 1
    return quoted_start(offer.word, mark) or quoted_start(offer.word, '"') or "", word.start
