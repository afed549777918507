"""One line on the verification that runs, or on what the last one found."""

from __future__ import annotations

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count, human_duration, plural, printable

from ..drawing import bar, fitted_line
from ..theme import palette
from ..verification import Verification

__all__ = ["VerifyBar"]

Pieces = list[tuple[str, str]]


class VerifyBar(Widget):
    """Progress while it runs, the verdict afterwards, nothing where none was asked for."""

    def __init__(self, verification: Verification) -> None:
        super().__init__(id="verify")
        self._verification = verification

    def update(self) -> None:
        """Shows what is known now."""
        self.display = self._verification.running or self._verification.report is not None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        pieces = self._under_way(width) if self._verification.running else self._verdict()
        style = palette(self.app).style

        def styled(role: str) -> Style:
            return style(role, "panel")

        return fitted_line([(text, styled(role)) for text, role in pieces], width, styled("text"))

    def _under_way(self, width: int) -> Pieces:
        verification = self._verification
        pieces: Pieces = [
            (" verifying ", "accent"),
            (bar(verification.share, max(10, min(40, width - 66))), "graph1"),
            (f" {verification.share:4.0%} ", "text"),
        ]
        if (progress := verification.progress) is not None:
            done = f"{human_count(progress.records_done)} of {human_count(progress.records_total)} records"
            pieces += [(done, "text"), (f"  {human_duration(verification.elapsed_s)}", "muted")]
        return [*pieces, ("  Esc ", "accent"), ("cancels", "muted")]

    def _verdict(self) -> Pieces:
        report = self._verification.report
        if report is None:
            return []
        counts = f"{human_count(report.blocks)} blocks, {human_count(report.records)} records"
        of = self._verification.of
        seen = (
            f"{'' if of is None else printable(of.name) + ': '}{counts} in {human_duration(report.elapsed_ms / 1000)}"
        )
        if report.problems:
            first = min((problem.block for problem in report.problems if problem.block is not None), default=None)
            words = f" ✗ {plural(len(report.problems), 'problem')}"
            words += "" if first is None else f", the first at block {human_count(first)},"
            return [(words, "error"), (f" in {seen}", "text"), ("  p ", "accent"), ("lists them", "muted")]
        if report.cancelled:
            return [(" cancelled", "warning"), (f" after {seen}: nothing wrong so far", "text")]
        by = " by the server" if self._verification.elsewhere else ""
        return [(f" ✓ verified{by}", "success"), (f" {seen}: every hash, link and signature holds", "text")]
