"""The choice of a saved query: those that a form can hold."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from blockdb.commands.display import plural, printable

from ..form import Form, form_of
from ..listing import Fixed
from ..widgets.virtual_table import Column, VirtualTable

__all__ = ["SavedQueries"]

Saved = tuple[str, str]


class SavedQueries(ModalScreen[Form | None]):
    """A list of names and lines; the one that is chosen is the result."""

    HELP = """The queries that were saved, here or with \\save in the shell; both keep them in one file. Enter puts \
one into the form. Lines of the shell that are no queries, or ask for more than the form holds, are not listed. \
\\forget, in the shell, forgets one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", id="saved.close"),
    ]

    def __init__(self, queries: dict[str, str]) -> None:
        """`queries` are lines of the shell by their names."""
        super().__init__()
        forms = ((name, line, form_of(line)) for name, line in queries.items())
        self._forms = {name: (line, form) for name, line, form in forms if form is not None}
        self._left_out = len(queries) - len(self._forms)

    def compose(self) -> ComposeResult:
        columns: list[Column[Saved]] = [
            Column("NAME", lambda saved: printable(saved[0]), width=20, role="key"),
            Column("QUERY", lambda saved: printable(saved[1]), share=1, role="text"),
        ]
        left_out = f" · {plural(self._left_out, 'line')} not for a form" if self._left_out else ""
        words = f"Enter takes it · Esc closes{left_out}"
        yield VirtualTable(columns, empty="None is saved yet. F2 in the form saves one.", words=words, id="saved")

    def on_mount(self) -> None:
        table = self.query_one(VirtualTable)
        table.title = Content("Saved queries")
        table.show(Fixed([(name, line) for name, (line, _) in self._forms.items()]))
        table.focus()

    @on(VirtualTable.Chosen)
    def _take(self, event: VirtualTable.Chosen) -> None:
        if event.table.row is not None:
            self.dismiss(self._forms[event.table.row[0]][1])

    def action_close(self) -> None:
        """Closes it without a choice."""
        self.dismiss(None)
