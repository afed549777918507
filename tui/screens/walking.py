"""Key order, now or then: the keys of then are walked while they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import blockdb

from ..listing import ByKey
from ..offloop import in_background, off_loop
from ..past_listing import ByKeyThen, End

if TYPE_CHECKING:
    from blockdb import AnyCollection

    from .view import View

__all__ = ["Walking"]

GROWN_EVERY_S = 0.2


class Walking:
    """The listings in key order of one view, of which one is walked at a time. `more` is called as it grows."""

    def __init__(self, view: View, more: Callable[[], None]) -> None:
        self._view, self._more = view, more
        self._walked: ByKeyThen | None = None

    def listing(self, collection: AnyCollection, prefix: bytes, at: bytes | End | None = None) -> ByKey | ByKeyThen:
        """The keys with a prefix at the moment that is looked at; they are walked from now on if that is past.

        The walk begins `at` a key, or the end, or else the top.
        """
        self.stop()
        as_of = self._view.explorer.as_of
        if as_of is None:
            return ByKey(collection, prefix)
        self._walked = listing = ByKeyThen(collection, as_of, prefix, at)
        in_background(self._view, self._walk, listing, group="walk", latest=True)
        return listing

    def stop(self) -> None:
        """Ends the walk; another list comes."""
        if self._walked is not None:
            self._walked.stop()
            self._walked = None

    async def _walk(self, listing: ByKeyThen) -> None:
        growing = self._view.set_interval(GROWN_EVERY_S, self._more)
        try:
            await off_loop(listing.walk)
        except (blockdb.BlockDBError, OSError) as error:
            self._view.explorer.fail("The records cannot be listed.", error)
        finally:
            growing.stop()
            listing.stop()
        self._more()
