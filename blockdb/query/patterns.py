"""Patterns of text: RE2, searched for anywhere in a text, in time linear in its length."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

__all__ = ["pattern_error", "searcher"]

MAX_PATTERN: Final = 10_000
"""So many characters a pattern may have."""


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    return options


@lru_cache(maxsize=256)
def searcher(pattern: str) -> Callable[[str], object]:
    """A function of a text: not None where the pattern is found in it. Raises re2.error."""
    search: Callable[[str], object] = re2.compile(pattern, _options()).search
    return search


def pattern_error(pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    if len(pattern) > MAX_PATTERN:
        return f"it has {len(pattern):,} characters, {MAX_PATTERN:,} are the limit"
    try:
        searcher(pattern)
    except re2.error as error:
        words = error.args[0] if error.args else "malformed"
        return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return None
