"""Questions to the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .output import is_terminal

__all__ = ["asking"]


def asking() -> Callable[[str], str] | None:
    """Asks on the terminal and gives the answer; None where nobody is there."""
    return _ask if is_terminal(sys.stdin) and is_terminal(sys.stderr) else None


def _ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
