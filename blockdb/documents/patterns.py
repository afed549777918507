"""Patterns of schemas: RE2, which matches in time linear in the text, whatever the pattern.

RE2's package takes 4 µs a search through its own door, because it counts characters and makes match objects. Behind
that door stand RE2 itself (0.55 µs) and the set of patterns (0.45 µs), which only says whether. A document of five
fields is parsed in 0.25 µs, so there is a third way (0.15 µs): Python's own engine, for what is so simple that both
engines mean the same by it (`_SIMPLE`), has three repeats at most, and is asked of a short text. It tries places one
after the other, at worst n³/6 of them, which for 64 characters is a fifth of a millisecond, and that is a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

from blockdb.errors import InvalidData

__all__ = ["MAX_PATTERN", "SHORT", "Pattern"]

MAX_PATTERN: Final = 4096
"""So many characters a pattern may have."""

SHORT: Final = 64
"""Texts of so many characters may be given to `Pattern.short`."""

_ANYWHERE: Final = re2._re2.RE2.Anchor.UNANCHORED
_MAX_REPEATS: Final = 3
_MEMBER: Final = r"(?:[A-Za-z0-9]-[A-Za-z0-9]|[^]\\[^&~|-]|\\[dw]|\\[!-/:-@^_`{-~])"
_ATOM: Final = rf"(?:\[\^?{_MEMBER}+-?\]|\\[dw]|\\[!-/:-@\\^_`{{-~[\]]|[^][\\^$|?*+(){{}}])"
_TOKEN: Final = re.compile(rf"{_ATOM}(?:{{\d+}}|([?*+]|{{\d+,\d*}}))?")
_SIMPLE: Final = re.compile(rf"(\^(?:{_ATOM}(?:[?*+]|{{\d+(?:,\d*)?}})?)*)(\$?)")
"""`^`, then characters and classes, each with a number or not; perhaps `$`. No groups, no choices, nothing lazy."""


class Pattern:
    """A compiled pattern. It is searched: it matches a text if it matches anywhere in it. Raises InvalidData.

    Texts have no lone surrogates.
    """

    __slots__ = ("_exact", "long", "short")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise InvalidData(f"The pattern has {len(text)} characters, {MAX_PATTERN} at most are taken.")
        self._exact, self.long = _compile(text)
        self.short = _simple(text)

    long: Callable[[bytes], object]
    """Of the UTF-8 of a text: something true if it matches; something false says nothing."""
    short: Callable[[str], object] | None
    """Of a text of `SHORT` characters at most: something true if it matches, and only then; None for many patterns."""

    def search(self, text: str) -> bool:
        """Whether it matches somewhere in the text. O(n)."""
        if self.short is not None and len(text) <= SHORT:
            return bool(self.short(text))
        raw = text.encode()
        return bool(self.long(raw)) or self.exact(raw)

    def exact(self, raw: bytes) -> bool:
        """Whether RE2 itself finds it in the UTF-8 of a text. O(n)."""
        (span,) = self._exact.Match(_ANYWHERE, raw, 0, len(raw))
        return bool(span != (-1, -1))


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
    return exact, alone.Match  # a set that runs out of memory says no, so that its no is not believed


def _simple(text: str) -> Callable[[str], object] | None:
    simple = _SIMPLE.fullmatch(text)
    if not simple or sum(1 for token in _TOKEN.finditer(text, 1) if token[1]) > _MAX_REPEATS:
        return None
    end = r"\Z" if simple[2] else ""  # Python's own $ also stands before a last line break
    return re.compile(simple[1] + end, re.ASCII).match
