"""What the explorer wears: its themes are registered, its user's are watched, and a broken one changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.filter import Monochrome, NoColor

import blockdb_themes

from .offloop import in_background, off_loop
from .sheet import Sheet
from .theme import Wardrobe, textual_theme

if TYPE_CHECKING:
    from .app import Explorer

__all__ = ["Dresser"]

LOOK_S = 1.0
"""How often the files of the user's themes are looked at."""


class Dresser:
    """Has the explorer wear a theme, and what its user makes of it meanwhile."""

    def __init__(self, explorer: Explorer, theme: str) -> None:
        """Raises `ThemeError` if the theme cannot be used. With NO_COLOR there is none but the one without colours."""
        self._explorer = explorer
        self._looking = False
        if explorer.no_color:  # textual would make greys of the colours, where none at all are wanted
            theme = blockdb_themes.MONOCHROME
            explorer._filters = [NoColor() if isinstance(it, Monochrome) else it for it in explorer._filters]
        self.wardrobe = Wardrobe(theme, alone=explorer.no_color)
        for name in list(explorer.available_themes):
            explorer.unregister_theme(name)
        for known in self.wardrobe.palettes.values():
            explorer.register_theme(textual_theme(known.theme))
        explorer.theme = theme
        explorer.stylesheet = Sheet(variables=explorer.get_css_variables())

    def start(self, every_s: float = LOOK_S) -> None:
        """Looks after the user's themes from now on."""
        self.look()
        self._explorer.set_interval(every_s, self.look)

    def look(self) -> None:
        """Looks, off the event loop, whether a theme has come or changed; not twice at a time."""
        if not self._looking:
            self._looking = True
            in_background(self._explorer, self._look, group="themes")

    async def _look(self) -> None:
        try:
            found = await off_loop(self.wardrobe.look)
        finally:
            self._looking = False
        if found is None:
            return
        changed, broken = found
        for theme in changed:
            self._take(theme)
        for error in broken:
            self._explorer.say(f"{error}. Until then it stays as it was.", "error")
        if changed:
            self._tell_picker()

    def _take(self, theme: blockdb_themes.Theme) -> None:
        explorer = self._explorer
        self.wardrobe.take(theme)
        explorer.register_theme(textual_theme(theme))
        if explorer.theme == theme.name:
            explorer.mutate_reactive(App.theme)

    def _tell_picker(self) -> None:
        from .screens.themes import ThemePicker

        if isinstance(self._explorer.screen, ThemePicker):
            self._explorer.screen.show_names()
