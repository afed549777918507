"""Jumping: a letter on every pane and every tab; the next key press goes there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

if TYPE_CHECKING:
    from .view import View

__all__ = ["Jump", "Jumps", "jumps_of"]

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@dataclass(frozen=True)
class Jump:
    """Where a key leads: to a pane, or to a view by its mode; and where its letter is drawn."""

    key: str
    x: int
    y: int
    to: Widget | str


def jumps_of(view: View) -> list[Jump]:
    """The panes of a view, each with a letter, and its tabs, each with the key that it has anyway."""
    tabs = [Jump(key, x, 0, mode) for x, key, mode in view.header.tabs() if len(key) == 1]
    taken = {tab.key for tab in tabs}
    letters = (letter for letter in LETTERS if letter not in taken)
    panes = [widget for widget in view.frame.query("*").results(Widget) if _can_be_gone_to(widget)]
    labelled = zip(panes, letters, strict=False)
    return [*(Jump(letter, pane.region.x, pane.region.y, pane) for pane, letter in labelled), *tabs]


def _can_be_gone_to(widget: Widget) -> bool:
    return widget.focusable and widget.region.area > 0


class Jumps(ModalScreen["Widget | str | None"]):
    """The letters, over what is there; the result is where to go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,semicolon", "leave", "Stay here", id="jump.leave"),
    ]

    def __init__(self, jumps: Sequence[Jump]) -> None:
        super().__init__()
        self._jumps = {jump.key: jump for jump in jumps}

    def compose(self) -> ComposeResult:
        yield from self._labels()

    def _labels(self) -> Iterable[Static]:
        for jump in self._jumps.values():
            label = Static(Content(f" {jump.key} "), classes="jump")
            label.styles.offset = (jump.x, jump.y)
            yield label

    def on_key(self, event: events.Key) -> None:
        jump = self._jumps.get(event.character or "")
        if jump is not None:
            event.stop()
            self.dismiss(jump.to)

    def on_resize(self) -> None:
        if self._is_laid_out:
            self.dismiss(None)  # what the letters stand for is elsewhere now
        self._is_laid_out = True

    _is_laid_out = False

    def on_click(self) -> None:
        self.dismiss(None)

    def action_leave(self) -> None:
        """Takes the letters away again."""
        self.dismiss(None)
