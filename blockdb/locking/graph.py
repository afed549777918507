"""The wait-for graph: who waits for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def cycle_through(start: int, waits_for: Callable[[int], Iterable[int]]) -> list[int] | None:
    """A way from `start` back to it, None where there is none. The same graph gives the same way. O(nodes + edges)."""
    path, seen = [start], {start}
    ways = [iter(sorted(waits_for(start)))]
    while ways:
        for node in ways[-1]:
            if node == start:
                return path
            if node not in seen:
                seen.add(node)
                path.append(node)
                ways.append(iter(sorted(waits_for(node))))
                break
        else:
            ways.pop()
            path.pop()
    return None


def victim_of(cycle: Iterable[int]) -> int:
    """Who gives way: the youngest, who has done least and whose number is therefore the largest."""
    return max(cycle)
