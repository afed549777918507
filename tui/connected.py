"""Keeping a database open: it is polled, given up when it fails, and opened again; a server is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import blockdb

from .contact import OUT_OF_TOUCH, Contact
from .history import History
from .navigation import Navigation
from .offloop import in_background, off_loop
from .origin import Origin, advice_for
from .tampering import Laboratory
from .trusting import Trusting
from .verification import Verification

if TYPE_CHECKING:
    from textual.timer import Timer

    from blockdb import AnyCollection, AnyDatabase, Statistics

    from .cluster.scene import Scene

__all__ = ["Connected"]

RETRY_S = 1.0
SILENCE_S = 3.0
"""When an answer takes longer, it is said so."""
TOLD_EVERY_S = 0.5

_HOPELESS = (blockdb.DatabaseNotFound, blockdb.Unauthenticated, blockdb.Forbidden)
"""Errors after which there is no point in trying again, if it never worked."""

RECORDED = (
    "A recording has no records",
    "It has figures and events: what the engine did, and the nodes of a cluster.",
    "3 shows the figures, 7 what happened, and 8 the cluster, where there was one.",
    "muted",
)

T = TypeVar("T")


class Connected(Navigation):
    """The part of the application that has the database."""

    def __init__(
        self,
        origin: Origin,
        laboratory: Laboratory,
        steady: Callable[[], float],
        poll_s: float,
        scene: Scene | None = None,
        rest_s: float = 0.0,
        start: str | None = None,
    ) -> None:
        """`rest_s` is how long the cursor rests on a record before that is proven."""
        super().__init__(origin, scene, start)
        self._steady, self._poll_s = steady, poll_s
        self.laboratory = laboratory
        self.verification = Verification(steady)
        self.verification.elsewhere = origin.is_server
        self.verification.reads_are_proven = origin.is_verified
        self.trusting = Trusting(self, rest_s)
        self.contact = Contact(steady)
        self.trouble: tuple[str, str, str, str] = (
            RECORDED if self.is_replay else ("Opening …", origin.name, "", "muted")
        )
        self.no_cluster = ""
        """Why it is not known whether there is a cluster; empty where it is."""
        self.refused: Exception | None = None
        self._telling: Timer | None = None
        self._was_inside: str | None = None

    async def _keep_connected(self) -> None:
        """Opens the database, polls it until it fails, says what is wrong, and tries again."""
        never_opened = True
        while True:
            try:
                database = await off_loop(self.origin.open)
                self._opened(database, await off_loop(self._entered_before, database))
                never_opened = False
                await self._poll(database)
            except (blockdb.BlockDBError, OSError) as error:
                if never_opened and isinstance(error, _HOPELESS):
                    self.refused = error
                    self.exit()
                self._lost(error)
            self.verification.cancel()
            await off_loop(self.origin.close)
            await asyncio.sleep(RETRY_S)

    def _entered_before(self, database: AnyDatabase) -> AnyCollection:
        """The collection in which one was when the database went away, if it is there again.

        Else the one that a profile names, or the default one, or the first that the token is good for.
        """
        try:
            return database.collection(self._was_inside or self.origin.collection or database.name)
        except blockdb.Forbidden:
            names = database.collection_names()
            return database.collection(names[0]) if names else database
        except blockdb.BlockDBError:
            return database

    def _opened(self, database: AnyDatabase, collection: AnyCollection) -> None:
        self.database, self.collection = database, collection
        self.history = History()
        self.verification.forget()
        self.trusting.forget()
        self._found()
        for view in self.views():
            view.connected(collection)
        self.past.forget()
        if self.scene is None:
            in_background(self, self._look_for_cluster, database, group="cluster", latest=True)

    async def _look_for_cluster(self, database: AnyDatabase) -> None:
        """Finds out whether the database is in a cluster."""
        scene, self.no_cluster = None, ""
        while database is self.database:
            try:
                scene = await off_loop(self.origin.scene, database, self.wall_clock_ms)
                break
            except OUT_OF_TOUCH:
                await asyncio.sleep(RETRY_S)
            except (blockdb.BlockDBError, OSError) as error:
                self.no_cluster = _told(error)
                break
        if database is self.database and self.scene is None:
            self.show_scene(scene)

    def show_scene(self, scene: Scene | None) -> None:
        """Has the views show a cluster."""
        self.scene = scene
        for view in self.views():
            view.staged()

    def _lost(self, error: Exception) -> None:
        self._was_inside = self.inside
        self.database = self.collection = None
        self._found()
        in_background(self, off_loop, self.laboratory.close, group="lab")
        words = f"{type(error).__name__}: {error}" if isinstance(error, blockdb.BlockDBError) else str(error)
        self.trouble = ("The database cannot be read", words, advice_for(error), "error")
        for view in self.views():
            view.disconnected()

    async def _poll(self, database: AnyDatabase) -> None:
        """Takes snapshots until the database fails. A server that does not answer is not given up."""
        while True:
            collection, pause_s = self.collection or database, self._poll_s
            try:
                statistics = await self._answer(collection.stats)
                if self.contact.lost:
                    await self._resume(collection, statistics)
            except blockdb.BlockDBError as error:
                if self.origin.is_server and isinstance(error, OUT_OF_TOUCH):
                    self._miss(_told(error))
                    pause_s = RETRY_S
                elif collection is database or isinstance(error, blockdb.DatabaseClosed):
                    raise  # it is not about the collection
                else:
                    self._give_up(collection, error)
            else:
                if collection is self.collection:
                    self.take(statistics)
            await asyncio.sleep(pause_s)

    async def _answer(self, ask: Callable[[], T]) -> T:
        """What a question is answered; while a server takes its time, that is told."""
        asked_at_s, asking = self._steady(), asyncio.ensure_future(off_loop(ask))
        try:
            while not (await asyncio.wait({asking}, timeout=SILENCE_S))[0]:
                if self.origin.is_server:
                    self._miss("", asked_at_s)
            return asking.result()
        finally:
            asking.cancel()

    # ── a server that goes away, and comes back ──

    def missed(self, error: Exception) -> bool:
        """Whether an error says that there is no server. If so it is told above the view, and nowhere else."""
        if not (self.origin.is_server and isinstance(error, blockdb.Unavailable)):
            return False
        self._miss(_told(error))
        return True

    def _miss(self, why: str, since_s: float | None = None) -> None:
        if self.contact.missed(why, since_s):
            self._telling = self.set_interval(TOLD_EVERY_S, self._tell)
        self._tell()

    def _tell(self) -> None:
        for view in self.views():
            view.show_contact()

    def _found(self) -> None:
        self.contact.found()
        if self._telling is not None:
            self._telling.stop()
            self._telling = None
        self._tell()

    async def _resume(self, collection: AnyCollection, statistics: Statistics) -> None:
        """Goes on with a server that answers again. Raises DatabaseClosed where it has another database now."""
        before = self.history.latest
        is_less = before is not None and statistics.records < before.statistics.records
        if is_less or (await self._answer(collection.describe)).id != collection.id:
            raise blockdb.DatabaseClosed(f"{self.origin.name} has another database than before; it is opened anew.")
        self._found()
        for view in self.views():
            view.resumed()

    def _give_up(self, collection: AnyCollection, error: blockdb.BlockDBError) -> None:
        """Leaves a collection that cannot be read any more; the database is looked at again after that."""
        if collection is self.collection:
            self.leave(f"{collection.name} cannot be read any more. {type(error).__name__}: {error}")

    def fail(self, words: str, error: Exception) -> None:
        """Says what could not be done, and why; that the server does not answer is told above the view already."""
        if not self.missed(error):
            self.say(f"{words} {_told(error)}", "error")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
