"""The locks on the keys of one space, and the queue of those who wait for some of them."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.locking.claim import Claim


class SpaceLocks:
    """Who holds what of a space. Locks on single keys are entries of a dictionary, those on ranges stand in a list."""

    __slots__ = ("points", "ranges", "waiting")

    def __init__(self) -> None:
        self.points: dict[bytes, int | set[int]] = {}
        """The owner of a key that is locked exclusively; the owners of one that is shared."""
        self.ranges: list[Claim] = []
        self.waiting: list[Claim] = []
        """In the order in which they came."""

    def grant(self, claim: Claim) -> bytes | Claim | None:
        """Note that a claim is held. Returns what is to be dropped one day, unless it is held already."""
        if not claim.is_point:
            self.ranges.append(claim)
            return claim
        key, owner = claim.start, claim.owner
        holder = self.points.get(key)
        is_new = holder is None or (isinstance(holder, set) and owner not in holder)
        if claim.exclusive:
            self.points[key] = owner
        elif isinstance(holder, set):
            holder.add(owner)
        else:
            self.points[key] = {owner}
        return key if is_new else None

    def drop(self, owner: int, held: bytes | Claim) -> None:
        """Note that it is no longer held."""
        if isinstance(held, Claim):
            self.ranges.remove(held)
            return
        holder = self.points[held]
        if isinstance(holder, set) and len(holder) > 1:
            holder.remove(owner)
        else:
            del self.points[held]

    def has(self, claim: Claim) -> bool:
        """Whether the owner of a claim holds all of it already."""
        if any(held.owner == claim.owner and held.covers(claim) for held in self.ranges):
            return True
        holder = self.points.get(claim.start) if claim.is_point else None
        if isinstance(holder, set):
            return claim.owner in holder and not claim.exclusive
        return holder == claim.owner

    def holders(self, claim: Claim) -> set[int]:
        """Who holds what the claim conflicts with. O(ranges), and O(locked keys) for a claim on a range."""
        found = {held.owner for held in self.ranges if held.conflicts(claim)}
        if claim.is_point:
            self._add_holders(found, claim, claim.start)
        else:
            for key in self.points:
                if claim.start <= key and (claim.stop is None or key < claim.stop):
                    self._add_holders(found, claim, key)
        found.discard(claim.owner)
        return found

    def _add_holders(self, found: set[int], claim: Claim, key: bytes) -> None:
        holder = self.points.get(key)
        if isinstance(holder, int):
            found.add(holder)
        elif holder is not None and claim.exclusive:
            found |= holder

    def blockers(self, claim: Claim) -> set[int]:
        """Whom a claim has to wait for: who holds what it conflicts with, and who waits for that and came before.

        But not who waits for the claim's owner anyway: he loses nothing, and the two would wait for each other.
        """
        return self.holders(claim) | set(self._ahead(claim))

    def is_blocked(self, claim: Claim) -> bool:
        """Whether there is anybody to wait for. O(1) for a claim on one key that is held."""
        return bool(self.holders(claim)) or any(True for _ in self._ahead(claim))

    def _ahead(self, claim: Claim) -> Iterator[int]:
        for earlier in self.waiting:
            if earlier is claim:
                return
            if earlier.conflicts(claim) and claim.owner not in self.holders(earlier):
                yield earlier.owner
