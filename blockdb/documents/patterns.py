"""Patterns of schemas: RE2, which matches in time linear in the text, whatever the pattern."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

from blockdb.errors import InvalidData

__all__ = ["MAX_PATTERN", "Pattern"]

MAX_PATTERN: Final = 4096
"""So many characters a pattern may have."""

_ANYWHERE: Final = re2._re2.RE2.Anchor.UNANCHORED


class Pattern:
    """A compiled pattern. It is searched: it matches a text if it matches anywhere in it. Raises InvalidData.

    The package's own door takes 4 µs a search, because it counts characters and makes match objects. Behind it stand
    RE2 itself (0.55 µs) and the set of patterns (0.45 µs), which only says whether. A set that runs out of memory says
    no, so its yes is believed and its no is not.
    """

    __slots__ = ("_exact", "quick", "text")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise InvalidData(f"The pattern has {len(text)} characters, {MAX_PATTERN} at most are taken.")
        self.text = text
        self._exact, self.quick = _compile(text)

    quick: Callable[[bytes], object]
    """Of the UTF-8 of a text: something true if it matches; something false says nothing."""

    def search(self, text: str) -> bool:
        """Whether it matches somewhere in the text, which must have no lone surrogates. O(n)."""
        raw = text.encode()
        return bool(self.quick(raw)) or self._exact.Match(_ANYWHERE, raw, 0, len(raw))[0] != (-1, -1)


@lru_cache(maxsize=256)
def _compile(text: str) -> tuple[re2._re2.RE2, Callable[[bytes], object]]:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise InvalidData("The pattern has half of a surrogate pair in it, which UTF-8 does not have.") from None
    exact = re2._re2.RE2(raw, options)
    if not exact.ok():
        reason = exact.error().decode("utf-8", "backslashreplace")
        raise InvalidData(f"The pattern `{text}` is no regular expression as RE2 has them: {reason}.")
    alone = re2._re2.Set(_ANYWHERE, options)
    alone.Add(raw)
    alone.Compile()
    return exact, alone.Match
