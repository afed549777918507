"""Bloom filters over key hashes: a table is asked for a key only where its filter does not rule the key out."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index as same_number
from typing import Final

from rbloom import Bloom
from xxhash import xxh3_64_intdigest

FALSE_POSITIVES: Final = 0.01

key_hash = xxh3_64_intdigest
"""The 64-bit hash of a key (XXH3): the same in every process and version."""


Filter = Bloom
"""A set of key hashes: `hash in filter` says yes wrongly at most once in a hundred times, and no never wrongly."""


def filter_of(hashes: Iterable[int], count: int) -> Filter:
    """The filter of `count` hashes: about ten bits each. O(count)."""
    bloom = Bloom(max(count, 1), FALSE_POSITIVES, same_number)
    bloom.update(hashes)
    return bloom


def save(filter_: Filter) -> bytes:
    """The bytes to keep."""
    return bytes(filter_.save_bytes())


def load(data: bytes) -> Filter:
    """The filter that `save` wrote; whoever loads it has checked that these are its bytes."""
    return Bloom.load_bytes(data, same_number)
