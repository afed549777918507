"""Collecting what an audit finds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from blockdb.types import Problem

MOST_PROBLEMS: Final = 1000
"""An audit of a file that is damaged throughout stops counting here."""


class Findings:
    """Problems, each with its file named relative to the database directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []

    @property
    def is_full(self) -> bool:
        """Whether no more is noted, so that nothing more need be found out of what is wrong."""
        return len(self.problems) >= MOST_PROBLEMS

    def add(
        self,
        path: Path,
        what: str,
        *,
        offset: int | None = None,
        block: int | None = None,
        sequence: int | None = None,
        key: bytes | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        """Note a problem."""
        if not self.is_full:
            name = path.relative_to(self.root).as_posix()
            self.problems.append(Problem(name, offset, block, sequence, key, what, expected, found))
