"""What tables and merging stand on, as the tests need it: a chain that is a dict, sources that are sorted lists."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence


class DictChain:
    """Records by their place."""

    def __init__(self, records: Mapping[int, tuple[bytes, bytes]]) -> None:
        self._records = records

    def item_at(self, place: int) -> tuple[bytes, bytes]:
        return self._records[place]

    def items_at(self, places: Sequence[int]) -> list[tuple[bytes, bytes]]:
        return [self._records[place] for place in places]


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
