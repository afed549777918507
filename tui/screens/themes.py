"""The choice of a theme: each is worn while the cursor is on it; Esc goes back to the one before."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

import blockdb_themes

from ..listing import Fixed
from ..theme import Wardrobe
from ..widgets.virtual_table import Column, VirtualTable

__all__ = ["ThemePicker"]


class ThemePicker(ModalScreen[None]):
    """A short list of themes. Those of one's own are seen to change as their files are saved."""

    HELP = (
        "Each theme is worn while the cursor is on it. One's own are TOML files in ~/.config/blockdb/themes "
        "(docs/THEMES.md); one that is saved is worn at once."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "next", "Next", id="themes.next"),
        Binding("escape,q", "revert", "Back to the one before", id="themes.revert"),
    ]

    def __init__(self, wardrobe: Wardrobe) -> None:
        super().__init__()
        self._wardrobe = wardrobe

    def compose(self) -> ComposeResult:
        columns: list[Column[str]] = [
            Column("THEME", lambda name: name, share=1, role="key"),
            Column("GROUND", self._ground, width=8, role="muted"),
        ]
        yield VirtualTable(columns, empty="", words="Enter keeps · Esc reverts", id="themes")

    def on_mount(self) -> None:
        self._before = self.app.theme
        table = self.query_one(VirtualTable)
        table.title = Content("Themes")
        self.show_names()
        table.focus()

    def show_names(self) -> None:
        """Shows the names that there are now, with the cursor on the theme that is worn."""
        names = self._wardrobe.names
        self.query_one(VirtualTable).show(Fixed(names), names.index(self.app.theme))

    def _ground(self, name: str) -> str:
        theme = self._wardrobe.palettes[name].theme
        if theme.is_native:
            return "any"
        return f"{'dark' if theme.dark else 'light'}{'' if name in blockdb_themes.shipped_names() else ' *'}"

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
        table.move_to((table.cursor + 1) % len(self._wardrobe.names))

    def action_revert(self) -> None:
        """Takes up the theme that was worn before."""
        self.app.theme = self._before
        self.dismiss()
