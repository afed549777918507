"""What the tests of indexes share: documents, and what their indexes should have, computed without any index."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from blockdb.database.collection import Collection
from blockdb.documents.paths import MISSING, Path
from blockdb.format.ordered import encode, encode_all

FAR = 1 << 60
"""A horizon beyond everything."""


def entries_of(document: Mapping[str, Any], fields: Iterable[str], sparse: bool) -> set[bytes]:
    """The values of a document as entries have them, place aside."""
    columns = [Path.parse(field).values(document) for field in fields]
    if sparse and not all(columns):
        return set()
    return {encode_all(row) for row in product(*(column or [MISSING] for column in columns))}


def expected(documents: Mapping[bytes, Any], fields: Iterable[str], sparse: bool) -> list[tuple[bytes, bytes]]:
    """Values and keys, in the order in which an index has them: by value, then by commit."""
    rows = [
        (values, number, key)
        for number, (key, document) in enumerate(documents.items())
        for values in entries_of(document, list(fields), sparse)
    ]
    return [(values, key) for values, _, key in sorted(rows)]


def found(collection: Collection, name: str, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
    """Values and keys as an index has them."""
    [index] = [index for index in collection._ready_indexes() if index.definition.name == name]
    reader = collection._reader
    cut = None if index.definition.unique else -8
    return [
        (entry[:cut], reader.chain.item_at(place)[0])
        for entry, place in index.scan(b"", None, reader.end, reverse=reverse)
    ]


def check_index(collection: Collection, name: str, documents: Mapping[bytes, Any]) -> None:
    """An index has what the documents have, in both directions, and finds each value."""
    [index] = [index for index in collection._ready_indexes() if index.definition.name == name]
    definition = index.definition
    wanted = expected(documents, definition.fields, definition.sparse)
    assert found(collection, name) == wanted
    assert found(collection, name, reverse=True) == wanted[::-1]
    assert index.count(b"", None) == len(wanted)
    item_at = collection._reader.chain.item_at
    for values in {values for values, _ in wanted} | {encode("nowhere") * len(definition.fields)}:
        keys = [item_at(place)[0] for place in index.places(values, FAR)]
        assert keys == [key for other, key in wanted if other == values]
