"""Cursors of pages: where to go on, and as of which record, so that all pages are of one snapshot."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, TypeVar

import msgspec

from blockdb.errors import InvalidData
from blockdb.types import AsOf

__all__ = ["Place", "cursor_of", "place_of", "token_of", "told_by"]

NO_CURSOR: Final = "This is no cursor: it takes the one that the page before gave, as it is."

T = TypeVar("T")


class Place(msgspec.Struct, array_like=True):
    """Where a page ended. `behind` is the last key of a scan, or the engine's cursor of a query."""

    horizon: int | tuple[int, ...]
    """The sequence number of the newest record that is seen; of each partition, where there are several."""
    behind: bytes

    @property
    def moment(self) -> AsOf:
        """What the next page is to be as of."""
        horizon = self.horizon
        return AsOf(sequence=horizon) if isinstance(horizon, int) else AsOf(sequences=horizon)


def cursor_of(moment: AsOf, behind: bytes) -> str:
    """The cursor as clients have it; the moment is one of sequence numbers."""
    horizon = moment.sequences if moment.sequence is None else moment.sequence
    assert horizon is not None, "moments of pages are given in sequence numbers"
    return token_of(Place(horizon, behind))


def token_of(what: object) -> str:
    """Anything as text that nobody has to understand."""
    return urlsafe_b64encode(msgspec.msgpack.encode(what)).rstrip(b"=").decode()


def told_by(token: str, kind: type[T]) -> T:
    """What `token_of` was given. Raises InvalidData where it was nothing of that kind."""
    try:
        data = urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        return msgspec.msgpack.decode(data, type=kind)
    except (ValueError, AttributeError, msgspec.DecodeError):
        raise InvalidData(NO_CURSOR) from None


def place_of(cursor: str) -> Place:
    """What a cursor says. Raises InvalidData."""
    place = told_by(cursor, Place)
    if isinstance(place.horizon, int) and place.horizon < 0:
        raise InvalidData(NO_CURSOR)
    return place
