"""The tamper lab: ways to change a copy of the database behind its back, and which check finds each of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import printable, quoted
from blockdb.commands.tamper_lab import checks, tamperings

from ..keytext import command_line, shell_word
from ..listing import Fixed
from ..offloop import in_background, off_loop
from ..tampering import GivenUp
from ..widgets.lab_report import LabReport
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection
    from blockdb.commands.tamper_lab import Finding, Outcome, Tampering

__all__ = ["LabView"]

AT_WORK = "The lab is at work. Esc stops it."
WATCH_S = 0.1
ELSEWHERE = (
    "The files are not here",
    "The lab tampers with a copy of the files of a database, and this one is with a server.",
    "Explore the directory, on the machine where the data is: blockdb-tui PATH",
    "muted",
)
MATRIX_WIDTH = 70
"""From so many cells on each check has a column of its own."""


class TamperingTable(VirtualTable["Tampering"]):
    """The ways to tamper."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Tamper", id="lab.tamper"),
    ]

    HELP = """Ways to tamper with a database, from the plainest to those that leave no trace in its files. Each is \
done for real, to the files of a copy in a temporary directory; the database itself is only read. Then every check is \
made that anybody could make, and the columns say which of them found it: opening it, reading the record, verifying \
it, an audit that knows the key, and one that knows checkpoints which were kept outside.

A single record is tampered with in the middle of the history; K, among the records, chooses the one under the cursor, \
and m goes back to the middle. Esc stops a tampering that is under way after the check that it is at.

The copy is made with the first tampering, and gone when the explorer is left. At most 1 GiB is copied."""


class LabView(View):
    """Ways to tamper at the left, the report on one of them at the right."""

    NAME = "lab"
    OF_COLLECTION = False
    LIVE = "copies are made of what is there now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", "All of them", id="lab.all"),
        Binding("K", "keep", "Keep the copy", id="lab.keep"),
        Binding("n", "renew", "New copy", id="lab.renew"),
        Binding("m", "middle", "Middle record", id="lab.middle"),
    ]

    def body(self) -> Iterable[Widget]:
        words = " ".join(name.capitalize() for name in checks())
        self.first_pane = self.table = TamperingTable(self._columns(), empty="", words=words, id="tamperings")
        self.report = LabReport(id="report")
        return self.table, self.report

    def _columns(self) -> list[Column[Tampering]]:
        """Title and outcome; where there is room, a column for each check."""

        def column(name: str) -> Column[Tampering]:
            return Column(
                name.upper(),
                lambda tampering: self._mark(tampering, name)[0],
                width=max(8, len(name)),
                role=lambda tampering: self._mark(tampering, name)[1],
                from_width=MATRIX_WIDTH,
            )

        return [
            Column("TAMPERING", lambda tampering: tampering.title, share=1, role="key"),
            Column("FOUND BY", self._score, width=8, role=self._score_role),
            Column(
                "".join(name[0].upper() for name in checks()),
                lambda tampering: "".join(self._mark(tampering, name)[0][:1] for name in checks()),
                width=len(checks()),
                role="success",
                below_width=MATRIX_WIDTH,
            ),
            *map(column, checks()),
        ]

    def _outcome(self, tampering: Tampering) -> Outcome | None:
        return self.explorer.laboratory.outcomes.get(tampering.name)

    def _score(self, tampering: Tampering) -> str:
        laboratory, outcome = self.explorer.laboratory, self._outcome(tampering)
        if laboratory.doing is not None and laboratory.doing[0] == tampering.name:
            return "at work"
        if tampering.name in laboratory.troubles:
            return "refused"
        return "" if outcome is None else f"{len(outcome.caught_by)} of {len(outcome.findings)}"

    def _score_role(self, tampering: Tampering) -> str:
        return "success" if self._outcome(tampering) is not None else "warning"

    def _mark(self, tampering: Tampering, check: str) -> tuple[str, str]:
        outcome = self._outcome(tampering)
        for finding in outcome.findings if outcome is not None else ():
            if finding.check.name == check:
                return ("✓ caught", "success") if finding.answer.caught else ("· missed", "muted")
        return "", "muted"

    # ── the database comes and goes ──

    def instead(self) -> tuple[str, str, str, str] | None:
        return ELSEWHERE if self.database is not None and self.explorer.origin.is_server else super().instead()

    def opened(self, collection: AnyCollection) -> None:
        self._titles()
        self.table.show(Fixed(tamperings()), self.table.cursor)

    def _titles(self) -> None:
        key = self.explorer.laboratory.chosen
        of = "a record in the middle" if key is None else printable(quoted(key))
        self.table.title = Content.assemble("Tamper lab", (" · ", "$text-muted"), (of, "$role-key"))
        self.table.retitle()

    def choose(self, key: bytes | None) -> None:
        """Chooses the record that is to be tampered with; None: one in the middle."""
        laboratory = self.explorer.laboratory
        if laboratory.doing is not None:
            self.explorer.say(AT_WORK, "warning")
            return
        laboratory.choose(key)
        self._titles()
        self._watch()

    def action_middle(self) -> None:
        """Goes back to a record in the middle."""
        self.choose(None)

    def closed(self) -> None:
        self.table.show(None)
        self.report.show(None)

    # ── the tampering under the cursor ──

    @on(VirtualTable.Highlighted, "#tamperings")
    def _show(self) -> None:
        tampering = self.table.row
        if tampering is None:
            return
        laboratory, outcome = self.explorer.laboratory, self._outcome(tampering)
        words = laboratory.troubles.get(tampering.name, "")
        if laboratory.doing is not None and laboratory.doing[0] == tampering.name:
            words, outcome = f"At work: {laboratory.doing[1]} … Esc stops it.", None
        here = outcome is None or laboratory.is_there(outcome)
        self.report.show(tampering, outcome, words=printable(words), here=here)

    @on(VirtualTable.Chosen, "#tamperings")
    def _chosen(self) -> None:
        if self.table.row is not None:
            self._begin([self.table.row])

    def action_all(self) -> None:
        """Tries every way to tamper, one after the other."""
        self._begin(tamperings())

    def _begin(self, chosen: Iterable[Tampering]) -> None:
        if self.explorer.laboratory.doing is not None:
            self.explorer.say(AT_WORK, "warning")
        elif self.explorer.origin.is_server:
            self.explorer.say(" ".join(ELSEWHERE[1:3]), "warning")
        elif self.database is not None:
            self.explorer.laboratory.begin()
            in_background(self, self._run, list(chosen), self.database.path, group="lab")

    async def _run(self, chosen: list[Tampering], source: Path) -> None:
        laboratory = self.explorer.laboratory
        watch = self.set_interval(WATCH_S, self._watch)
        try:
            for tampering in chosen:
                laboratory.doing = tampering.name, tampering.title
                laboratory.troubles.pop(tampering.name, None)
                self._watch()
                try:
                    laboratory.outcomes[tampering.name] = await off_loop(laboratory.run, source, tampering)
                except GivenUp:
                    self.explorer.say("Stopped. What was found until then stays.")
                    break
                except (blockdb.BlockDBError, OSError) as error:
                    laboratory.troubles[tampering.name] = f"{type(error).__name__}: {error}"
                    laboratory.outcomes.pop(tampering.name, None)
        finally:
            laboratory.doing = None
            watch.stop()
        self._watch()

    def _watch(self) -> None:
        self.table.refresh()
        self._show()

    # ── keys ──

    def action_keep(self) -> None:
        """Asks where the tampered copy is to be left, and leaves it there."""
        tampering = self.table.row
        if tampering is None or self._outcome(tampering) is None:
            self.explorer.say("Nothing was tampered with yet: Enter does it.", "warning")
            return
        proposed = Path(tempfile.gettempdir()) / f"blockdb-{tampering.name}"
        self.prompt.ask("Keep the copy in", str(proposed), done=lambda text: self._keep(tampering, text.strip()))

    def _keep(self, tampering: Tampering, target: str) -> None:
        if target and self.database is not None and self.explorer.laboratory.doing is None:
            in_background(self, self._do_keep, tampering, self.database.path, Path(target), group="lab")

    async def _do_keep(self, tampering: Tampering, source: Path, target: Path) -> None:
        laboratory = self.explorer.laboratory
        laboratory.doing = tampering.name, "keeping the copy"
        try:
            laboratory.outcomes[tampering.name] = await off_loop(laboratory.keep, source, tampering, target)
            self.explorer.say(f"The copy is in {target}, and stays there.")
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.say(f"The copy was not kept. {type(error).__name__}: {error}", "error")
        finally:
            laboratory.doing = None
        self._watch()

    def action_renew(self) -> None:
        """Lets the copy go; the next tampering begins with a new one of the database as it is then."""
        if self.explorer.laboratory.doing is not None:
            self.explorer.say(AT_WORK, "warning")
            return
        in_background(self, self._renew, group="lab")

    async def _renew(self) -> None:
        await off_loop(self.explorer.laboratory.close)
        self._watch()

    def step_back(self) -> bool:
        if self.explorer.laboratory.doing is not None:
            self.explorer.laboratory.give_up()
            return True
        if self.focused is self.table:
            return False
        self.table.focus()
        return True

    def shown_as_command(self) -> str:
        tampering = self.table.row
        outcome = None if tampering is None else self._outcome(tampering)
        if self.focused is self.report and outcome is not None and self.explorer.laboratory.is_there(outcome):
            return _first(outcome).command
        words = [] if tampering is None else [tampering.name]
        key = self.explorer.laboratory.chosen
        if key is not None and (word := shell_word(key)) is not None:
            words.append(f"--key={word}")
        return command_line(self.explorer.whole, "tamper-lab", *words)


def _first(outcome: Outcome) -> Finding:
    """The first finding of those that caught it, else the first of all."""
    return (*outcome.caught_by, *outcome.findings)[0]
