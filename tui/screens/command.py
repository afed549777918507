"""The command line of the explorer: any command of the table, run on the open database, and the ways to go by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Label

from blockdb.commands.completing import Candidate
from blockdb.commands.display import human_count, plural
from blockdb.commands.failures import DONE, INTERRUPTED, UsageError, describe

from ..keytext import visible
from ..offloop import in_background, off_loop
from ..ordering import Order, candidates, order_of, running_of, source_of, usage_in, why_not
from ..running import MOST_LINES, Caught, InThread
from ..widgets.command_line import Offered, UsageHint
from ..widgets.prompt import Prompt
from ..widgets.transcript import Transcript

if TYPE_CHECKING:
    from ..app import Explorer

__all__ = ["CommandScreen"]

SHOWN_EVERY_S = 0.05
HINT = (
    "A command, or where to go: find, stats, watch, records users, block 42 …",
    "Tab completes · Enter does it · ↑ lines given before · Esc closes",
)


class CommandInput(Input):
    """The line itself. Tab goes through what may come next, the arrows through what was typed before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", "Complete", id="command.complete"),
        Binding("shift+tab", "complete(-1)", "Complete backwards", id="command.complete_back"),
        Binding("up", "older", "Older line", id="command.older"),
        Binding("down", "newer", "Newer line", id="command.newer"),
    ]

    class Chosen(Message):
        """Another candidate has been taken into the line; -1: none."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__(id="command-input", compact=True, select_on_focus=False)
        self.before: Sequence[str] = ()
        """The lines that were given before, the oldest first."""
        self._offered: Sequence[Candidate] = ()
        self._taken = -1
        self._base = ("", 0)
        self._left: tuple[str, int] | None = None
        self._place: int | None = None
        self._draft = ""

    @property
    def is_choosing(self) -> bool:
        """Whether what stands in the line is a candidate that Tab has put there."""
        return self._left == (self.value, self.cursor_position)

    def offer(self, found: Sequence[Candidate]) -> None:
        """Takes over what may come next, unless somebody goes through what came before."""
        if not self.is_choosing:
            self._offered, self._taken = found, -1

    def action_complete(self, step: int) -> None:
        """Takes the next candidate, or the one before."""
        if not self._offered:
            return
        if not self.is_choosing:
            self._base, self._taken = (self.value, self.cursor_position), -1 if step > 0 else 0
        self._taken = (self._taken + step) % len(self._offered)
        line, cursor = self._base
        chosen = self._offered[self._taken]
        only = len(self._offered) == 1 and not chosen.goes_on
        text = chosen.text + (" " if only and not line[cursor:].startswith(" ") else "")
        self._left = (line[: chosen.start] + text + line[cursor:], chosen.start + len(text))
        if only:  # it is as if it had been typed
            left, self._left = self._left, None
            self.value, self.cursor_position = left
        else:
            self.value, self.cursor_position = self._left
        self.post_message(self.Chosen(self._taken))

    def action_older(self) -> None:
        """Brings back the line that was given before."""
        if self._place is None:
            self._draft = self.value
        self._to(len(self.before) - 1 if self._place is None else self._place - 1)

    def action_newer(self) -> None:
        """The line that was given after that; in the end the one that was being typed."""
        if self._place is not None:
            self._to(self._place + 1)

    def _to(self, place: int) -> None:
        if place < 0:
            return
        self._place = place if place < len(self.before) else None
        self.value = self._draft if self._place is None else self.before[place]
        self.cursor_position = len(self.value)

    def clear_line(self) -> None:
        """Begins a new line."""
        self._place, self._left, self._draft = None, None, ""
        self.value = ""


class CommandScreen(ModalScreen[None]):
    """It comes over a view. What a command prints stands above the line until the next one is given."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop, or close", id="command.back"),
        Binding("ctrl+c", "stop", "Stop the command", priority=True, id="command.stop"),
        Binding("colon", "type", "Type a command", key_display=":", id="command.type"),
        Binding("Y", "copy", "Copy as a command", id="command.copy"),
        Binding("E", "save", "Save to a file", id="command.save"),
    ]

    def __init__(self, line: str = "") -> None:
        super().__init__()
        self.order: Order | None = None
        """What was given last."""
        self.running: InThread | None = None
        self._line = line
        self._timer: Timer | None = None
        self._asking = False

    @property
    def explorer(self) -> Explorer:
        """The application."""
        return cast("Explorer", self.app)

    def compose(self) -> ComposeResult:
        self.transcript, self.offered = Transcript(), Offered()
        self.input, self.hint, self.prompt = CommandInput(), UsageHint(), Prompt()
        with Vertical(id="command"):
            yield self.transcript
            yield self.offered
            with Horizontal(id="command-row"):
                yield Label(":", id="command-label", markup=False)
                yield self.input
            yield self.hint
            yield self.prompt

    def on_mount(self) -> None:
        self._source = source_of(self.explorer)
        self.transcript.display = False
        self.input.before = self.explorer.lines.lines()
        self.input.value = self._line
        self.input.cursor_position = len(self._line)
        self.input.focus()
        self._help()

    def on_unmount(self) -> None:
        if self.running is not None:
            self.running.stop()

    # ── typing ──

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._help()

    @on(CommandInput.Chosen)
    def _chosen(self, event: CommandInput.Chosen) -> None:
        event.stop()
        self.offered.show(self.offered.found, event.index)

    def _help(self) -> None:
        self.hint.show(usage_in(self.explorer, *self._typed_so_far), HINT)
        if self.input.is_choosing:
            return
        if not self._asking:
            self._asking = True
            in_background(self, self._complete, group="completion")

    @property
    def _typed_so_far(self) -> tuple[str, int]:
        return self.input.value, self.input.cursor_position

    async def _complete(self) -> None:
        """Asks for what may come next, and once more if the line has changed meanwhile."""
        found: Sequence[Candidate] = ()
        asked: tuple[str, int] | None = None
        try:
            while asked != self._typed_so_far:
                asked = self._typed_so_far
                found = await off_loop(candidates, self.explorer, self._source, *asked)
            self._offer(found)
        finally:
            self._asking = False

    def _offer(self, found: Sequence[Candidate]) -> None:
        self.input.offer(found)
        if not self.input.is_choosing:
            self.offered.show(found if self.input.value.strip() else ())

    # ── doing ──

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        line = event.value
        if not line.strip():
            return
        if self.running is not None and not self.running.done:
            self.explorer.say("A command is running. Esc stops it.", "warning")
            return
        self._keep(line)
        self.explorer.clear_notifications()  # they would stand over what it prints
        self.offered.show(())
        try:
            self._do(order_of(self.explorer, line))
        except UsageError as error:
            self._complain(describe(error))

    def _do(self, order: Order) -> None:
        if order.go is not None:
            order.go()  # it may say that there is no such place: then the line stays
            self.dismiss()
        else:
            self._allow(order)

    def _keep(self, line: str) -> None:
        self.explorer.lines.add(line)
        self.input.before = [*self.input.before, line]

    def _complain(self, words: str) -> None:
        caught = Caught(self._width)
        caught.note(words, "error")
        self.order = self.running = None
        self._show(caught)
        self.transcript.say("Not run", "✗", "error")
        self.input.focus()

    def _allow(self, order: Order) -> None:
        """Runs a command, if it may be run now, and if it is meant where it cannot be taken back."""
        assert order.invocation is not None
        command, arguments = order.invocation.command, order.invocation.arguments
        reason = why_not(self.explorer, order)
        if reason is not None:
            self._complain(reason)
        elif command.dangerous and command.writes(arguments):
            words = f"{visible(order.line)}\n\n{command.summary}"
            self.explorer.confirm(command.about(arguments), words, lambda: self._run(order))
        else:
            self._run(order)

    def _run(self, order: Order) -> None:
        assert order.invocation is not None
        self.input.clear_line()
        self.offered.show(())
        self.order = order
        self.running = running_of(self.explorer, order, self._width)
        self._show(self.running.caught)
        self.running.start()
        self._timer = self._timer or self.set_interval(SHOWN_EVERY_S, self._watch)
        self._watch()

    @property
    def _width(self) -> int:
        return self.size.width - 5

    def _show(self, caught: Caught) -> None:
        self.transcript.display = True
        self.transcript.show(caught)
        self.transcript.focus()

    def _watch(self) -> None:
        running, order = self.running, self.order
        if running is None or order is None:
            return
        is_done = running.done  # before what it printed is taken: nothing comes after that
        self.transcript.show(running.caught)
        self.transcript.say(visible(order.line.strip()), *_state(running, is_done))
        if is_done and self._timer is not None:
            self._timer.stop()
            self._timer = None

    # ── keys ──

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While the line is typed, or a name, letters are letters."""
        return action not in ("type", "copy", "save") or not isinstance(self.focused, Input)

    def action_back(self) -> None:
        """Stops the command that runs; else goes back to the view."""
        if self.running is not None and not self.running.done:
            self.running.stop()
        else:
            self.dismiss()

    def action_stop(self) -> None:
        """Stops the command that runs; where none does, the line is dropped."""
        if self.running is not None and not self.running.done:
            self.running.stop()
        else:
            self.input.clear_line()
            self.input.focus()

    def action_type(self) -> None:
        """Goes to the line, for the next command."""
        self.input.focus()

    def action_copy(self) -> None:
        """Copies the line that prints the same in a terminal."""
        line = None if self.order is None else self.order.shell_line
        if line is None:
            self.explorer.say("There is no line of a shell that says this.", "warning")
        else:
            self.explorer.copy(line.encode("utf-8", "surrogateescape"), line)

    def action_save(self) -> None:
        """Asks for the name of a new file, and saves the lines that the pane has, as they are there now."""
        order, running = self.order, self.running
        if order is None or order.invocation is None or running is None:
            self.explorer.say("There is no output to save.", "warning")
        else:
            text = running.caught.text().encode("utf-8", "surrogateescape")
            self.explorer.save_bytes(text, f"{order.invocation.command.name.replace(' ', '-')}.txt", self.prompt)

    def action_cancel_prompt(self) -> None:
        """Closes the question for a name."""
        self.prompt.cancel()


def _state(running: InThread, is_done: bool) -> tuple[str, str]:
    """How far a command is, or how it ended, and the role that colours that."""
    caught = running.caught
    rows = plural(len(caught.rows) + caught.gone, "line")
    if not is_done:
        return f"◐ {running.progress or rows} · Esc stops", "accent"
    if caught.is_full:
        return f"cut: only the first {human_count(MOST_LINES)} lines or 4 MB are kept", "warning"
    if running.exit_code == INTERRUPTED:
        return f"stopped · {rows}", "warning"
    gone = f", the oldest {human_count(caught.gone)} gone" if caught.gone else ""
    if running.exit_code == DONE:
        return f"✓ done · {rows}{gone} · Y copies · E saves · : the next", "success"
    return f"✗ failed · exit code {running.exit_code}", "error"
