"""The form of a query: filter, order, fields and limit, with completion, and what is wrong marked at its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label

from blockdb.commands.completing import Completion, complete_fields, complete_filter, complete_order
from blockdb.commands.display import printable

from ..form import PARTS, Form, Wrong
from ..keytext import visible
from .prompt import CompletingInput, Hint

__all__ = ["QueryForm"]

TITLES = {"where": "where", "order": "order by", "fields": "fields", "limit": "limit"}
EMPTY = {"where": "every document", "order": "as they were stored", "fields": "all", "limit": "1,000"}


class Entry(CompletingInput):
    """One part of the form."""

    JOINS_LINES: ClassVar[bool] = True
    """What is pasted in several lines is one line here: blanks stand between them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave_form", "To the result", id="query.leave"),
        Binding("f4", "app.help", "Help", key_display="F4", id="query.help"),
        Binding("up", "screen.recall(-1)", "Query before", id="query.earlier"),
        Binding("down", "screen.recall(1)", "Query after", show=False, id="query.later"),
    ]

    HELP = """A query in four parts. where: what has to be true of a document, such as city = 'Oslo' and age >= 30; \
empty for all. order by: age desc, name. fields: the ones that are shown, name, address.city; empty for all. limit: \
1,000 unless another number stands there, 10,000 at most.

Enter runs it. Tab completes fields and words, and goes on where there is nothing to complete; ▲ or ▼ marks the \
place of a mistake. Up and Down go through the queries that were run. Several lines may be pasted: they become one."""

    def __init__(self, part: str) -> None:
        super().__init__(id=f"query-{part}", compact=True, select_on_focus=False, placeholder=EMPTY[part])
        self.part = part

    def action_complete(self) -> None:
        """Takes what may stand here; where nothing is begun, goes on to the next part."""
        if self.offers():
            super().action_complete()
        else:
            self.screen.focus_next()

    def offers(self) -> Sequence[str]:
        """What Tab goes through from here: nothing while nothing is typed, so that it leads on."""
        return super().offers() if self.value else ()


class QueryForm(Vertical):
    """Four entries, and a line between them that helps with the one that has the focus."""

    class Changed(Message):
        """Something was typed."""

    class Run(Message):
        """Enter was pressed."""

    def __init__(self, fields: Callable[[], tuple[str, ...]], *, id: str) -> None:
        """`fields` gives the names of the fields that can be completed."""
        super().__init__(id=id)
        self._fields = fields
        self.entries = {part: Entry(part) for part in PARTS}
        self.hint = Hint(self.entries["where"], id="query-hint")
        self._wrong: Wrong | None = None
        self._note = ""
        completions: dict[str, Callable[[str, int], Completion]] = {
            "where": lambda text, cursor: complete_filter(text[:cursor], self._fields()),
            "order": lambda text, cursor: complete_order(text[:cursor], self._fields()),
            "fields": lambda text, cursor: complete_fields(text[:cursor], self._fields()),
        }
        for part, complete in completions.items():
            self.entries[part].complete = complete

    def compose(self) -> ComposeResult:
        self.border_title = Content("Query")
        with Horizontal(classes="query-row"):
            yield Label(TITLES["where"], markup=False, classes="query-label")
            yield self.entries["where"]
        yield self.hint
        with Horizontal(classes="query-row"):
            for part in PARTS[1:]:
                yield Label(TITLES[part], markup=False, classes="query-label")
                yield self.entries[part]

    @property
    def form(self) -> Form:
        """What stands there."""
        return Form(**{part: entry.value for part, entry in self.entries.items()})

    def fill(self, form: Form) -> None:
        """Puts another query there, made visible: it may come from a file."""
        for part, entry in self.entries.items():
            with entry.prevent(Input.Changed):
                entry.value = visible(" ".join(getattr(form, part).splitlines()))
                entry.cursor_position = len(entry.value)
        self.post_message(self.Changed())

    @property
    def has_focus_within(self) -> bool:
        """Whether one of the entries has the focus."""
        return self.screen.focused in self.entries.values()

    def tell(self, wrong: Wrong | None, note: str = "") -> None:
        """Shows what is wrong, or else a note; both are fit to be shown."""
        self._wrong, self._note = wrong, note
        self._help()

    def _help(self) -> None:
        focused = self.screen.focused
        entry = focused if isinstance(focused, Entry) else self.entries["where"]
        wrong = self._wrong
        if wrong is not None:
            entry = self.entries[wrong.part]
        self.hint.line, self.hint.mark = entry, "▲" if entry.part == "where" else "▼"
        mistake = None if wrong is None else (cell_len(printable(entry.value[: wrong.position])), wrong.what)
        offers = [printable(word) for word in entry.offers()] if entry.has_focus else []
        self.hint.show(mistake, offers, self._note)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Run())

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._help()
