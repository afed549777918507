"""Arming: until somebody presses a key for it, the explorer only reads; what cannot be taken back is asked about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.app import ScreenStackError

import blockdb
from blockdb.commands.display import printable

from .connected import Connected
from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from argparse import Namespace

    from blockdb.commands.command import Command

__all__ = ["Arming"]


class Arming(Connected):
    """The part of the application that knows what may be done."""

    may_be_armed = True
    """Whether it can be armed at all: not where it is served to read only."""

    def may(self, what: Command | str, arguments: Namespace | None = None) -> bool:
        """Whether something may be done: a command with its arguments, or a deed in words, which changes something.

        If not, it is said why.
        """
        reason = self.why_not(what, arguments)
        if reason is not None:
            self.say(reason, "warning")
        return reason is None

    def why_not(self, what: Command | str, arguments: Namespace | None = None) -> str | None:
        """Why something may not be done now; None if it may."""
        writes = isinstance(what, str) or (arguments is not None and what.writes(arguments))
        if writes and self.as_of is not None:
            said = what if isinstance(what, str) else what.name
            return f"{said}: not while a moment of the past is shown. {self.shown_key('app.as_of')} and Enter leave it."
        if self.armed:
            return None
        if isinstance(what, str):
            return f"{what}: not while the explorer only reads. {self.shown_key('app.arm')} arms it."
        if arguments is None or not what.writes(arguments):
            return None
        return f"{what.name} changes things, and the explorer only reads. {self.shown_key('app.arm')} arms it."

    def confirm(self, name: str, words: str, then: Callable[[], object]) -> None:
        """Asks for a name, typed out, before something that cannot be taken back; then does it."""
        from .screens.confirm import Confirm

        def answered(meant: bool | None) -> None:
            if meant:
                then()
            else:
                self.say("Nothing was done.")

        self.clear_notifications()  # they would stand over the question
        self.push_screen(Confirm(name, words), answered)

    def action_arm(self) -> None:
        """Lets the explorer change things, or read only again."""
        if self.armed:
            self._arm(False)
            self.say("The explorer only reads again.")
        elif not self.may_be_armed:
            self.say("It is served to read only; blockdb-tui --serve PORT --serve-armed lets it be armed.", "warning")
        elif self.is_replay:
            self.say("A recording cannot be changed.", "warning")
        elif self.database is None:
            self.say("There is no database yet that could be changed.", "warning")
        else:
            in_background(self, self._try_to_arm, group="arm", latest=True)

    async def _try_to_arm(self) -> None:
        """Arms if the database can be written from here, which is tried."""
        database = self.database
        try:
            await off_loop(self._open_once)
        except (blockdb.BlockDBError, OSError) as error:
            self.say(_unwritable(error), "error")
            return
        if database is self.database and database is not None:
            self._arm(True)
            self.say(
                f"Armed: what is done now is done for good. {self.shown_key('app.arm')} only reads again.", "warning"
            )

    def _open_once(self) -> None:
        with self.origin.to_write():
            pass

    def _arm(self, armed: bool) -> None:
        self.armed = armed
        for view in self.views():
            view.header.refresh()
        with suppress(ScreenStackError):  # the explorer is being closed
            self.refresh_bindings()

    def _lost(self, error: Exception) -> None:
        self._arm(False)  # what comes back may be another database
        super()._lost(error)


def _unwritable(error: Exception) -> str:
    why = f"{type(error).__name__}: {printable(str(error))}"
    if isinstance(error, blockdb.DatabaseLocked):
        return f"Another process has the database open to write, so it cannot be written from here. {why}"
    return f"The database cannot be opened to write. {why}"
