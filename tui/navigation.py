"""Which view is shown, of which collection, and how one came there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.screen import Screen

import blockdb

from .history import History, Moment
from .keytext import Target
from .offloop import in_background, off_loop
from .past import Past
from .screens.view import View
from .views import VIEWS

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, AsOf, Statistics

    from .cluster.scene import Scene
    from .origin import Origin
    from .replay import Replay

__all__ = ["Navigation"]


class Navigation(App[int]):
    """The part of the application that goes from place to place."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {mode: view.make for mode, view in VIEWS.items()}
    DEFAULT_MODE = "records"

    replay: Replay | None = None
    """The recording that is shown, without a database."""

    def __init__(self, origin: Origin, scene: Scene | None = None, start: str | None = None) -> None:
        """`start` is the mode of the view to begin with, where that is not the usual one."""
        if start is not None:
            self.DEFAULT_MODE = start  # type: ignore[misc]
        super().__init__()
        self.origin = origin
        self.scene: Scene | None = scene
        """The cluster that the database is of, once that is known; or the one that is replayed."""
        self.history = History()
        self.database: AnyDatabase | None = None
        self.collection: AnyCollection | None = None
        """The collection that the views show: the default one, until another is entered."""
        self.past = Past(self)
        self.armed = False
        """Whether things may be changed from here; until somebody arms it, the explorer only reads."""
        self.came_from: list[str] = []
        """The views that led to the one in front; Esc goes back through them."""

    def wall_clock_ms(self) -> int:
        """The time of day in Unix milliseconds."""
        raise NotImplementedError

    def fail(self, words: str, error: Exception) -> None:
        """Says what could not be done, and why."""
        raise NotImplementedError

    def take(self, statistics: Statistics) -> None:
        """Adds a snapshot to the history, and shows it."""
        raise NotImplementedError

    def say(self, words: str, severity: str = "information", timeout_s: float = 4) -> None:
        """Says something in passing. The words may hold stored bytes."""
        raise NotImplementedError

    def shown_key(self, id: str) -> str:
        """The key of a binding of the application, as people read it."""
        bound = (binding for bindings in self._bindings.key_to_bindings.values() for binding in bindings)
        binding = next(binding for binding in bound if binding.id == id)
        if keys := self._keymap.get(id):
            binding = binding.with_key(keys.split(",")[0])
        return self.get_key_display(binding)

    # ── where one is ──

    @property
    def is_replay(self) -> bool:
        """Whether what is shown is a recording, without a database."""
        return self.replay is not None

    @property
    def is_recording(self) -> bool:
        """Whether what happens is recorded."""
        return False

    @property
    def inside(self) -> str | None:
        """The name of the collection that was entered; None while it is the default one."""
        collection = self.collection
        return None if collection is None or collection is self.database else collection.name

    @property
    def as_of(self) -> AsOf | None:
        """The moment that the views show of the collection; None for now."""
        return self.past.as_of

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
        return self.whole._replace(collection=None if default else name)

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

    def back_to(self, steps: int) -> None:
        """Goes back to the view that was passed through as the `steps`-th, counted from 0."""
        if steps < len(self.came_from):
            mode = self.came_from[steps]
            del self.came_from[steps:]
            self.switch_mode(mode)

    def back_to_collections(self) -> None:
        """Out of the collection, to all of them."""
        self.came_from.clear()
        self.switch_mode("collections")

    async def action_view(self, mode: str) -> None:
        """Shows one of the views."""
        self.came_from.clear()
        await self.switch_mode(mode)

    def go_back(self) -> None:
        """Goes back to the view from which this one was visited; out of a collection, to all of them."""
        if self.came_from:
            self.switch_mode(self.came_from.pop())
        elif self.inside is not None and self.current_mode != "collections":
            self.switch_mode("collections")

    async def visit(self, mode: str) -> View | None:
        """Shows a view from which Esc leads back here. Returns it."""
        if self.current_mode != mode:
            # Each view stands in the way once: there is one of each, and it is where it was left last.
            self.came_from = [other for other in self.came_from if other not in (mode, self.current_mode)]
            self.came_from.append(self.current_mode)
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
            await off_loop(self.past.standing_in, collection)
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
            self.past.arrive()

    def leave(self, words: str = "") -> None:
        """Out of a collection that is no more, or cannot be read, to all of them."""
        if self.database is not None:
            if words:
                self.say(words, "error")
            self.use(self.database)
            self.came_from.clear()
            self.switch_mode("collections")

    def visit_block(self, block: int | None, sequence: int | None = None, *, collection: str | None = None) -> None:
        """Goes to a block (None: the open one), and there to a record; of another collection if one is named."""
        in_background(self, self._visit_block, block, sequence, collection, group="visit", latest=True)

    async def _visit_block(self, block: int | None, sequence: int | None, collection: str | None) -> None:
        from .screens.blocks import BlocksView

        collection, block, sequence = await self._in_its_chain(collection, block, sequence)
        await self._enter_another(collection, "blocks")
        if isinstance(view := await self.visit("blocks"), BlocksView):
            view.show_block(block, sequence)

    async def _in_its_chain(
        self, collection: str | None, block: int | None, sequence: int | None
    ) -> tuple[str | None, int | None, int | None]:
        """The same in the partition that has it, where a collection has several: each has a chain of its own."""
        if self.database is None or self.collection is None:
            return collection, block, sequence
        whole = self.collection if collection is None else await off_loop(self.database.collection, collection)
        partitions = (await off_loop(whole.stats)).partitions
        if partitions == 1:
            return collection, block, sequence
        partition = (sequence or 0 if block is None else block) % partitions
        own = [None if number is None else number // partitions for number in (block, sequence)]
        return f"{whole.name}:{partition}", own[0], own[1]

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

    def tamper_with(self, key: bytes) -> None:
        """Goes to the lab with a record of the default collection that is to be tampered with."""
        if self.inside is not None:
            self.say("The lab tampers with the default collection. Choose a record of it.", "warning")
        else:
            in_background(self, self._tamper_with, key, group="visit", latest=True)

    async def _tamper_with(self, key: bytes) -> None:
        from .screens.lab import LabView

        if isinstance(view := await self.visit("lab"), LabView):
            view.choose(key)

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
