"""Users that run transactions side by side, and whether what they saw can have happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Event, Lock
from time import monotonic
from typing import Any

from blockdb.errors import (
    BlockDBError,
    Deadlock,
    DuplicateKey,
    TransactionTimeout,
)
from tests.cluster.partitions.checking import Done, check

NAME = "users"
REFUSED = (Deadlock, DuplicateKey, TransactionTimeout)
"""Whoever is told one of these knows that nothing was stored."""


class Usage:
    """A history of transactions over keys of its own in the collection `users`."""

    def __init__(self, seed: int, keys: int = 10) -> None:
        self.prefix = b"h%d " % seed
        self.history: list[Done] = []
        self._chance = Random(seed)
        self._keys = [self.prefix + b"%d" % number for number in range(keys)]
        self._lock = Lock()
        self._over = Event()

    def run(self, databases: Sequence[Any], users: int = 4, each: int = 8) -> None:
        """Have users do something each, at any of the databases, and wait for them."""
        for doing in self.begin(databases, users, each)[1]:
            doing.result(120)

    def begin(
        self, databases: Sequence[Any], users: int = 4, each: int = 1_000_000
    ) -> tuple[Callable[[], None], list[Future[None]]]:
        """The same without waiting; what ends it sooner, and what is done then."""
        pool = ThreadPoolExecutor(users)
        doing = [pool.submit(self._use, databases, self._chance.randrange(1 << 30), each) for _ in range(users)]
        pool.shutdown(wait=False)
        return self._over.set, doing

    def _use(self, databases: Sequence[Any], seed: int, many: int) -> None:
        chance = Random(seed)
        for number in range(many):
            if self._over.is_set():
                return
            done = Done(b"%d-%d" % (seed, number), monotonic())
            with self._lock:
                self.history.append(done)
            try:
                self._transact(chance.choice(databases), done, chance)
            except REFUSED:
                done.told(monotonic(), is_done=False)
            except (BlockDBError, OSError):
                self._over.wait(0.05)  # nobody can tell
            else:
                done.told(monotonic(), is_done=True)

    def _transact(self, database: Any, done: Done, chance: Random) -> None:
        with database.transaction() as transaction:
            for key in chance.sample(self._keys, chance.choice([0, 1, 2, 4])):
                done.reads["", key] = transaction.get(key, collection=NAME)
            if chance.random() < 0.3:
                found = dict(transaction.scan(prefix=self.prefix, collection=NAME))
                done.reads |= {("", key): found.get(key) for key in self._keys}
            for key in chance.sample(self._keys, chance.choice([0, 1, 2, 3])):
                done.writes.add(("", key))
                transaction.put(key, done.name, collection=NAME)

    def check(self, database: Any) -> int:
        """Raises AssertionError unless all of it can have happened; how many transactions were told that they had."""
        final = dict(database.collection(NAME).scan(prefix=self.prefix))
        check(self.history, {("", key): value for key, value in final.items()})
        return sum(done.is_done is True for done in self.history)

    def settle(self, database: Any) -> None:
        """Write each key: that waits until nothing that would be in the way is in doubt."""
        for key in self._keys:
            done = Done(b"last " + key, monotonic(), writes={("", key)})
            self.history.append(done)
            with suppress(DuplicateKey):
                database.collection(NAME).put(key, done.name)
