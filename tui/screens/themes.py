"""The choice of a theme: each is worn while the cursor is on it; Esc goes back to the one before."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from ..listing import Fixed
from ..theme import palettes
from ..widgets.virtual_table import Column, VirtualTable

__all__ = ["ThemePicker"]


def _ground(name: str) -> str:
    return "dark" if palettes()[name].theme.dark else "light"


class ThemePicker(ModalScreen[None]):
    """A short list of themes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "next", "Next", id="themes.next"),
        Binding("escape,q", "revert", "Back to the one before", id="themes.revert"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._names = list(palettes())

    def compose(self) -> ComposeResult:
        columns: list[Column[str]] = [
            Column("THEME", lambda name: name, share=1, role="key"),
            Column("GROUND", _ground, width=7, role="muted"),
        ]
        yield VirtualTable(columns, empty="", words="Enter keeps · Esc reverts", id="themes")

    def on_mount(self) -> None:
        self._before = self.app.theme
        table = self.query_one(VirtualTable)
        table.title = Content("Themes")
        table.show(Fixed(self._names), self._names.index(self.app.theme))
        table.focus()

    @on(VirtualTable.Highlighted)
    def _try_on(self, event: VirtualTable.Highlighted) -> None:
        if event.table.row is not None:
            self.app.theme = event.table.row

    @on(VirtualTable.Chosen)
    def _keep(self) -> None:
        self.dismiss()

    def action_next(self) -> None:
        """On to the next theme, round and round."""
        table = self.query_one(VirtualTable)
        table.move_to((table.cursor + 1) % len(self._names))

    def action_revert(self) -> None:
        """Takes up the theme that was worn before."""
        self.app.theme = self._before
        self.dismiss()
