"""The question before what cannot be taken back: the name of what it is about has to be typed out."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..keytext import visible

__all__ = ["Confirm"]


class Confirm(ModalScreen[bool]):
    """True when the name was typed as it is; False when it was not, or Esc was pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Do nothing", id="confirm.cancel"),
    ]

    def __init__(self, name: str, words: str) -> None:
        """`words` say what will happen, on several lines perhaps; both may hold stored bytes."""
        super().__init__()
        self._wanted, self._words = visible(name), "\n".join(map(visible, words.split("\n")))

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(Content(self._words), id="confirm-words")
            yield Static(Content.assemble("Type ", (self._wanted, "$role-key"), " to go on."), id="confirm-name")
            yield Input(id="confirm-input", compact=True, select_on_focus=False)
            yield Static("", id="confirm-hint", markup=False)

    def on_mount(self) -> None:
        box = self.query_one("#confirm")
        box.border_title = Content("This cannot be taken back")
        box.border_subtitle = Content("Enter does it · Esc does nothing")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        is_on_the_way = self._wanted.startswith(event.value)
        self.query_one("#confirm-hint", Static).update("" if is_on_the_way else "That is not its name.")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value == self._wanted:
            self.dismiss(True)
        elif not event.value:
            self.dismiss(False)

    def action_cancel(self) -> None:
        """Does nothing, and goes."""
        self.dismiss(False)
