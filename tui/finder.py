"""The command palette: views, themes and actions by name, and collections, blocks and keys of the database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

import blockdb
from blockdb.commands.command import Where
from blockdb.commands.display import human_count, printable
from blockdb.commands.table import available

from .hashes import BlockHashes, hash_prefix
from .keytext import key_of
from .offloop import off_loop
from .views import views_of

if TYPE_CHECKING:
    from .app import Explorer

__all__ = ["Finder", "Finding"]

SETTLE_S = 0.08
MOST_KEYS = 8
MOST_COLLECTIONS = 8
BELOW = 0.5
"""Commands of the table come after what is like it in the explorer itself."""
BY_NAME = 100.0
"""Above whatever is like what was typed: a collection whose name begins so is meant."""


class Finding(CommandPalette):
    """Textual's palette, which dies of a page key that comes before its list has been laid out (8.2)."""

    def _action_command_list(self, action: str) -> None:
        with suppress(LookupError):
            super()._action_command_list(action)


class Finder(Provider):
    """Everything that can be gone to or done."""

    @property
    def _explorer(self) -> Explorer:
        return cast("Explorer", self.app)

    def _commands(self) -> list[tuple[str, str, Callable[[], object]]]:
        explorer = self._explorer
        views = [
            (f"Go to {view.title.lower()}", "View", partial(explorer.run_action, f"view('{view.mode}')"))
            for view in views_of(explorer)
        ]
        names = explorer.wardrobe.names
        themes = [(f"Theme: {name}", "Colours", partial(setattr, explorer, "theme", name)) for name in names]
        return [
            *views,
            ("Verify the chain", "Recompute every hash, link and signature", partial(explorer.run_action, "verify")),
            ("Walk the proof of this record", "Each hash recomputed here", partial(explorer.run_action, "view_prove")),
            ("Tamper with a copy", "Every way to tamper, and what finds it", explorer.tamper),
            ("Go to the open block", "The block that is filling now", partial(explorer.visit_block, None)),
            (
                "Copy as a command",
                "The blockdb command that prints what is shown",
                partial(explorer.run_action, "copy_command"),
            ),
            ("Help", "The focused pane and its keys", partial(explorer.run_action, "help")),
            *themes,
            ("Quit", "Leave the explorer", partial(explorer.run_action, "quit")),
        ]

    async def discover(self) -> Hits:
        for name, words, command in self._commands():
            yield DiscoveryHit(Content(name), command, text=name, help=words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, words, command in self._commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), command, text=name, help=words)
        for hit in self._block(query):
            yield hit
        for name, words, command in self._lines():
            if (score := matcher.match(name)) > 0:
                yield Hit(BELOW * score, matcher.highlight(name), command, text=name, help=words)
        await asyncio.sleep(SETTLE_S)  # a word being typed is asked for once, not at every letter
        for collection in await self._collections(query):
            shown = f"Collection {printable(collection)}"
            score = BY_NAME if collection.casefold().startswith(query.strip().casefold()) else 0.5
            yield Hit(score, Content(shown), partial(self._explorer.enter, collection), text=shown, help="Go into it")
        for hit in await self._hashes(query):
            yield hit
        for key in await self._keys(key_of(query)):
            shown = printable(key[:200])
            yield Hit(0.3, Content(shown), partial(self._explorer.visit_key, key), text=shown, help="Key")

    def _block(self, query: str) -> list[Hit]:
        digits = query.strip().removeprefix("#").replace(",", "")
        moment = self._explorer.history.latest
        if not (digits.isascii() and digits.isdigit()) or moment is None or int(digits) > moment.statistics.blocks:
            return []
        name = f"Block {human_count(int(digits))}"
        return [
            Hit(
                1.0, Content(name), partial(self._explorer.visit_block, int(digits)), text=name, help="Go to this block"
            )
        ]

    def _lines(self) -> list[tuple[str, str, Callable[[], object]]]:
        """The commands of the table; the line for commands comes up with the one that is chosen."""
        return [
            (f":{command.name}", command.summary, partial(self._give, f"{command.name} "))
            for command in available(Where.SHELL)
        ]

    def _give(self, line: str) -> None:
        from .screens.command import CommandScreen

        self.app.push_screen(CommandScreen(line))

    async def _hashes(self, query: str) -> list[Hit]:
        """Blocks by the beginning of their hash, as far as they can be looked through in a moment."""
        explorer, prefix = self._explorer, hash_prefix(query)
        collection, moment = explorer.collection, explorer.history.latest
        if prefix is None or collection is None or moment is None:
            return []
        known, sealed = explorer.hashes, moment.statistics.blocks
        if known is None or known.collection is not collection:
            known = explorer.hashes = BlockHashes(collection)
        try:
            found = await off_loop(known.find, prefix, sealed)
        except (blockdb.BlockDBError, OSError):
            return []
        hits = []
        for number in found:
            name = f"Block {human_count(number)}, hash {prefix}…"
            go = partial(explorer.visit_block, number)
            hits.append(Hit(0.9, Content(name), go, text=name, help="Go to this block"))
        if known.read < sealed:
            name = f"Hash {prefix}… was sought in the newest {human_count(known.read)} of {human_count(sealed)} blocks"
            again = partial(explorer.run_action, "command_palette")
            hits.append(Hit(0.1, Content(name), again, text=name, help="Type it again to look further"))
        return hits

    async def _collections(self, part: str) -> list[str]:
        database = self._explorer.database
        if database is None or not part.strip():
            return []
        try:
            names = await off_loop(database.collection_names)
        except (blockdb.BlockDBError, OSError):
            return []
        wanted = part.strip().casefold().removeprefix("collection ")
        return [*_partition(part, names), *(name for name in names if wanted in name.casefold())][:MOST_COLLECTIONS]

    async def _keys(self, prefix: bytes) -> list[bytes]:
        collection = self._explorer.collection
        if collection is None or not prefix:
            return []
        try:
            return await off_loop(
                lambda: list(collection.keys(prefix=prefix, limit=MOST_KEYS, as_of=self._explorer.as_of))
            )
        except (blockdb.BlockDBError, OSError):
            return []  # the view behind already says what is wrong with the database


def _partition(part: str, names: Sequence[str]) -> list[str]:
    """The partition of a collection that somebody asks for by its number."""
    asked = part.strip()
    name, colon, number = asked.rpartition(":")
    return [asked] if colon and number.isdigit() and name in names and asked not in names else []
