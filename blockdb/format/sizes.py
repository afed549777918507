"""Sizes of what stands one behind the other: where all are the same, most of the work on them falls away."""

from __future__ import annotations


def are_same(sizes: list[int]) -> bool:
    """Whether there are any, and all are the same. O(n), and quicker than to collect those that differ."""
    return bool(sizes) and sizes.count(sizes[0]) == len(sizes)
