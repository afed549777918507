"""Collections that are spread over databases of this process, as the default collections of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import blockdb
from blockdb.cluster.partitions.changing import CommitWhole
from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.interface import AnyCollection

ID = "col_00000000-0000-0000-0000-000000000001"


def one_by_one(parts: Callable[[], Sequence[AnyCollection]]) -> CommitWhole:
    """Batches in several partitions, stored without any care."""

    def commit(written: Sequence[tuple[int, Sequence[tuple[bytes, bytes]]]]) -> list[Sequence[int]]:
        for number, items in written:
            for key, _ in items:
                if parts()[number].exists(key):
                    raise blockdb.DuplicateKey(key)
        return [parts()[number].put_many(items) for number, items in written]

    return commit


def over(parts: Sequence[AnyCollection], name: str = "users") -> PartitionedCollection:
    """A collection over these."""
    return PartitionedCollection(ID, name, lambda: parts, one_by_one(lambda: parts))


@contextmanager
def spread(path: Path, count: int, **settings: Any) -> Iterator[PartitionedCollection]:
    """A collection over so many databases."""
    with ExitStack() as stack:
        yield over([stack.enter_context(blockdb.open(path / str(n), **settings)) for n in range(count)])
