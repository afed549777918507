"""A lock table without any cleverness: claims are sets of keys, and everything is compared with everything."""

from collections.abc import Iterator
from itertools import chain, permutations
from typing import NamedTuple

UNIVERSE = [b"a", b"aa", b"b", b"ba", b"c"]


class Ask(NamedTuple):
    """Keys of a space, for somebody."""

    owner: int
    space: str
    keys: frozenset[bytes]
    exclusive: bool

    def conflicts(self, other: "Ask") -> bool:
        return (
            self.owner != other.owner
            and self.space == other.space
            and bool(self.keys & other.keys)
            and (self.exclusive or other.exclusive)
        )


def keys_between(start: bytes, stop: bytes | None) -> frozenset[bytes]:
    return frozenset(key for key in UNIVERSE if start <= key and (stop is None or key < stop))


class NaiveTable:
    """What has been granted, and who waits, oldest first."""

    def __init__(self) -> None:
        self.granted: list[Ask] = []
        self.waiting: list[Ask] = []

    def blockers(self, ask: Ask) -> set[int]:
        found = {other.owner for other in self.granted if other.conflicts(ask)}
        earlier = self.waiting[: self.waiting.index(ask)] if ask in self.waiting else self.waiting
        mine = [other for other in self.granted if other.owner == ask.owner]
        found |= {
            other.owner for other in earlier if other.conflicts(ask) and not any(one.conflicts(other) for one in mine)
        }
        return found

    def ask(self, ask: Ask) -> bool:
        """Whether it is granted; it waits otherwise."""
        mine = [other for other in self.granted if other.owner == ask.owner and other.space == ask.space]
        is_covered = any(other.keys >= ask.keys and other.exclusive >= ask.exclusive for other in mine)
        if is_covered or not self.blockers(ask):
            self.granted.append(ask)
            return True
        self.waiting.append(ask)
        return False

    def release(self, owner: int) -> set[int]:
        self.granted = [ask for ask in self.granted if ask.owner != owner]
        return self.withdraw(owner)

    def withdraw(self, owner: int) -> set[int]:
        self.waiting = [ask for ask in self.waiting if ask.owner != owner]
        woken = set()
        for ask in list(self.waiting):
            if not self.blockers(ask):
                self.waiting.remove(ask)
                self.granted.append(ask)
                woken.add(ask.owner)
        return woken

    def edges(self) -> dict[int, set[int]]:
        return {ask.owner: self.blockers(ask) for ask in self.waiting}

    def cycles_through(self, owner: int) -> Iterator[tuple[int, ...]]:
        """Every way from somebody back to him: all orders of all others are tried."""
        edges = self.edges()
        others = [other for other in edges if other != owner]
        for way in chain.from_iterable(permutations(others, length) for length in range(len(others) + 1)):
            path = (owner, *way)
            if all(after in edges.get(before, ()) for before, after in zip(path, (*way, owner), strict=True)):
                yield path
