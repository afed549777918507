"""Clients that put and get all the time through all nodes, and write down what they saw."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import blockdb
from blockdb import AnyCollection, AnyDatabase
from blockdb.errors import BlockDBError, DuplicateKey, RequestTimeout, Unavailable
from tests.cluster.processes.clients import Clients
from tests.cluster.processes.history import ABSENT, REFUSED, STORED, UNKNOWN, VALUE, Op

T = TypeVar("T")
QUICK = {"timeout_s": 3.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0, "attempts": 1}
"""One try of one node: what is not answered is not known."""
PATIENT = {"timeout_s": 20.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0, "attempts": 50}
"""Goes on with another node, under the same name of the request."""


class Load(Clients):
    """Rivals, who put the same keys each through one node after the other, and loners, whose keys nobody else puts."""

    def __init__(
        self,
        urls: Sequence[str],
        seed: int,
        rivals: int = 4,
        loners: int = 2,
        bears: tuple[type[BlockDBError], ...] = (Unavailable, RequestTimeout),
        collection: str = "default",
        **options: Any,
    ) -> None:
        """`bears` are the errors that a rival may see; loners have other nodes to go on with.

        `options` are those of `blockdb.connect`.
        """
        works: dict[str, Callable[[str, random.Random], None]] = {f"rival{at}": self._rival for at in range(rivals)}
        super().__init__(seed, works | {f"loner{at}": self._loner for at in range(loners)})
        self._collection = collection
        self.surprises: list[str] = []
        """Errors that no client should see."""
        self._bears = bears
        self._urls = urls
        self._options = options
        self._at = 0

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _rival(self, who: str, chance: random.Random) -> None:
        clients = [Client((url,), {**QUICK, **self._options}, self._collection) for url in self._urls]
        for number in count():
            if self._stopping.is_set():
                break
            client = chance.choice(clients)
            if chance.random() < 0.5:
                self._put(client, who, b"common:%06d" % (self._next() // 3), b"%s:%d" % (who.encode(), number))
            else:
                self._get(client, who, b"common:%06d" % max(0, self._at // 3 - chance.randrange(3)))
        for client in clients:
            client.close()

    def _next(self) -> int:
        with self._lock:
            self._at += 1
            return self._at

    def _loner(self, who: str, _: random.Random) -> None:
        client = Client(self._urls, {**PATIENT, **self._options}, self._collection)
        for number in count():
            if self._stopping.is_set():
                break
            key = b"%s:%06d" % (who.encode(), number)
            what = self._put(client, who, key, b"%d" % number)
            if what == REFUSED:
                self.surprises.append(f"{who} was refused its own {key!r}")
            self._get(client, who, key)
        client.close()

    def _put(self, client: Client, who: str, key: bytes, value: bytes) -> str:
        number = None
        began = time.monotonic()
        try:
            number = client.call(lambda database: database.put(key, value))
            what = STORED
        except DuplicateKey:
            what = REFUSED
        except BlockDBError as error:
            what = self._unknown(error, who)
        self._note(Op(key, what, began, time.monotonic(), value, number, who))
        return what

    def _get(self, client: Client, who: str, key: bytes) -> None:
        began = time.monotonic()
        try:
            found = client.call(lambda database: database.get(key))
        except BlockDBError as error:
            self._unknown(error, who)
            return
        what = ABSENT if found is None else VALUE
        self._note(Op(key, what, began, time.monotonic(), found or b"", None, who))

    def _unknown(self, error: BlockDBError, who: str) -> str:
        if not isinstance(error, self._bears if who.startswith("rival") else (Unavailable, RequestTimeout)):
            self.surprises.append(f"{who}: {error!r}")
        self.kinds[type(error).__name__] += 1
        return UNKNOWN


class Client:
    """A client of some nodes, made when it is first used: then a node may be away, too."""

    def __init__(self, urls: Sequence[str], options: dict[str, Any], collection: str = "default") -> None:
        self._urls = urls
        self._options = {"token": "", **options}
        self._name = collection
        self._database: AnyDatabase | None = None
        self._collection: AnyCollection | None = None

    def call(self, work: Callable[[AnyCollection], T]) -> T:
        if self._database is None:
            self._database = blockdb.connect(self._urls, **self._options)
        if self._collection is None:
            self._collection = self._database.collection(self._name)
        return work(self._collection)

    def close(self) -> None:
        if self._database is not None:
            with suppress(BlockDBError):
                self._database.close()
