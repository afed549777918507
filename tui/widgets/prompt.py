"""The line that asks: for a prefix, a key, the number of a block, a filter. It comes when needed and goes with Esc.

Below it there is room for what helps with the answer: words that can be typed next, or what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Label

from blockdb.commands.display import printable

from ..drawing import fitted_line
from ..theme import palette

if TYPE_CHECKING:
    from blockdb.commands.completing import Completion

__all__ = ["CompletingInput", "Hint", "Prompt"]


class CompletingInput(Input):
    """A line in which Tab completes, if anything is offered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.cancel_prompt", "Cancel", id="prompt.cancel"),
        Binding("tab", "complete", "Complete", id="prompt.complete"),
    ]

    complete: Callable[[str, int], Completion] | None = None
    """What may stand where the cursor is; None where no answer is better than another."""

    _offered: Completion | None = None
    _taken = 0
    _left_at: tuple[str, int] | None = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "complete" or self.complete is not None

    def offers(self) -> Sequence[str]:
        """What Tab goes through from here."""
        if self.complete is None:
            return ()
        return self.complete(self.value, self.cursor_position).words

    def action_complete(self) -> None:
        """Takes the first word that may stand here; pressed again, the next one."""
        assert self.complete is not None
        if self._left_at != (self.value, self.cursor_position):
            self._offered, self._taken = self.complete(self.value, self.cursor_position), -1
        if self._offered is None or not self._offered.words:
            return
        self._taken = (self._taken + 1) % len(self._offered.words)
        start, word = self._offered.start, self._offered.words[self._taken]
        rest = self.value[self.cursor_position :]
        self._left_at = (self.value[:start] + word + rest, start + len(word))
        self.value, self.cursor_position = self._left_at


class Hint(Widget):
    """One line under an answer, or above it."""

    def __init__(self, line: Input, *, id: str = "prompt-hint") -> None:
        super().__init__(id=id)
        self.line = line
        """The answer that it is about."""
        self.mark = "▲"
        self._mistake: tuple[int, str] | None = None
        self._words: Sequence[str] = ()
        self._note = ""

    def show(self, mistake: tuple[int, str] | None, words: Sequence[str], note: str) -> None:
        """Shows what is wrong, by its cell in the answer; or else words that can be typed, and a note."""
        self._mistake, self._words, self._note = mistake, words, note
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style, width = palette(self.app).style, self.size.width
        first = self.line.content_region.x - self.region.x
        if self._mistake is not None:
            cell, what = self._mistake
            at = min(max(first, first + cell - round(self.line.scroll_offset.x)), max(0, width - 2))
            return fitted_line([(text, style("error")) for text in _pointing(at, what, width, self.mark)], width)
        words = [(" " * first, style("text")), *((f"{word}  ", style("key")) for word in self._words)]
        if self._words:
            words.insert(1, ("Tab ", style("accent")))
        room = width - sum(cell_len(text) for text, _ in words)
        if self._note and (room > cell_len(self._note) or not self._words):
            gap = "" if not self._words else " " * max(0, room - cell_len(self._note) - 1)
            words += [(gap, style("text")), (self._note, style("muted"))]
        return fitted_line(words, width)


def _pointing(at: int, what: str, width: int, mark: str) -> tuple[str, str]:
    """A mark in cell `at`, and behind it what is wrong there; before it where there is no room behind."""
    if at + 2 + cell_len(what) <= width or at < width // 2:
        return " " * at, f"{mark} {what}"
    return " " * max(0, at - 1 - cell_len(what)), f"{what} {mark}"


class Prompt(Vertical):
    """One question at a time. `changed` hears every key, `done` the answer, `cancelled` that there is none."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.display = False
        self._label = Label("", id="prompt-label", markup=False)
        self._input = CompletingInput(id="prompt-input", compact=True, select_on_focus=False)
        self._hint = Hint(self._input)
        self._changed: Callable[[str], None] | None = None
        self._done: Callable[[str], None] | None = None
        self._cancelled: Callable[[], None] | None = None
        self._focus_after: Widget | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="prompt-line"):
            yield self._label
            yield self._input
        yield self._hint

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
        complete: Callable[[str, int], Completion] | None = None,
    ) -> None:
        """Asks, with `text` as the answer to begin with; with `complete`, Tab goes through what can be typed."""
        if not self.asking:
            self._focus_after = self.screen.focused
        self._changed, self._done, self._cancelled = None, done, cancelled
        self._input.complete = complete
        self._hint.display = complete is not None
        self._label.update(Content(question))
        with self._input.prevent(Input.Changed):
            self._input.value = text
            self._input.cursor_position = len(text)
        self._changed = changed
        self.display = True
        self._input.focus()
        self.help_with()

    def help_with(self, mistake: tuple[int, str] | None = None, note: str = "") -> None:
        """Shows under the answer what is wrong at a character of it; or else what can be typed next, and a note."""
        if mistake is not None:
            position, what = mistake
            mistake = (cell_len(printable(self._input.value[:position])), what)
        self._hint.show(mistake, [printable(word) for word in self._input.offers()], note)

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
