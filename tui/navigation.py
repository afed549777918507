"""Which view is shown, of which collection, and how one came there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.screen import Screen

import blockdb

from .history import History, Moment
from .keytext import Target
from .offloop import in_background, off_loop
from .screens.view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, Statistics

    from .cluster.scene import Scene
    from .origin import Origin

__all__ = ["Navigation"]


def _collections() -> Screen[None]:
    from .screens.collections import CollectionsView

    return CollectionsView()


def _records() -> Screen[None]:
    from .screens.records import RecordsView

    return RecordsView()


def _blocks() -> Screen[None]:
    from .screens.blocks import BlocksView

    return BlocksView()


def _metrics() -> Screen[None]:
    from .screens.metrics import MetricsView

    return MetricsView()


def _schema() -> Screen[None]:
    from .screens.schema import SchemaView

    return SchemaView()


def _changes() -> Screen[None]:
    from .screens.changes import ChangesView

    return ChangesView()


def _acts() -> Screen[None]:
    from .screens.acts import ActsView

    return ActsView()


def _cluster() -> Screen[None]:
    from .screens.cluster import ClusterView

    return ClusterView()


def _lab() -> Screen[None]:
    from .screens.lab import LabView

    return LabView()


class Navigation(App[int]):
    """The part of the application that goes from place to place."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "collections": _collections,
        "records": _records,
        "blocks": _blocks,
        "metrics": _metrics,
        "lab": _lab,
        "schema": _schema,
        "changes": _changes,
        "acts": _acts,
        "cluster": _cluster,
    }
    DEFAULT_MODE = "records"

    def __init__(self, origin: Origin, scene: Scene | None = None) -> None:
        super().__init__()
        self.origin = origin
        self.scene = scene
        """The cluster that the database is of, once that is known; or the one that is replayed."""
        self.history = History()
        self.database: AnyDatabase | None = None
        self.collection: AnyCollection | None = None
        """The collection that the views show: the default one, until another is entered."""
        self._came_from: list[str] = []

    def take(self, statistics: Statistics) -> None:
        """Adds a snapshot to the history, and shows it."""
        raise NotImplementedError

    def say(self, words: str, severity: str = "information") -> None:
        """Says something in passing. The words may hold stored bytes."""
        raise NotImplementedError

    # ── where one is ──

    @property
    def is_replay(self) -> bool:
        """Whether what is shown is a recording, without a database."""
        return self.scene is not None and not self.scene.is_live

    @property
    def inside(self) -> str | None:
        """The name of the collection that was entered; None while it is the default one."""
        collection = self.collection
        return None if collection is None or collection is self.database else collection.name

    @property
    def target(self) -> Target:
        """What the commands that can be copied are about."""
        return self.target_of(self.inside)

    @property
    def whole(self) -> Target:
        """The same, of the database as a whole."""
        return self.origin.target

    def target_of(self, name: str | None) -> Target:
        """The same, of a collection by its name."""
        default = self.database is not None and name == self.database.name
        return replace(self.whole, collection=None if default else name)

    def views(self) -> list[View]:
        """The views that have been looked at so far."""
        return [
            view
            for stack in self._screen_stacks.values()
            for view in stack
            if isinstance(view, View) and view.is_mounted
        ]

    @property
    def view(self) -> View | None:
        """The view shown now, perhaps under something else."""
        return next((screen for screen in self.screen_stack if isinstance(screen, View) and screen.is_mounted), None)

    # ── going about ──

    async def action_view(self, mode: str) -> None:
        """Shows one of the views."""
        self._came_from.clear()
        await self.switch_mode(mode)

    def go_back(self) -> None:
        """Goes back to the view from which this one was visited; out of a collection, to all of them."""
        if self._came_from:
            self.switch_mode(self._came_from.pop())
        elif self.inside is not None and self.current_mode != "collections":
            self.switch_mode("collections")

    async def visit(self, mode: str) -> View | None:
        """Shows a view from which Esc leads back here. Returns it."""
        if self.current_mode != mode:
            self._came_from.append(self.current_mode)
            await self.switch_mode(mode)
        return self.view

    def enter(self, name: str, then: str = "records") -> None:
        """Makes all views those of another collection, and shows one of them."""
        in_background(self, self._enter, name, then, group="enter", latest=True)

    async def _enter(self, name: str, then: str) -> None:
        database = self.database
        if database is None:
            return
        try:
            collection = await off_loop(database.collection, name)
            statistics = await off_loop(collection.stats)
        except (blockdb.BlockDBError, OSError) as error:
            self.say(f"{name} cannot be entered. {type(error).__name__}: {error}", "error")
            return
        if database is self.database:
            self.use(collection)
            self.take(statistics)
            await self.visit(then)

    def use(self, collection: AnyCollection) -> None:
        """Makes all views those of a collection."""
        if collection is not self.collection:
            self.collection = collection
            self.history = History()
            for view in self.views():
                view.entered(collection)

    def leave(self, words: str = "") -> None:
        """Out of a collection that is no more, or cannot be read, to all of them."""
        if self.database is not None:
            if words:
                self.say(words, "error")
            self.use(self.database)
            self._came_from.clear()
            self.switch_mode("collections")

    def visit_block(self, block: int | None, sequence: int | None = None, *, collection: str | None = None) -> None:
        """Goes to a block (None: the open one), and there to a record; of another collection if one is named."""
        in_background(self, self._visit_block, block, sequence, collection, group="visit", latest=True)

    async def _visit_block(self, block: int | None, sequence: int | None, collection: str | None) -> None:
        from .screens.blocks import BlocksView

        await self._enter_another(collection, "blocks")
        if isinstance(view := await self.visit("blocks"), BlocksView):
            view.show_block(block, sequence)

    def visit_key(self, key: bytes, *, collection: str | None = None) -> None:
        """Goes to a key in the view of records; of another collection if one is named."""
        in_background(self, self._visit_key, key, collection, group="visit", latest=True)

    async def _visit_key(self, key: bytes, collection: str | None) -> None:
        from .screens.records import RecordsView

        await self._enter_another(collection, "records")
        if isinstance(view := await self.visit("records"), RecordsView):
            view.show_key(key)

    async def _enter_another(self, name_or_id: str | None, then: str) -> None:
        """Enters a collection, unless it is the one that is looked at."""
        here = self.collection
        if name_or_id is not None and here is not None and name_or_id not in (here.name, here.id):
            await self._enter(name_or_id, then)

    def tamper(self) -> None:
        """Goes to the lab and tries every way to tamper with a copy."""
        in_background(self, self._tamper, group="visit", latest=True)

    async def _tamper(self) -> None:
        from .screens.lab import LabView

        if isinstance(view := await self.visit("lab"), LabView):
            view.action_all()

    def show_moment(self, moment: Moment) -> None:
        """Shows a snapshot on the view in front; what is behind something else is left still."""
        view = self.view
        if view is not None and view is self.screen_stack[-1]:
            view.hear(moment)
