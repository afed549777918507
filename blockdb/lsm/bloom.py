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


class Filter:
    """A set of key hashes that may say yes wrongly, at most once in a hundred, and no never wrongly."""

    def __init__(self, bloom: Bloom) -> None:
        self._bloom = bloom
        self.may_contain = bloom.__contains__
        """Whether a key with this hash may be in the set. O(1)."""

    @classmethod
    def of(cls, hashes: Iterable[int], count: int) -> Filter:
        """The filter of `count` hashes: about ten bits each. O(count)."""
        bloom = Bloom(max(count, 1), FALSE_POSITIVES, same_number)
        bloom.update(hashes)
        return cls(bloom)

    @classmethod
    def load(cls, data: bytes) -> Filter:
        """The filter that `save` wrote; whoever loads it has checked that these are its bytes."""
        return cls(Bloom.load_bytes(data, same_number))

    def save(self) -> bytes:
        """The bytes to keep."""
        return self._bloom.save_bytes()
