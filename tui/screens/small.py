"""What stands on a terminal that is too small for anything else."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["TooSmall"]


class TooSmall(ModalScreen[None]):
    """Says how much room is needed, and goes when there is enough."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.quit", "Quit", id="small.quit")]

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._needed = (width, height)

    def compose(self) -> ComposeResult:
        yield Static("", id="too-small", markup=False)

    def on_mount(self) -> None:
        self._say()

    def on_resize(self, event: events.Resize) -> None:
        self._say()

    def _say(self) -> None:
        width, height = self.app.size
        words = f"Too small\n{width}×{height}, {self._needed[0]}×{self._needed[1]} needed"
        self.query_one(Static).update(Text(words, justify="center"))
