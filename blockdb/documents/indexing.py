"""Indexes as they are defined, and what of a document goes into one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final
from uuid import UUID

from blockdb.documents.paths import MISSING, Path, Value
from blockdb.errors import InvalidData
from blockdb.format.ordered import encode, encode_all

MAX_FIELDS: Final = 16
MAX_NAME_BYTES: Final = 128
MAX_DOCUMENT_ENTRIES: Final = 10_000
"""How many entries one document may have in one index."""

OWN_FIELDS: Final = frozenset({"_key", "_sequence", "_time"})
"""What every document has without being asked: the collection is in the order of it already."""

_NAME: Final = re.compile(r"[^\W][\w.-]*")

Keyer = Callable[[Mapping[str, Value]], list[bytes]]
"""What gives the values of a document for an index, as entries have them: one for each combination, none twice."""


@dataclass(frozen=True)
class IndexDefinition:
    """What an index is about. `id` is a UUID in hexadecimal, another one for each index that ever was."""

    id: str
    name: str
    fields: tuple[str, ...]
    """Paths into documents, the first of which rules the order."""
    unique: bool = False
    sparse: bool = False
    created_at: int = 0
    """Unix time in seconds."""

    @property
    def uuid(self) -> bytes:
        """The 16 bytes of the id, as they stand in every file of the index."""
        return UUID(self.id).bytes

    def check(self) -> None:
        """Raises InvalidData where this can be no index."""
        if not _NAME.fullmatch(self.name) or len(self.name.encode()) > MAX_NAME_BYTES:
            raise InvalidData(
                f"An index cannot be called {self.name!r}: a name is 1 to {MAX_NAME_BYTES} bytes of letters, digits, "
                "`_`, `-` and `.`, and does not begin with a sign."
            )
        if not 0 < len(self.fields) <= MAX_FIELDS:
            raise InvalidData(f"An index has 1 to {MAX_FIELDS} fields; this one has {len(self.fields)}.")
        paths = [Path.parse(field) for field in self.fields]
        for at, path in enumerate(paths):
            if path.parts[0] in OWN_FIELDS:
                raise InvalidData(f"Every document is found by `{path}` without an index; leave that field out.")
            if path in paths[:at]:
                raise InvalidData(f"The field `{path}` is named twice.")

    def keyer(self) -> Keyer:
        """The function that gives the values of a document for this index. Raises InvalidData from both.

        It takes about a microsecond for one field that goes through no array.
        """
        paths = [Path.parse(field) for field in self.fields]
        if any(path.plural for path in paths):
            return _plural(paths, self.sparse)
        if len(paths) == 1:
            return _single(paths[0], self.sparse)
        return _joined(paths, self.sparse)


def _single(path: Path, sparse: bool) -> Keyer:
    get = path.getter()

    def values(document: Mapping[str, Value]) -> list[bytes]:
        value = get(document)
        return [] if sparse and value is MISSING else [encode(value)]

    return values


def _joined(paths: list[Path], sparse: bool) -> Keyer:
    getters = [path.getter() for path in paths]

    def values(document: Mapping[str, Value]) -> list[bytes]:
        found = [get(document) for get in getters]
        return [] if sparse and MISSING in found else [encode_all(found)]

    return values


def _plural(paths: list[Path], sparse: bool) -> Keyer:
    finders = [path.finder() for path in paths]

    def values(document: Mapping[str, Value]) -> list[bytes]:
        found = [find(document) for find in finders]
        if sparse and not all(found):
            return []
        columns = [list(dict.fromkeys(map(encode, column or (MISSING,)))) for column in found]
        count = 1
        for column in columns:
            count *= len(column)
        if count > MAX_DOCUMENT_ENTRIES:
            raise InvalidData(
                f"The document has {count} combinations of values for {', '.join(map(str, paths))}, and an index takes "
                f"{MAX_DOCUMENT_ENTRIES} of a document. Index fewer arrays together."
            )
        return columns[0] if len(columns) == 1 else list(map(b"".join, product(*columns)))

    return values
