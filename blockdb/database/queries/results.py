"""What `find` gives: an iterator of documents that knows where the next page begins."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice

from blockdb.documents.document import Document
from blockdb.errors import InvalidData

PLACE_BYTES = 8
CHECK_BYTES = 8


class Results(Iterator[Document]):
    """The documents of a query, read as they are asked for; all of them as the collection was at the call.

    For one thread. Iterating raises Corruption, and InvalidData where a sort would take too much memory.
    """

    def __init__(
        self, found: Iterator[tuple[int, Document]], query: Callable[[], bytes], offset: int, limit: int | None
    ) -> None:
        self._found = islice(found, offset, None if limit is None else offset + limit)
        self._query = query
        self._left = limit
        self._place: int | None = None

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> Document:
        try:
            self._place, document = next(self._found)
        except StopIteration:
            if self._left != 0:
                self._place = None
            raise
        if self._left is not None:
            self._left -= 1
        return document

    @property
    def cursor(self) -> str | None:
        """What `after=` takes to go on behind the last document that was given, also once the database was opened anew.

        None before the first one, and once the end was reached. Where the limit was reached there may be more or not.
        """
        return None if self._place is None else cursor_of(self._place, self._query())


def cursor_of(place: int, query: bytes) -> str:
    """The cursor that stands at the record at a place, for one query."""
    data = place.to_bytes(PLACE_BYTES, "big")
    return urlsafe_b64encode(data + _check(data, query)).rstrip(b"=").decode()


def place_of(cursor: str, query: bytes) -> int:
    """The place at which a cursor stands. Raises InvalidData where it is not one of this query."""
    try:
        data = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
    except (ValueError, AttributeError):
        data = b""
    place, check = data[:PLACE_BYTES], data[PLACE_BYTES:]
    if not check or check != _check(place, query):
        raise InvalidData(
            "This is no cursor of this query: `after` takes the cursor of the same filter, parameters, order and "
            "collection."
        )
    return int.from_bytes(place, "big")


def _check(place: bytes, query: bytes) -> bytes:
    return sha256(place + query).digest()[:CHECK_BYTES]
