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
        if len(self.problems) < MOST_PROBLEMS:
            name = path.relative_to(self.root).as_posix()
            self.problems.append(Problem(name, offset, block, sequence, key, what, expected, found))
