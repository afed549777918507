"""Cursors of pages: where to go on, and as of which record, so that all pages are of one snapshot."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from blockdb.errors import InvalidData


class Place(msgspec.Struct, array_like=True):
    """Where a page ended. `behind` is the last key of a scan, or the engine's cursor of a query."""

    horizon: int
    """The sequence number of the newest record that is seen."""
    behind: bytes


def cursor_of(horizon: int, behind: bytes) -> str:
    """The cursor as clients have it."""
    return urlsafe_b64encode(msgspec.msgpack.encode(Place(horizon, behind))).rstrip(b"=").decode()


def place_of(cursor: str) -> Place:
    """What a cursor says. Raises InvalidData."""
    try:
        data = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        place = msgspec.msgpack.decode(data, type=Place)
    except (ValueError, msgspec.DecodeError):
        raise InvalidData("This is no cursor: it takes the one that the page before gave, as it is.") from None
    if place.horizon < 0:
        raise InvalidData("This is no cursor: it takes the one that the page before gave, as it is.")
    return place
