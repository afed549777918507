"""The moment of the past that all views go back to, and where the collections stood then.

A moment is named in one collection: heights and sequence numbers are of one chain. In the others it is the time at
which its newest record was stored.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import blockdb
from blockdb.commands.display import printable
from blockdb.commands.moment import moment_or_now, moment_words
from blockdb.commands.standing import Bygone, Standing, standing_at

from .history import Moment
from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf

    from .app import Explorer
    from .navigation import Navigation

__all__ = ["Past"]

QUESTION = "As of"
QUESTION_TWO = "Compare (one .. other)"
MOST_COUNTED = 20_000
"""Of a block that was open then, so many records at most are read to tell how many bytes they are."""


class Past:
    """Which moment that is; off until one is asked for."""

    def __init__(self, explorer: Navigation) -> None:
        self._explorer = cast("Explorer", explorer)
        self._bygone: Bygone | None = None
        self._known: dict[str, tuple[Standing, int]] = {}

    # ── what it is ──

    @property
    def as_of(self) -> AsOf | None:
        """The moment as reads of the collection that is looked at take it; None for now."""
        collection = self._explorer.collection
        return None if collection is None else self.as_of_in(collection.name)

    def as_of_in(self, name: str) -> AsOf | None:
        """The same, of a collection by its name."""
        return None if self._bygone is None else self._bygone.in_(name)

    @property
    def standing(self) -> Standing | None:
        """Where the collection that is looked at stood then, once that is known; None for now."""
        collection = self._explorer.collection
        known = None if collection is None or self._bygone is None else self._known.get(collection.name)
        return None if known is None else known[0]

    @property
    def words(self) -> str:
        """The moment in words; empty for now."""
        as_of, standing = self.as_of, self.standing
        return "" if as_of is None else moment_words(as_of) if standing is None else standing.words

    def as_it_was(self, moment: Moment) -> Moment:
        """A snapshot with the counts of then; the snapshot itself for now."""
        collection, standing = self._explorer.collection, self.standing
        if collection is None or standing is None:
            return moment
        _, open_bytes = self._known[collection.name]
        statistics = replace(
            moment.statistics,
            records=standing.records,
            blocks=standing.blocks,
            open_block_records=standing.records - standing.covered,
            open_block_bytes=open_bytes,
            head_hash=bytes(32) if standing.head is None else standing.head.hash,
        )
        return Moment(moment.time_s, statistics, 0.0, 0.0, 0.0)

    def standing_in(self, collection: AnyCollection) -> Standing | None:
        """Where a collection stood then; None for now. Waits for the disk; raises BlockDBError."""
        as_of = self.as_of_in(collection.name)
        if as_of is None:
            return None
        known = self._known.get(collection.name)
        if known is None or known[0].as_of != as_of:
            standing = standing_at(collection, as_of)
            known = self._known[collection.name] = standing, _open_bytes(collection, standing)
        return known[0]

    # ── going there ──

    def ask(self) -> None:
        """Asks for a moment."""
        view = self._explorer.view
        if view is not None and self._explorer.collection is not None:
            text = "" if self.as_of is None else _typed(self.as_of)
            view.prompt.ask(f"{QUESTION} (42, seq 1000, a time, -5m, now)", text, done=self.go_to)

    def ask_for_two(self) -> None:
        """Asks for two moments to compare: by default the one that is looked at and now."""
        explorer = self._explorer
        view, latest = explorer.view, explorer.history.latest
        if view is None or explorer.collection is None:
            return
        blocks = 0 if latest is None else latest.statistics.blocks
        begin = _typed(self.as_of) if self.as_of is not None else f"block {max(0, blocks - 2)}" if blocks else "1970"
        view.prompt.ask(QUESTION_TWO, f"{begin} .. now", done=self._compare)

    def _compare(self, text: str) -> None:
        from .screens.compare import Compare

        explorer, (one, _, other) = self._explorer, text.partition("..")
        if not text.strip() or explorer.database is None or explorer.collection is None:
            return
        try:
            moments = moment_or_now(one, explorer.wall_clock_ms), moment_or_now(other, explorer.wall_clock_ms)
        except argparse.ArgumentTypeError as error:
            explorer.say(str(error), "error")
            return
        prefix = getattr(explorer.view, "prefix", b"")
        explorer.push_screen(Compare(explorer.database, explorer.collection, moments, prefix))

    def go_to(self, text: str) -> None:
        """Goes to the moment that a text names; nothing and `now` are the present."""
        try:
            as_of = moment_or_now(text, self._explorer.wall_clock_ms)
        except argparse.ArgumentTypeError as error:
            self._explorer.say(str(error), "error")
            return
        self.go(as_of)

    def go(self, as_of: AsOf | None) -> None:
        """Goes to a moment of the collection that is looked at, or to now."""
        in_background(self._explorer, self._go, as_of, group="past", latest=True)

    async def _go(self, as_of: AsOf | None) -> None:
        collection = self._explorer.collection
        if collection is None:
            return
        if as_of is None:
            self._set(None, {})
            return
        try:
            standing, open_bytes = await off_loop(_looked_up, collection, as_of)
        except (blockdb.BlockDBError, OSError) as error:
            self._explorer.fail(f"There is no going back to {moment_words(as_of)}.", error)
            return
        if collection is self._explorer.collection:
            self._set(Bygone.of(standing, collection.name), {collection.name: (standing, open_bytes)})

    def _set(self, bygone: Bygone | None, known: dict[str, tuple[Standing, int]]) -> None:
        before, self._bygone, self._known = self._bygone, bygone, known
        if (before, bygone) != (None, None):
            self._turn()

    def _turn(self) -> None:
        for view in self._explorer.views():
            view.turned()

    def step(self, blocks: int) -> None:
        """To the block before or behind; from now to the last one that is sealed, and from that one on to now."""
        in_background(self._explorer, self._step, blocks, group="past", latest=True)

    async def _step(self, blocks: int) -> None:
        collection, standing = self._explorer.collection, self.standing
        if collection is None or (standing is None and (blocks > 0 or self._bygone is not None)):
            return
        try:
            statistics = await off_loop(collection.stats)
        except (blockdb.BlockDBError, OSError) as error:
            self._explorer.fail("The chain cannot be read.", error)
            return
        if statistics.partitions > 1:
            name = printable(collection.name)
            self._explorer.say(f"{name} has several chains: go into {name}:0 to step along one.", "warning")
            return
        here, between = statistics.blocks, True
        if standing is not None:
            here, between = standing.blocks, standing.records > standing.covered
        wanted = here if blocks > 0 else here - 1 if between else here - 2
        if wanted < 0:
            self._explorer.say("Before this no block was sealed.", "warning")
        elif wanted >= statistics.blocks:
            await self._go(None)
        else:
            await self._go(blockdb.AsOf(block=wanted))

    # ── another collection, or the same one anew ──

    def arrive(self) -> None:
        """Finds out where the collection stood that is looked at from now on, and has it shown."""
        if self._bygone is not None and self.standing is None:
            in_background(self._explorer, self._arrive, group="past", latest=True)

    async def _arrive(self) -> None:
        collection = self._explorer.collection
        if collection is None:
            return
        try:
            await off_loop(self.standing_in, collection)
        except (blockdb.BlockDBError, OSError) as error:
            self._explorer.fail("It cannot be told how much there was then.", error)
            return
        self._turn()

    def forget(self) -> None:
        """It is another handle that is read from now on: what was looked up is looked up anew."""
        self._known = {}
        self.arrive()


def _looked_up(collection: AnyCollection, as_of: AsOf) -> tuple[Standing, int]:
    standing = standing_at(collection, as_of)
    return standing, _open_bytes(collection, standing)


def _open_bytes(collection: AnyCollection, standing: Standing) -> int:
    """The bytes of the records of the block that was open; 0 where there are several chains, or very many records."""
    count = standing.records - standing.covered
    if len(standing.counts) > 1 or count > MOST_COUNTED:
        return 0
    return sum(len(record.key) + len(record.value) for record in collection.records(standing.covered, count))


def _typed(as_of: AsOf) -> str:
    """What to type for a moment."""
    return moment_words(as_of).replace("record", "seq").replace(",", "")
