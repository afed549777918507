"""What verification found wrong, one line each; Enter goes to the block."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from blockdb.commands.display import human_count, printable, quoted

from ..listing import Fixed
from ..widgets.virtual_table import Column, VirtualTable

if TYPE_CHECKING:
    from blockdb import Problem, Report

__all__ = ["Problems"]


def _block(problem: Problem) -> str:
    return "" if problem.block is None else human_count(problem.block)


def _place(problem: Problem) -> str:
    place = printable("/".join(problem.path.split("/")[-2:]))
    return place if problem.offset is None else f"{place} at {human_count(problem.offset)}"


def _what(problem: Problem) -> str:
    return printable(problem.what)


def _in_full(problem: Problem) -> str:
    """All that is known of a problem, in a sentence or two."""
    numbers = (("byte", problem.offset), ("block", problem.block), ("record", problem.sequence))
    places = [problem.path, *(f"{name} {human_count(number)}" for name, number in numbers if number is not None)]
    if problem.key is not None:
        places.append(f"key {quoted(problem.key)}")
    return printable(f"{', '.join(places)}: {problem.what}.")


class Problems(ModalScreen["Problem | None"]):
    """The problems of a report. Gives back the one that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,p,q", "close", "Close", id="problems.close"),
    ]

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def compose(self) -> ComposeResult:
        columns: list[Column[Problem]] = [
            Column("BLOCK", _block, width=9, role="error", right=True),
            Column("WHERE", _place, share=1, role="key"),
            Column("WHAT", _what, share=2),
        ]
        words = "Enter goes to the block · Esc closes"
        with Vertical(id="problems-box"):
            yield VirtualTable(columns, empty="Nothing is wrong.", words=words, id="problems")
            yield Static("", id="problem", markup=False)

    def on_mount(self) -> None:
        table = self.query_one(VirtualTable)
        table.title = Content(f"{human_count(len(self._report.problems))} found by verification")
        table.show(Fixed(self._report.problems))
        table.focus()

    @on(VirtualTable.Highlighted)
    def _explain(self, event: VirtualTable.Highlighted) -> None:
        problem: Problem | None = event.table.row
        self.query_one("#problem", Static).update(Text("" if problem is None else _in_full(problem)))

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        problem: Problem | None = event.table.row
        self.dismiss(problem)

    def action_close(self) -> None:
        """Goes back without going anywhere."""
        self.dismiss(None)
