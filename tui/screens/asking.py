"""The query of the view of records: typed with help, run in the background, shown as it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.timer import Timer

import blockdb
from blockdb.commands.completing import Completion, complete_filter, fields_of
from blockdb.commands.display import printable

from ..offloop import in_background, off_loop
from ..querying import Mistake, Plan, Search, plan_of

if TYPE_CHECKING:
    from blockdb import AnyCollection

    from .view import View

__all__ = ["Asking"]

SHOWN_EVERY_S = 0.1
QUESTION = "Where"


class Asking:
    """Queries of one view. `found` is called when a search begins, `more` when it has come further."""

    def __init__(self, view: View, found: Callable[[AnyCollection, Search], None], more: Callable[[], None]) -> None:
        self.text = ""
        """The last query that was run."""
        self.search: Search | None = None
        self._view, self._found, self._more = view, found, more
        self._fields: tuple[str, ...] = ()
        self._known_of: AnyCollection | None = None
        self._watching: Timer | None = None
        self._shown = ""

    def ask(self) -> None:
        """Asks for a query."""
        self._view.prompt.ask(QUESTION, self.text, changed=self._typed, done=self._run, complete=self._complete)
        in_background(self._view, self._learn, group="fields", latest=True)
        self._typed(self.text)

    def forget(self) -> None:
        """Ends the search; another collection knows nothing of it."""
        self.stop()
        self.search, self.text, self._fields, self._known_of = None, "", (), None

    def stop(self) -> bool:
        """Ends the search that runs; False where none does."""
        search = self.search
        if search is None or search.done:
            return False
        search.stop()
        return True

    # ── typing ──

    def _complete(self, text: str, cursor: int) -> Completion:
        return complete_filter(text[:cursor], self._fields, orders=True)

    async def _learn(self) -> None:
        """Finds out which fields there are."""
        collection = self._view.collection
        if collection is None or collection is self._known_of:
            return
        try:
            self._fields = await off_loop(fields_of, collection)
        except (blockdb.BlockDBError, OSError):
            return  # then there is nothing to complete
        self._known_of = collection
        if self._view.prompt.asking:
            self._view.prompt.help_with()

    def _typed(self, text: str) -> None:
        self._view.prompt.help_with()
        in_background(self._view, self._check, text, group="check", latest=True)

    async def _check(self, text: str) -> None:
        plan = await self._plan(text)
        prompt = self._view.prompt
        if not prompt.asking or plan is None:
            return
        if isinstance(plan, Mistake):
            offered = self._complete(text, len(text))
            if offered.words and plan.position >= offered.start:  # it is not finished yet, rather than wrong
                prompt.help_with(note=plan.what)
            else:
                prompt.help_with((plan.position, plan.what))
        else:
            prompt.help_with(note=plan.words)

    async def _plan(self, text: str) -> Plan | Mistake | None:
        collection = self._view.collection
        if collection is None:
            return None
        try:
            return await off_loop(plan_of, collection, text, self._view.explorer.as_of)
        except (blockdb.BlockDBError, OSError) as error:
            return Mistake(len(text), printable(f"{type(error).__name__}: {error}"))

    # ── running ──

    def run_again(self) -> None:
        """Runs the last query anew: another moment is looked at."""
        self._run(self.text)

    def _run(self, text: str) -> None:
        self.text = text
        in_background(self._view, self._start, text, group="search", latest=True)

    async def _start(self, text: str) -> None:
        collection = self._view.collection
        plan = await self._plan(text)
        if collection is None or collection is not self._view.collection or plan is None:
            return
        if isinstance(plan, Mistake):
            self._view.explorer.say(plan.what, "error")
            self.ask()
            return
        self.stop()
        explorer = self._view.explorer
        try:
            then = await off_loop(explorer.past.standing_in, collection)
        except (blockdb.BlockDBError, OSError) as error:
            explorer.fail("It cannot be searched.", error)
            return
        self.search = search = Search(collection, text, plan, then)
        search.start()
        self._shown = ""
        self._found(collection, search)
        self._watching = self._watching or self._view.set_interval(SHOWN_EVERY_S, self._watch)

    def _watch(self) -> None:
        search = self.search
        if search is not None and (now := search.progress()) != self._shown:
            self._shown = now
            self._more()
