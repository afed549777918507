"""The style sheet of the explorer: each of its sources is parsed once for a theme."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet

__all__ = ["Sheet"]


class Sheet(Stylesheet):
    """A style sheet that keeps what it has parsed.

    Textual's own parses everything anew several times at the start, and again with each screen that is shown for the
    first time. What it finds depends on nothing but the sources and the colours, so other colours alone undo it.
    """

    def set_variables(self, variables: dict[str, str]) -> None:
        """Takes the colours of a theme."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parses what is new since the last time: all of it, if the colours are. Raises as `parse` does."""
        self.parse()
