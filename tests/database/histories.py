"""Histories of concurrent transactions, and whether they could have happened one after the other.

Keys are written once, so each has two versions: not there, and there. Who saw it came after its writer, who did not see
it came before: by point, in a range, or by being refused as a duplicate. A history is serializable where these edges,
with those of time (what was over before another began), have no cycle. That is exact, not a heuristic.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Barrier, Thread

from blockdb.database.database import Database
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import Deadlock, DuplicateKey, Unavailable

KEYS = 5
Place = tuple[str, bytes]
"""A key of a collection."""


@dataclass
class Event:
    """A transaction that was committed, and what it saw and wrote; tests number it as they like."""

    number: int
    began: int
    ended: int = 0
    saw: set[Place] = field(default_factory=set)
    missed: set[Place] = field(default_factory=set)
    wrote: set[Place] = field(default_factory=set)


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


Databases = Database | tuple[Database, ...]
"""The same database, perhaps through several nodes of a cluster."""


class History:
    """What some threads did with a few keys of two collections, all of them new. Threads take turns with the nodes."""

    def __init__(
        self, db: Databases, names: tuple[str, str], prefix: bytes, seed: int, threads: int, each: int
    ) -> None:
        self.dbs = db if isinstance(db, tuple) else (db,)
        self.names = names
        self.prefix = prefix
        self.seed = seed
        self.events: list[Event] = []
        self.uncertain: list[Event] = []
        """Of whom nobody was told what became of them."""
        self.deadlocks = 0
        self.failures: list[BaseException] = []
        self._clock = count(1)
        self._numbers = count(1)
        self._start = Barrier(threads)
        self._each = each
        workers = [Thread(target=self._work, args=(number,)) for number in range(threads)]
        with switching_often():
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

    def _work(self, number: int) -> None:
        chance, db = Random(f"{self.seed}-{number}"), self.dbs[number % len(self.dbs)]
        try:
            self._start.wait(20)
            for _ in range(self._each):
                if chance.random() < 0.25:
                    self._write_plainly(db, chance)
                else:
                    self._transact(db, chance)
        except BaseException as error:
            self.failures.append(error)

    def _key(self, chance: Random) -> bytes:
        return self.prefix + b"%d" % chance.randrange(KEYS)

    def _write_plainly(self, db: Database, chance: Random) -> None:
        event = Event(next(self._numbers), next(self._clock))
        name, key = chance.choice(self.names), self._key(chance)
        try:
            db.collection(name).put(key, b"%d" % event.number)
            event.wrote.add((name, key))
        except DuplicateKey:
            event.saw.add((name, key))
        except Deadlock:
            return
        except Unavailable:
            event.wrote.add((name, key))
            self.uncertain.append(event)
            return
        event.ended = next(self._clock)
        self.events.append(event)

    def _transact(self, db: Database, chance: Random) -> None:
        event = Event(next(self._numbers), next(self._clock))
        steps = [chance.choice((self._get, self._scan, self._put, self._put)) for _ in range(chance.randint(1, 4))]
        try:
            with db.transaction(timeout_s=20) as transaction:
                for step in steps:
                    step(transaction, event, chance)
                if chance.random() < 0.1:
                    transaction.abort()
                    return
        except Deadlock:
            self.deadlocks += 1
            return
        except Unavailable:
            self.uncertain.append(event)
            return
        event.ended = next(self._clock)
        self.events.append(event)

    def _get(self, transaction: Transaction, event: Event, chance: Random) -> None:
        name, key = chance.choice(self.names), self._key(chance)
        if chance.random() < 0.5:
            found = transaction.get(key, collection=name) is not None
        else:
            found = transaction.exists(key, collection=name)
        self._note(event, name, key, found)

    def _scan(self, transaction: Transaction, event: Event, chance: Random) -> None:
        name = chance.choice(self.names)
        first, last = sorted(chance.sample(range(KEYS + 1), 2))
        keys = [self.prefix + b"%d" % number for number in range(first, last)]
        found = dict(transaction.scan(start=keys[0], end=self.prefix + b"%d" % last, collection=name))
        for key in keys:
            self._note(event, name, key, key in found)

    def _put(self, transaction: Transaction, event: Event, chance: Random) -> None:
        name, key = chance.choice(self.names), self._key(chance)
        try:
            transaction.put(key, b"%d" % event.number, collection=name)
            event.missed.add((name, key))
            event.wrote.add((name, key))
        except DuplicateKey:
            self._note(event, name, key, found=True)

    def _note(self, event: Event, name: str, key: bytes, found: bool) -> None:
        place = (name, key)
        if place not in event.wrote:
            (event.saw if found else event.missed).add(place)
        elif not found:
            raise AssertionError(f"a transaction does not see its own {place}")


def edges_of(events: list[Event]) -> dict[int, set[int]]:
    """Who must have happened before whom."""
    after: dict[int, set[int]] = {event.number: set() for event in events}
    writers = {place: event.number for event in events for place in event.wrote}
    for event in events:
        for place in event.saw:
            if place in writers and writers[place] != event.number:
                after[writers[place]].add(event.number)
        for place in event.missed:
            if place in writers and writers[place] != event.number:
                after[event.number].add(writers[place])
        after[event.number] |= {other.number for other in events if event.ended < other.began}
    return after


def cycle_in(after: dict[int, set[int]]) -> list[int] | None:
    """Some that must each have happened before the next, and the last before the first."""
    done: set[int] = set()
    for start in after:
        path: list[int] = []
        ways = [iter([start])]
        while ways:
            node = next(ways[-1], None)
            if node is None:
                ways.pop()
                if path:
                    done.add(path.pop())
            elif node in path:
                return path[path.index(node) :]
            elif node not in done:
                path.append(node)
                ways.append(iter(after[node]))
    return None


def problem_of(history: History) -> str | None:
    """Why a history is not one of transactions, or None."""
    if history.failures:
        return repr(history.failures[0])
    for event in history.uncertain:
        values = {history.dbs[0].collection(name).get(key) for name, key in event.wrote}
        if b"%d" % event.number in values:
            event.ended = sys.maxsize
            history.events.append(event)
    written = [place for event in history.events for place in event.wrote]
    if len(set(written)) < len(written):
        return "a key was written twice"
    lost = {place for event in history.events for place in event.saw} - set(written)
    if lost:
        return f"somebody saw {lost}, which nobody committed"
    for name, key in written:
        if any(db.collection(name).get(key) is None for db in history.dbs):
            return f"{name} {key!r} was committed and is not there"
    cycle = cycle_in(edges_of(history.events))
    return None if cycle is None else f"{cycle} happened before each other: {history.events}"


def first_problem(
    db: Databases, names: tuple[str, str], histories: int, seed: int = 0, threads: int = 3, each: int = 4
) -> str | None:
    """What is wrong with the first of some histories that is not serializable; None where all are."""
    for number in range(histories):
        history = History(db, names, b"%d-%d/" % (seed, number), seed * 1_000_003 + number, threads, each)
        problem = problem_of(history)
        if problem is not None:
            return f"history {number}: {problem}"
    return None
