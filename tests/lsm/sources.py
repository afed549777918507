"""Sources of merging as the tests need them: plain sorted lists."""

from bisect import bisect_left
from collections.abc import Iterable


class ListSource:
    """Sorted keys, each with its name."""

    def __init__(self, keys: Iterable[bytes], name: str = "") -> None:
        self.keys = sorted(keys)
        self.name = name

    def __len__(self) -> int:
        return len(self.keys)

    def position(self, key: bytes) -> int:
        return bisect_left(self.keys, key)

    def window(self, first: int, stop: int) -> list[tuple[bytes, str]]:
        return [(key, self.name) for key in self.keys[first:stop]]
