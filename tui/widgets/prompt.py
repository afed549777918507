"""The line that asks: for a prefix, a key or the number of a block. It comes when it is needed and goes with Esc."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Label

__all__ = ["Prompt"]


class _Line(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.cancel_prompt", "Cancel", id="prompt.cancel"),
    ]


class Prompt(Horizontal):
    """One question at a time. `changed` hears every key, `done` the answer, `cancelled` that there is none."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.display = False
        self._label = Label("", id="prompt-label", markup=False)
        self._input = _Line(id="prompt-input", compact=True, select_on_focus=False)
        self._changed: Callable[[str], None] | None = None
        self._done: Callable[[str], None] | None = None
        self._cancelled: Callable[[], None] | None = None
        self._focus_after: Widget | None = None

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._input

    @property
    def asking(self) -> bool:
        """Whether a question is open."""
        return bool(self.display)

    def ask(
        self,
        question: str,
        text: str = "",
        *,
        done: Callable[[str], None],
        changed: Callable[[str], None] | None = None,
        cancelled: Callable[[], None] | None = None,
    ) -> None:
        """Asks, with `text` as the answer to begin with."""
        if not self.asking:
            self._focus_after = self.screen.focused
        self._changed, self._done, self._cancelled = None, done, cancelled
        self._label.update(Content(question))
        with self._input.prevent(Input.Changed):
            self._input.value = text
            self._input.cursor_position = len(text)
        self._changed = changed
        self.display = True
        self._input.focus()

    def cancel(self) -> None:
        """Closes the question without an answer."""
        cancelled = self._cancelled
        self._close()
        if cancelled is not None:
            cancelled()

    def _close(self) -> None:
        self.display = False
        self.screen.set_focus(self._focus_after)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.asking and self._changed is not None:
            self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()
        if self._done is not None:
            self._done(event.value)

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        if self.asking and self.screen.focused is not None and self.screen.focused is not self._input:
            self.cancel()
