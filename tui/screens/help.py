"""Help for the pane that has the focus: what it shows, and every key that does something there."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from ..theme import palette
from ..widgets.keybar import heard_on

__all__ = ["Help"]

IN_GENERAL = """The keys at the top lead to the views; 0 lists the collections. Tab goes from pane to pane, ; puts a \
letter on each, Esc goes back the way that stands below the top. Arrows and the keys of vi move, and so does the \
mouse; a click on the line at the bottom does what the key does. ctrl+p finds things by name. Y copies the command \
that prints what is shown. The explorer only reads until ! arms it."""


class Help(ModalScreen[None]):
    """Words and keys. Made from what has the focus on `screen` when it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss_help", "Close", id="help.close"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._title, self._words = _explanation(screen)
        self._keys = _keys(screen)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help", can_focus=False):
            yield Static("", id="help-words", markup=False)
            yield Static("", id="help-keys", markup=False)

    def on_mount(self) -> None:
        colours = palette(self.app)
        pane = self.query_one("#help")
        pane.border_title = Content(self._title)
        pane.border_subtitle = Content("Esc closes")
        words = Text(self._words + "\n\n", colours.style("text"))
        words.append(IN_GENERAL + "\n", colours.style("muted"))
        self.query_one("#help-words", Static).update(words)
        table = Table.grid(padding=(0, 2))
        for keys, description in self._keys:
            table.add_row(Text(keys, colours.style("accent", bold=True)), Text(description, colours.style("text")))
        self.query_one("#help-keys", Static).update(table)

    def action_dismiss_help(self) -> None:
        """Closes the help."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scrolls by lines."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def _explanation(screen: Screen[object]) -> tuple[str, str]:
    """The title of the focused pane, and the help of the nearest node that has any."""
    focused: DOMNode | None = screen.focused
    for node in focused.ancestors_with_self if focused is not None else [screen]:
        words = getattr(node, "help_words", None) or getattr(node, "HELP", None)
        if words and not isinstance(node, App):
            return _title(node), words
    return "Help", ""


def _title(node: DOMNode) -> str:
    border = getattr(node, "_border_title", None)
    return border.plain if isinstance(border, Content) else getattr(node, "HELP_TITLE", "Help")


def _keys(screen: Screen[object]) -> list[tuple[str, str]]:
    """Every key that does something now, those with the same effect together."""
    found: dict[tuple[str, str], list[str]] = {}
    for active in heard_on(screen):
        binding = active.binding
        if binding.description and not binding.system:
            keys = found.setdefault((binding.action, binding.description), [])
            display = screen.app.get_key_display(binding)
            if display not in keys:
                keys.append(display)
    return [(" ".join(keys), description) for (_, description), keys in found.items()]
