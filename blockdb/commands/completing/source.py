"""What completion asks a database: keys, the names of collections and indexes, fields. Never for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from blockdb.commands.line import to_bytes, to_text
from blockdb.errors import BlockDBError

from .fields import fields_of
from .matching import matching

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase

__all__ = ["MOST_KEYS", "NO_SOURCE", "LiveSource", "Source"]

T = TypeVar("T")

MOST_KEYS: Final = 20
LIKE_AMONG: Final = 1_000
"""So many keys of a collection are looked at for one that is like what was typed, where none begins so."""
PATIENCE_S: Final = 3.0
"""How long completion waits for the database, in a thread of its own (typing goes on); what is later is not shown."""
FIELDS_KEPT_S: Final = 30.0


class Source(Protocol):
    """Where names come from that no table has. `collection` is a name or an id; None is the default collection."""

    def keys(self, prefix: bytes, collection: str | None) -> Sequence[bytes]:
        """Keys that begin so, or else are like that."""

    def collections(self, prefix: bytes) -> Sequence[bytes]:
        """Names of collections that begin so, or else are like that."""

    def fields(self, collection: str | None) -> Sequence[str]:
        """The fields that documents are known to have, as a filter names them."""

    def indexes(self, collection: str | None) -> Sequence[str]:
        """The names of indexes."""


class _NoSource:
    """A database of which nothing is known."""

    def keys(self, prefix: bytes, collection: str | None) -> Sequence[bytes]:
        return ()

    def collections(self, prefix: bytes) -> Sequence[bytes]:
        return ()

    def fields(self, collection: str | None) -> Sequence[str]:
        return ()

    def indexes(self, collection: str | None) -> Sequence[str]:
        return ()


NO_SOURCE: Final[Source] = _NoSource()


class LiveSource:
    """Asks a database, in a thread of its own: one question at a time, and it does not wait for ever."""

    def __init__(
        self,
        open_database: Callable[[], AnyDatabase],
        *,
        patience_s: float = PATIENCE_S,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_database` may take its time too; `steady` is a clock in seconds that never goes back."""
        self._open_database = open_database
        self._patience_s = patience_s
        self._steady = steady
        self._asked: tuple[threading.Thread, Future[Any]] | None = None
        self._known_fields: dict[str | None, tuple[float, Sequence[str]]] = {}

    def keys(self, prefix: bytes, collection: str | None) -> Sequence[bytes]:
        """Keys of a collection with this prefix, or else like it; none if the database is slow to answer."""
        return self._answer(self._keys, prefix, collection)

    def collections(self, prefix: bytes) -> Sequence[bytes]:
        """The names of collections that begin so, or else are like that."""
        return self._answer(self._names, prefix)

    def fields(self, collection: str | None) -> Sequence[str]:
        """The fields of a collection, looked for anew after a while."""
        known = self._known_fields.get(collection)
        if known is not None and self._steady() - known[0] < FIELDS_KEPT_S:
            return known[1]
        found = self._answer(lambda: fields_of(self._collection(collection)))
        if found:
            self._known_fields[collection] = (self._steady(), found)
        return found

    def indexes(self, collection: str | None) -> Sequence[str]:
        """The names of a collection's indexes."""
        return self._answer(lambda: [index.name for index in self._collection(collection).indexes()])

    def close(self) -> None:
        """Wait for the last answer, so that the database can be closed."""
        if self._asked is not None:
            self._asked[0].join()

    def _answer(self, ask: Callable[..., Sequence[T]], *words: object) -> Sequence[T]:
        if self._asked is not None and not self._asked[1].done():
            return ()
        future: Future[Sequence[T]] = Future()
        thread = threading.Thread(target=_run, args=(future, ask, *words), name="completion", daemon=True)
        self._asked = thread, future
        thread.start()
        try:
            return future.result(self._patience_s)
        except (TimeoutError, BlockDBError, OSError):
            return ()

    def _collection(self, name: str | None) -> AnyCollection:
        database = self._open_database()
        return database if name is None else database.collection(name)

    def _keys(self, prefix: bytes, name: str | None) -> Sequence[bytes]:
        collection = self._collection(name)
        found = list(collection.keys(prefix=prefix, limit=MOST_KEYS))
        if found:
            return found
        return list(map(to_bytes, _like(map(to_text, collection.keys(limit=LIKE_AMONG)), to_text(prefix))))

    def _names(self, prefix: bytes) -> Sequence[bytes]:
        return list(map(to_bytes, _like(self._open_database().collection_names(), to_text(prefix))))


def _run(future: Future[Any], ask: Callable[..., Any], *words: object) -> None:
    try:
        future.set_result(ask(*words))
    except BaseException as error:
        future.set_exception(error)


def _like(words: Iterable[str], typed: str) -> list[str]:
    return [word for _, word in matching(words, typed, str)[:MOST_KEYS]]
