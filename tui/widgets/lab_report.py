"""What came of one tampering: what was changed, what each check made of it, where, and the commands that show it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.strip import Strip

from blockdb.commands.display import human_count, plural, printable, quoted
from blockdb.commands.tamper_lab import CAUGHT, MISSED

from ..drawing import fitted_line
from .lines import Lines

if TYPE_CHECKING:
    from blockdb import Problem
    from blockdb.commands.tamper_lab import Finding, Outcome, Tampering

__all__ = ["LabReport"]

LABEL = 8
MOST_PLACES = 3
ANYWHERE = Path("COPY")

Line = tuple[str, str, str]
"""A label, the text beside it, and the role that colours the text."""


class LabReport(Lines):
    """The report on one way to tamper."""

    HELP = """What was done to the copy, byte by byte, and what each check made of it. Opening and reading are what \
every program does. Verification recomputes every hash, link and signature. An audit that knows the key finds who \
signed, whatever the database lists. Checkpoints that were kept outside, sizes and roots, no forger can reach: only \
they find a history that was made anew with the right key, rolled back or forked.

Each command shows the same to anybody, on the copy that the lab works on. K keeps the copy where you say."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._said: list[Line] = []
        self._set: list[Line] = []

    def show(
        self, tampering: Tampering | None, outcome: Outcome | None = None, *, words: str = "", here: bool = True
    ) -> None:
        """Shows a tampering and what came of it; `words` is what is being done, or went wrong.

        `here` says whether the copy that the commands name is still there.
        """
        self.entitle(Content(tampering.title if tampering is not None else "Report"))
        self._said = []
        if tampering is not None:
            self._said.append(("", tampering.does, "text"))
            if words:
                self._said += [("", "", "text"), ("", words, "warning")]
            elif outcome is None:
                self._said += [("", "", "text"), ("", "Enter does it to a copy; the database is only read.", "muted")]
        if outcome is not None:
            self._said += _report(outcome, here=here)
        self.top = 0
        self._set_out()

    def on_resize(self) -> None:
        self._set_out()
        super().on_resize()

    def _set_out(self) -> None:
        room = max(8, self.line_width - LABEL - 2)
        self._set = []
        for label, text, role in self._said:
            if not label and not text.startswith(" "):
                self._set += [("", part, role) for part in _wrapped(text, room + LABEL)]
            else:
                parts = _wrapped(text.strip(), room)
                self._set += [(label if at == 0 else " ", part, role) for at, part in enumerate(parts)]
        self.total = len(self._set)
        self.top = min(self.top, self.last_top)
        self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        label, text, role = self._set[index]
        style = self.palette.style
        lead = f" {label:<{LABEL}} " if label else " "
        return fitted_line([(lead, style("muted")), (text, style(role))], width)


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False) or [""]


def _report(outcome: Outcome, *, here: bool) -> list[Line]:
    shown = outcome if here else outcome.at(ANYWHERE)
    lines: list[Line] = [("", "", "text")]
    for change in outcome.changes:
        lines += [("done", printable(change.what), "text"), (" ", _place(change), "secondary")]
    for finding in shown.findings:
        lines += [("", "", "text"), *_finding(finding)]
    if not here:
        lines += [("", "", "text"), ("", "COPY is gone, for another was tampered with: K keeps one.", "muted")]
    return lines


def _finding(finding: Finding) -> list[Line]:
    answer = finding.answer
    mark, role = (CAUGHT, "success") if answer.caught else (MISSED, "muted")
    lines: list[Line] = [
        ("", f"{mark}  {finding.check.title}", role),
        ("said", printable(answer.said), "text"),
    ]
    for at, place in enumerate(answer.places[:MOST_PLACES]):
        text = _place(place) if place.what == answer.said else f"{_place(place)}: {printable(place.what)}"
        lines.append(("where" if at == 0 else " ", text, "secondary"))
        if at == 0 and place.expected is not None:
            lines += [("expected", printable(place.expected), "muted"), ("found", printable(str(place.found)), "muted")]
    if len(answer.places) > MOST_PLACES:
        lines.append((" ", f"and {plural(len(answer.places) - MOST_PLACES, 'place')} more", "muted"))
    return [*lines, ("run", printable(finding.command), "key")]


def _place(place: Problem) -> str:
    """Where something is, exactly, as far as it is known; fit to be shown."""
    numbers = (("byte", place.offset), ("block", place.block), ("record", place.sequence))
    parts = ["/".join(place.path.split("/")[-2:])]
    parts += [f"{name} {human_count(number)}" for name, number in numbers if number is not None]
    if place.key is not None:
        parts.append(f"key {quoted(place.key)}")
    return printable(", ".join(parts))
