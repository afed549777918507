"""What happens meanwhile, said above the prompt: alerts, another leader, a transaction that ended, sealed blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal

from blockdb.commands.alerts import lookout
from blockdb.commands.output import Output
from blockdb.errors import BlockDBError, Forbidden

if TYPE_CHECKING:
    from blockdb import AnyDatabase, Statistics

    from .session import Session

__all__ = ["Herald", "Notices"]


class Herald:
    """Says something above the line that is being typed, which it does not tear; from whatever thread."""

    def __init__(self, prompt: PromptSession[str], output: Output) -> None:
        self._prompt = prompt
        self._output = output
        self._late: list[tuple[str, str]] = []

    def say(self, words: str, role: str, *, can_wait: bool = True) -> None:
        """Say it now, or, while a command has the terminal, before the next prompt if it `can_wait` for that."""
        app = self._prompt.app
        if app.loop is not None and app.is_running:
            show = partial(self._output.note, words, role)
            app.loop.call_soon_threadsafe(lambda: run_in_terminal(show))
        elif can_wait:
            self._late.append((words, role))
        else:
            self._output.note(words, role)

    def say_what_waited(self) -> None:
        """Say what came while a command had the terminal."""
        while self._late:
            self._output.note(*self._late.pop(0))


class Notices:
    """Compares what is seen at each look with what was seen before. Called in one thread."""

    def __init__(
        self, session: Session, say: Callable[[str, str], None], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._say = say
        self._steady = steady
        self._lookout = lookout()
        self._due_s = 0.0
        self._alerts: set[tuple[str, str]] | None = None
        self._leader: str | None = None
        self._blocks: tuple[str, int] | None = None
        self._ended: object = None
        self._of: object = None

    def look(self, database: AnyDatabase, now: Statistics, leader: str | None) -> None:
        """`now` is of the collection that is used; `leader` is None where there is no cluster."""
        if database is not self._of:
            self._of, self._alerts, self._leader, self._blocks, self._due_s = database, None, None, None, 0.0
        if self._session.notices == "off":
            return
        self._look_for_alerts(database)
        self._look_at_leader(leader)
        self._look_at_transaction()
        self._look_at_blocks(now)

    def _look_for_alerts(self, database: AnyDatabase) -> None:
        if self._steady() < self._due_s:
            return
        self._due_s = self._steady() + self._lookout.interval_s
        try:
            found = {alert.key: alert for alert in self._lookout.look(database)}
        except Forbidden:
            self._due_s = float("inf")
            return
        except (BlockDBError, OSError):  # the toolbar tells of a server that does not answer
            return
        before = self._alerts
        for key, alert in found.items():
            if before is None and alert.severity != "critical":  # it was on before the shell began
                continue
            if before is None or key not in before:
                about = f" ({alert.subject})" if alert.subject else ""
                self._say(f"Alert: {alert.severity}: {alert.name}{about}: {alert.message}", _role(alert.severity))
        self._alerts = set(found)

    def _look_at_leader(self, leader: str | None) -> None:
        before, self._leader = self._leader, leader
        if before is not None and leader is not None and leader != before:
            who = f"The leader is {leader} now" if leader else "The cluster has no leader at the moment"
            self._say(f"{who}{f'; it was {before}' if before else ''}.", "muted" if leader else "warning")

    def _look_at_transaction(self) -> None:
        transaction = self._session.transaction
        if transaction is None or transaction is self._ended:
            return
        with suppress(BlockDBError):
            if not transaction.is_active:
                self._ended = transaction
                self._say(f"Transaction {transaction.id} has ended by itself; abort lets go of it.", "warning")

    def _look_at_blocks(self, now: Statistics) -> None:
        before, self._blocks = self._blocks, (now.collection_id, now.blocks)
        is_more = before is not None and before[0] == now.collection_id and before[1] < now.blocks
        if is_more and before is not None and self._session.notices == "all":
            first, last = before[1], now.blocks - 1
            self._say(f"Block {last} is sealed." if first == last else f"Blocks {first} to {last} are sealed.", "muted")


def _role(severity: str) -> str:
    return "error" if severity == "critical" else "warning"
