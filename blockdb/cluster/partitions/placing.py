"""Which nodes hold which partition.

Rendezvous hashing (Thaler and Ravishankar, 1998) bounded by load (as in Mirrokni, Thorup and Zadimoghaddam, 2018): each
partition has an order of its own among the nodes, and takes the first ones that do not hold their share yet. So nodes
that know the same choose the same, and what is chosen moves little where nodes come and go. Then the loads are made
even: no node holds two copies more than another one. Pure: what nodes there are, and how much they hold, is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

__all__ = ["Move", "loads_of", "moves", "place"]

Placement = Mapping[str, Sequence[str]]
"""The holders of each partition."""


class Move(NamedTuple):
    """A copy of a partition that changes its node."""

    partition: str
    add: str
    """Who is to hold it; empty: there are more copies than there should be."""
    remove: str
    """Who is to hold it no longer; empty: there are fewer."""

    def __str__(self) -> str:
        if not self.remove:
            return f"{self.partition} to {self.add}"
        return f"{self.partition} from {self.remove}" + (f" to {self.add}" if self.add else "")


def place(
    partitions: Iterable[str],
    copies: int,
    loads: Mapping[str, int],
    shunned: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Holders for partitions that nobody holds yet: so many different nodes each, or all where there are fewer.

    `loads` says how many copies each node has; nodes in `shunned` (those that are dead just now) are taken only where
    there are not enough others. Raises ValueError where there is no node. O(partitions * nodes * log nodes).
    """
    if not loads:
        raise ValueError("there is no node that could hold a partition")
    names = sorted(partitions)
    held = dict(loads)
    wanted = min(copies, len(held))
    placed: dict[str, tuple[str, ...]] = {}
    sound = [node for node in held if node not in shunned] or list(held)
    share = -(-(sum(held[node] for node in sound) + wanted * len(names)) // len(sound))
    for name in names:
        order = sorted(held, key=lambda node: (node in shunned, max(held[node] + 1 - share, 0), -_weight(node, name)))
        placed[name] = tuple(sorted(order[:wanted]))
        for node in placed[name]:
            held[node] += 1
    evened = {name: set(nodes) for name, nodes in placed.items()}
    _even(evened, {node: held[node] for node in sound})
    return {name: tuple(sorted(nodes)) for name, nodes in evened.items()}


def moves(
    placement: Placement,
    copies: Mapping[str, int],
    nodes: Collection[str],
    *,
    evenly: bool = True,
    shunned: Collection[str] = (),
) -> list[Move]:
    """What has to move so that each partition has its copies on `nodes` alone, as evenly as can be; least of all.

    A copy moves where its node is none of `nodes` (it leaves, or has gone), or where that makes the loads even: by then
    no node has two copies more than another, unless `evenly` is False. Nodes in `shunned` (dead just now) keep what
    they have, and get more only where there is no other one. Nothing moves twice. Raises ValueError where there are no
    nodes.
    """
    if not nodes:
        raise ValueError("there is no node that could hold a partition")
    before = {name: frozenset(placement[name]) for name in sorted(placement)}
    after = {name: {node for node in held if node in nodes} for name, held in before.items()}
    loads = loads_of(after, nodes)
    for name, held in after.items():
        wanted = min(copies[name], len(nodes))
        while len(held) < wanted:
            _add(name, held, loads, shunned)
        while len(held) > wanted:
            most = max(held, key=lambda node: (loads[node], -_weight(node, name)))
            held.remove(most)
            loads[most] -= 1
    if evenly:
        _even(after, {node: load for node, load in loads.items() if node not in shunned})
    return [move for name, held in after.items() for move in _difference(name, before[name], held)]


def loads_of(placement: Mapping[str, Collection[str]], nodes: Iterable[str]) -> dict[str, int]:
    """How many copies each of the nodes has."""
    loads = dict.fromkeys(sorted(nodes), 0)
    for held in placement.values():
        for node in held:
            if node in loads:
                loads[node] += 1
    return loads


def _add(name: str, held: set[str], loads: dict[str, int], shunned: Collection[str]) -> None:
    free = [node for node in loads if node not in held]
    least = min(free, key=lambda node: (node in shunned, loads[node], -_weight(node, name)))
    held.add(least)
    loads[least] += 1


def _even(placement: dict[str, set[str]], loads: dict[str, int]) -> None:
    """Have copies change from the nodes with most to those with least, until no two differ by more than one.

    Of two nodes of which one has more, it has a partition that the other one lacks, so there is always one to move; but
    not all that counts as load need be in `placement`. Each step takes the loads nearer to each other, so it ends.
    """
    by_node: dict[str, set[str]] = {node: set() for node in loads}
    for name, held in placement.items():
        for node in held & loads.keys():
            by_node[node].add(name)
    while (step := _step(by_node, loads)) is not None:
        name, old, new = step
        placement[name].remove(old)
        placement[name].add(new)
        by_node[old].remove(name)
        by_node[new].add(name)
        loads[old] -= 1
        loads[new] += 1


def _step(by_node: Mapping[str, set[str]], loads: Mapping[str, int]) -> tuple[str, str, str] | None:
    """A copy that moves from a node to another one that has at least two fewer."""
    order = sorted(loads, key=lambda node: (loads[node], node))
    for old in reversed(order):
        for new in order:
            if loads[old] - loads[new] < 2:
                break
            if movable := by_node[old] - by_node[new]:
                return max(movable, key=lambda name: (_weight(new, name), name)), old, new
    return None


def _difference(name: str, before: frozenset[str], after: set[str]) -> list[Move]:
    added, removed = sorted(after - before), sorted(before - after)
    length = max(len(added), len(removed))
    padded = (names + [""] * (length - len(names)) for names in (added, removed))
    return [Move(name, add, remove) for add, remove in zip(*padded, strict=True)]


def _weight(node: str, partition: str) -> int:
    """How much a partition wants to be on a node."""
    return xxh3_64_intdigest(f"{node}\0{partition}".encode())
