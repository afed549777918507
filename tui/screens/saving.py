"""What stands over a view while a table is written to a file: how far it is, and that it can be ended."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..saving import Work

__all__ = ["Saving"]

TOLD_EVERY_S = 0.1


class Saving(ModalScreen[None]):
    """Goes when whoever began it takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Stop", id="saving.cancel"),
    ]

    def __init__(self, name: str, work: Work) -> None:
        super().__init__()
        self._name, self._work = name, work

    def compose(self) -> ComposeResult:
        yield Static("", id="saving", markup=False)

    def on_mount(self) -> None:
        box = self.query_one("#saving")
        box.border_title, box.border_subtitle = Content(f"Saving {self._name}"), Content("Esc stops")
        self._tell()
        self.set_interval(TOLD_EVERY_S, self._tell)

    def _tell(self) -> None:
        self.query_one("#saving", Static).update(f"{self._work.rows:,} of {self._work.total:,} rows")

    def action_cancel(self) -> None:
        """Ends it; what was written of the file goes."""
        self._work.is_cancelled = True
