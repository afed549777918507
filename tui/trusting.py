"""What the explorer knows of how far each record can be trusted, and proving more of them while nothing else is done.

One record at a time is proven, in a thread: the one under the cursor, once the cursor has rested on it. Who moves on
takes the wish back. Nothing is signed for it that is not sealed already.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import blockdb
from blockdb.commands.trust import CAME_PROVEN, FAILED, NOT_SEALED, READ, Prover, Trust, failed, proven_at_block, read

from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from blockdb import AnyCollection, Record, Report

    from .connected import Connected

__all__ = ["AGAIN_S", "Trusting"]

KEPT = 10_000
AGAIN_S = 5.0
"""A record on which the cursor stays is read and proven again so often, where that takes no server."""
AT_ONCE = 8
"""So many rows are looked up before it is seen whether something else is wanted."""

SERVER_VERIFIED = read("verified by the server, which may be wrong")

Told = Callable[[], None]


class Trusting:
    """The trust of the records that were looked at, by collection and key: the newest so many. Of the event loop."""

    def __init__(self, explorer: Connected, rest_s: float) -> None:
        """`rest_s` is how long the cursor has to rest on a record."""
        self._explorer = explorer
        self._rest_s = rest_s
        self._known: OrderedDict[tuple[str, bytes], tuple[Trust, float]] = OrderedDict()
        self._blocks: OrderedDict[tuple[str, bytes], int | None] = OrderedDict()
        """The blocks of records of which a table does not tell them."""
        self._prover: Prover | None = None
        self._wish: tuple[AnyCollection, Record, Told] | None = None
        self._rows: tuple[AnyCollection, list[bytes], Told] | None = None
        self._report: Report | None = None
        self._working = False

    def forget(self) -> None:
        """It is another database."""
        self._known.clear()
        self._blocks.clear()
        self._prover = self._wish = self._rows = None

    # ── what is known ──

    def of_record(self, collection: AnyCollection, record: Record) -> Trust:
        """How far a record can be trusted, as far as that is known. O(problems)."""
        return self._of(collection, record.key, record.block, is_open=record.block is None)

    def of_row(self, collection: AnyCollection, key: bytes, block: int | None) -> Trust:
        """The same of a row of a table; `block` is None where the table does not tell it."""
        return self._of(collection, key, self._blocks.get((collection.id, key)) if block is None else block)

    def _of(self, collection: AnyCollection, key: bytes, block: int | None, *, is_open: bool = False) -> Trust:
        verification = self._explorer.verification
        known, _ = self._known.get((collection.id, key), (None, 0.0))
        if block is not None and (problem := verification.bad_blocks(collection).get(block)) is not None:
            return Trust(FAILED, words=str(problem))
        if known is not None and known.degree is not READ:
            return known
        proven_to = verification.proven_to(collection)
        if block is not None and block < proven_to and not verification.elsewhere:
            return proven_at_block(proven_to - 1)
        if verification.reads_are_proven:
            return CAME_PROVEN
        if block is not None and block < proven_to:
            return SERVER_VERIFIED
        return known or (NOT_SEALED if is_open else read())

    def is_due(self, collection: AnyCollection, key: bytes) -> bool:
        """Whether a record on which the cursor stays should be read and proven again."""
        found = self._known.get((collection.id, key))
        is_old = found is not None and time.monotonic() - found[1] >= AGAIN_S
        return is_old and not self._explorer.origin.is_server

    def could_not_be_read(self, collection: AnyCollection, key: bytes, error: Exception) -> Trust | None:
        """Takes note of what came of reading a record, where that says that it is not what was written."""
        if not isinstance(error, (blockdb.Corruption, blockdb.InvalidProof, blockdb.HistoryConflict)):
            return None
        return self._note(collection, key, failed(error))

    def _note(self, collection: AnyCollection, key: bytes, trust: Trust) -> Trust:
        self._known[collection.id, key] = trust, time.monotonic()
        self._known.move_to_end((collection.id, key))
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return trust

    # ── learning more ──

    def look_into(self, collection: AnyCollection, record: Record, tell: Told) -> None:
        """Proves the record under the cursor, unless the cursor moves on before; then `tell` is called."""
        self._wish = collection, record, tell
        self._work_on()

    def look_up(self, collection: AnyCollection, keys: Sequence[bytes], tell: Told) -> None:
        """Finds the blocks of rows that do not tell them, where a verification has found something out about blocks."""
        verification, origin = self._explorer.verification, self._explorer.origin
        if origin.is_server or not (verification.proven_to(collection) or verification.bad_blocks(collection)):
            return
        if verification.report is not self._report:  # what was in an open block then may be sealed, and verified
            self._report = verification.report
            self._blocks = OrderedDict((place, block) for place, block in self._blocks.items() if block is not None)
        unknown = [key for key in keys if (collection.id, key) not in self._blocks]
        if unknown:
            self._rows = collection, unknown, tell
            self._work_on()

    def _work_on(self) -> None:
        if not self._working:
            self._working = True
            in_background(self._explorer, self._work, group="trust")

    async def _work(self) -> None:
        try:
            while self._wish is not None or self._rows is not None:
                if self._wish is not None:
                    await self._prove(self._wish)
                elif self._rows is not None:
                    await self._find_blocks(*self._rows)
        finally:
            self._working = False

    async def _prove(self, wish: tuple[AnyCollection, Record, Told]) -> None:
        await asyncio.sleep(self._rest_s)
        if wish is not self._wish:
            return
        self._wish = None
        collection, record, tell = wish
        if (database := self._explorer.database) is None:
            return
        prover = self._prover = self._prover or Prover(database)
        try:
            trust = await off_loop(prover.trust, collection, record)
        except blockdb.BlockDBError as error:
            self._explorer.missed(error)
            return
        if prover is self._prover:
            self._note(collection, record.key, trust)
            tell()

    async def _find_blocks(self, collection: AnyCollection, keys: list[bytes], tell: Told) -> None:
        def find() -> list[tuple[bytes, int | None, Exception | None]]:
            return [_found(collection, key) for key in keys[:AT_ONCE]]

        found = await off_loop(find)
        if self._rows is not None and self._rows[1] is keys:
            self._rows = (collection, keys[AT_ONCE:], tell) if keys[AT_ONCE:] else None
        for key, block, error in found:
            if error is not None:
                self.could_not_be_read(collection, key, error)
            self._blocks[collection.id, key] = block
        while len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        tell()


def _found(collection: AnyCollection, key: bytes) -> tuple[bytes, int | None, Exception | None]:
    try:
        record = collection.record(key)
    except (blockdb.BlockDBError, OSError) as error:
        return key, None, error
    return key, None if record is None else record.block, None
