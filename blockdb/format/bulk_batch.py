"""Batches laid out with numpy: in half the time of one by one where records have the same size.

Nobody imports this before much was written in batches: see `bulk`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from xxhash import xxh3_64_digest

from blockdb.format.frame import CHECK_BYTES
from blockdb.format.sizes import are_same

_CHECKS_IN_DIGEST: Final = 2
"""A check is the first of so many parts of its size that a digest has."""


def frames(bodies: Sequence[bytes], size: int) -> bytes:
    """A record frame around each of `bodies`, all of which have `size` bytes. O(bytes)."""
    rows = np.empty(len(bodies), _row(size))
    rows["check"] = np.frombuffer(b"".join(map(xxh3_64_digest, bodies)), f"V{CHECK_BYTES}")[::_CHECKS_IN_DIGEST]
    rows["body"] = np.frombuffer(b"".join(bodies), f"V{size}")
    return rows.tobytes()


def places(place: int, sizes: list[int]) -> array[int]:
    """Where records are whose frames follow each other from `place` on, and whose bodies have these sizes. O(n)."""
    found, count = array("Q"), len(sizes)
    if are_same(sizes):
        step = sizes[0] + CHECK_BYTES
        found.frombytes((np.arange(count, dtype=np.uint64) * np.uint64(step) + np.uint64(place)).tobytes())
    else:
        steps = np.fromiter(sizes, np.uint64, count) + np.uint64(CHECK_BYTES)
        found.frombytes((np.cumsum(steps) - steps + np.uint64(place)).tobytes())
    return found


@lru_cache(64)
def _row(size: int) -> np.dtype[Any]:
    return np.dtype([("check", f"V{CHECK_BYTES}"), ("body", f"V{size}")])
