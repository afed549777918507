"""The lock table: strict two-phase locks on keys and ranges, in the order in which they were asked for.

Who asks either has the lock or waits, behind everybody who holds or waits for what conflicts with it; so nobody
starves. Where the one who asks would wait for himself in the end, the youngest of that cycle gives way at once: all of
his locks are released (K. P. Eswaran, J. N. Gray, R. A. Lorie, I. L. Traiger, "The notions of consistency and predicate
locks in a database system", 1976). The table has no threads: it says who is to be woken, and its user does that.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, NamedTuple

from blockdb.locking.claim import Claim, Space, behind
from blockdb.locking.graph import cycle_through, victim_of
from blockdb.locking.space import SpaceLocks


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    is_granted: bool = True
    """If not, the owner waits, or is among the victims."""
    victims: tuple[int, ...] = ()
    """Whose locks were released to break deadlocks, in that order."""
    woken: tuple[int, ...] = ()
    """Who waited and has now what he waited for."""


GRANTED: Final = Outcome()


class Waiting(NamedTuple):
    """Somebody who waits: for which lock, and for whom."""

    space: Space
    claim: Claim
    blockers: tuple[int, ...]


@dataclass(frozen=True)
class Snapshot:
    """Who holds how many locks, and who waits."""

    held: dict[int, int]
    waiting: dict[int, Waiting]


class LockTable:
    """Who has locked what. Owners are numbers, a larger one being younger; each waits for one lock at a time.

    Not safe for threads. A lock on a key takes O(1) where nobody waits and no range is locked.
    """

    def __init__(self) -> None:
        self._spaces: dict[Space, SpaceLocks] = {}
        self._held: defaultdict[int, list[tuple[SpaceLocks, bytes | Claim]]] = defaultdict(list)
        self._waits: dict[int, tuple[Space, Claim]] = {}

    def lock_key(self, owner: int, space: Space, key: bytes, exclusive: bool) -> Outcome:
        """Ask for a key. Raises ValueError for an owner who waits."""
        locks = self._spaces.get(space)
        if locks is None:
            locks = self._spaces[space] = SpaceLocks()
        if not locks.ranges and not locks.waiting:
            holder = locks.points.get(key)
            if holder is None:
                locks.points[key] = owner if exclusive else {owner}
                self._held[owner].append((locks, key))
                return GRANTED
            if holder == owner:
                return GRANTED
        return self._ask(space, locks, Claim(owner, key, behind(key), exclusive))

    def lock_range(self, owner: int, space: Space, start: bytes, stop: bytes | None, exclusive: bool) -> Outcome:
        """Ask for the keys from `start` on, before `stop` (None: all of them), there or not. O(locks of the space).

        Raises ValueError for an owner who waits.
        """
        if stop is not None and start >= stop:
            return GRANTED
        return self._ask(space, self._spaces.setdefault(space, SpaceLocks()), Claim(owner, start, stop, exclusive))

    def is_locked(self, space: Space, key: bytes) -> bool:
        """Whether anybody holds a lock on a key."""
        locks = self._spaces.get(space)
        return locks is not None and (
            key in locks.points or any(held.overlaps(key, behind(key)) for held in locks.ranges)
        )

    def has_locks(self, space: Space) -> bool:
        """Whether anybody holds a lock of a space."""
        locks = self._spaces.get(space)
        return locks is not None and bool(locks.points or locks.ranges)

    def release(self, owner: int) -> tuple[int, ...]:
        """Give up everything that an owner holds or waits for. Returns who has now what he waited for."""
        changed = dict.fromkeys(self._stop_waiting(owner))
        for locks, held in self._held.pop(owner, ()):
            locks.drop(owner, held)
            if locks.waiting:
                changed[locks] = None
        return tuple(woken for locks in changed for woken in self._wake(locks))

    def withdraw(self, owner: int) -> tuple[int, ...]:
        """Give up what an owner waits for, not what he holds. Returns who has now what he waited for."""
        return tuple(woken for locks in self._stop_waiting(owner) for woken in self._wake(locks))

    def waits(self, owner: int) -> bool:
        """Whether an owner waits."""
        return owner in self._waits

    def waits_for(self, owner: int) -> set[int]:
        """Whom an owner waits for; nobody, where he does not wait."""
        if owner not in self._waits:
            return set()
        space, claim = self._waits[owner]
        return self._spaces[space].blockers(claim)

    def held_by(self, owner: int) -> int:
        """How many locks an owner holds."""
        return len(self._held.get(owner, ()))

    def snapshot(self) -> Snapshot:
        """Who holds how many locks, and who waits."""
        waiting = {
            owner: Waiting(space, claim, tuple(sorted(self.waits_for(owner))))
            for owner, (space, claim) in self._waits.items()
        }
        return Snapshot({owner: len(held) for owner, held in self._held.items()}, waiting)

    def _ask(self, space: Space, locks: SpaceLocks, claim: Claim) -> Outcome:
        owner = claim.owner
        if owner in self._waits:
            raise ValueError(f"{owner} waits for a lock already")
        if locks.has(claim):
            return GRANTED
        if not locks.is_blocked(claim):
            self._grant(locks, claim)
            return GRANTED
        locks.waiting.append(claim)
        self._waits[owner] = space, claim
        return self._break_cycles(owner)

    def _break_cycles(self, owner: int) -> Outcome:
        """Nobody waits for an owner who holds nothing: he has come last."""
        victims: list[int] = []
        woken: list[int] = []
        while owner in self._held and (cycle := cycle_through(owner, self.waits_for)) is not None:
            victims.append(victim_of(cycle))
            woken += self.release(victims[-1])
        is_granted = owner in woken
        others = tuple(other for other in woken if other != owner)
        return Outcome(is_granted, tuple(victims), others)

    def _grant(self, locks: SpaceLocks, claim: Claim) -> None:
        held = locks.grant(claim)
        if held is not None:
            self._held[claim.owner].append((locks, held))

    def _stop_waiting(self, owner: int) -> tuple[SpaceLocks, ...]:
        space, claim = self._waits.pop(owner, (None, None))
        if claim is None:
            return ()
        locks = self._spaces[space]
        locks.waiting.remove(claim)
        return (locks,)

    def _wake(self, locks: SpaceLocks) -> list[int]:
        """Grant what can be granted now, to those first who came first."""
        woken = []
        for claim in list(locks.waiting):
            if not locks.is_blocked(claim):
                locks.waiting.remove(claim)
                del self._waits[claim.owner]
                self._grant(locks, claim)
                woken.append(claim.owner)
        return woken
