"""Clients that put and get all the time through all nodes, and write down what they saw."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar

import blockdb
from blockdb import AnyDatabase
from blockdb.errors import BlockDBError, DuplicateKey, RequestTimeout, Unavailable
from tests.cluster.processes.history import ABSENT, REFUSED, STORED, UNKNOWN, VALUE, Op

T = TypeVar("T")
QUICK = {"timeout_s": 3.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0, "attempts": 1}
"""One try of one node: what is not answered is not known."""
PATIENT = {"timeout_s": 20.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0, "attempts": 50}
"""Goes on with another node, under the same name of the request."""


class Load:
    """Rivals, who put the same keys each through one node after the other, and loners, whose keys nobody else puts."""

    def __init__(
        self,
        urls: Sequence[str],
        seed: int,
        rivals: int = 4,
        loners: int = 2,
        bears: tuple[type[BlockDBError], ...] = (Unavailable, RequestTimeout),
    ) -> None:
        """`bears` are the errors that a rival may see; loners have other nodes to go on with."""
        self.ops: list[Op] = []
        self.surprises: list[str] = []
        """Errors that no client should see."""
        self.kinds: Counter[str] = Counter()
        self._bears = bears
        self._urls = urls
        self._stopping = threading.Event()
        self._at = 0
        self._lock = threading.Lock()
        works = [(self._rival, f"rival{number}") for number in range(rivals)]
        works += [(self._loner, f"loner{number}") for number in range(loners)]
        self._threads = [
            threading.Thread(target=work, args=(who, random.Random(f"{seed} {who}")), name=who, daemon=True)
            for work, who in works
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of them, with the operations that they are at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60.0)
            assert not thread.is_alive(), f"{thread.name} hangs"

    @property
    def stored(self) -> int:
        """How many puts were acknowledged."""
        return self.kinds[STORED]

    def more(self, stored: int, timeout_s: float = 30.0) -> None:
        """Wait until so many more puts were acknowledged."""
        wanted, last = self.stored + stored, time.monotonic() + timeout_s
        while self.stored < wanted:
            assert time.monotonic() < last, f"{self.stored} of {wanted} were stored: {self.kinds}"
            time.sleep(0.01)

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _rival(self, who: str, chance: random.Random) -> None:
        clients = [Client((url,), QUICK) for url in self._urls]
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
        client = Client(self._urls, PATIENT)
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

    def _note(self, op: Op) -> None:
        with self._lock:
            self.ops.append(op)
            self.kinds[op.what] += 1


class Client:
    """A client of some nodes, made when it is first used: then a node may be away, too."""

    def __init__(self, urls: Sequence[str], limits: dict[str, float]) -> None:
        self._urls = urls
        self._limits = limits
        self._database: AnyDatabase | None = None

    def call(self, work: Callable[[AnyDatabase], T]) -> T:
        if self._database is None:
            self._database = blockdb.connect(self._urls, token="", **self._limits)
        return work(self._database)

    def close(self) -> None:
        if self._database is not None:
            with suppress(BlockDBError):
                self._database.close()
