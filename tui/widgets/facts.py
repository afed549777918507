"""The ground of lists of names and values: each value in pieces, the first of them wrapped to the width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.strip import Strip

from ..drawing import fitted_line
from .lines import Lines

__all__ = ["Fact", "Facts", "Pieces"]

Pieces = list[tuple[str, str]]
"""Texts and the roles that colour them."""

Fact = tuple[str, Pieces]


class Facts(Lines):
    """Names at the left, values at the right. `label` is the room for a name."""

    label = 9

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._facts: Sequence[Fact] = ()
        self._lines: list[Fact] = []

    def show_facts(self, facts: Sequence[Fact]) -> None:
        """Shows these, and paints only if they are others."""
        if list(facts) != list(self._facts):
            self._facts = facts
            self._set_out()
            self.refresh()

    def on_resize(self) -> None:
        self._set_out()
        super().on_resize()

    def _set_out(self) -> None:
        room = max(8, self.line_width - self.label - 2)
        self._lines = []
        for name, pieces in self._facts:
            parts = wrapped(pieces[0][0], room)
            self._lines.append((name, [(parts[0], pieces[0][1]), *pieces[1:]]))
            self._lines += [("", [(part, pieces[0][1])]) for part in parts[1:]]
        self.total = len(self._lines)
        self.top = min(self.top, self.last_top)

    def draw_line(self, index: int, width: int) -> Strip:
        name, pieces = self._lines[index]
        style = self.palette.style
        parts = [(text, style(role)) for text, role in pieces]
        return fitted_line([(f" {name:<{self.label}} ", style("muted")), *parts], width)


def wrapped(text: str, room: int) -> list[str]:
    """Long texts without blanks (hashes) in equal parts; words at their blanks."""
    if " " not in text:
        parts = -(-len(text) // room) or 1
        size = -(-len(text) // parts)
        return [text[at : at + size] for at in range(0, len(text), size)] or [""]
    return textwrap.wrap(text, room) or [""]
