"""Transactions of a node of a cluster: local locks while they last, and a commit that is one command.

Locks keep the transactions of a node, and its plain writes, out of each other's way. Other nodes know nothing of them:
so the command has, beside what was written, what was read, and whoever applies it looks whether that is so still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from blockdb.cluster.database.context import already_confirmed
from blockdb.cluster.machine.commands import Commit, CommitPart, CommitRead
from blockdb.database.collection import Collection
from blockdb.database.transactions.part import Part
from blockdb.documents.document import Document

__all__ = ["ConfirmedReads", "commit_of"]

_uuid = attrgetter("gate.uuid")


def commit_of(parts: Sequence[Part]) -> Commit:
    """The command that stores what was written in all parts. Raises InvalidData, ValidationError."""
    written, read = [], []
    for part in sorted(parts, key=_uuid):
        if part.items:
            prepared = part.prepared()
            written.append(CommitPart(part.gate.uuid, tuple(zip(prepared.keys, prepared.values, strict=True))))
        if part.reads is not None:
            read += [CommitRead(*one) for one in part.reads.of(part.gate.uuid)]
    return Commit(tuple(written), tuple(read))


class ConfirmedReads:
    """How a transaction reads a collection: as this node has it. Whether that was new enough is seen by the commit."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    @property
    def name(self) -> str:
        """Its name."""
        return self._collection.name

    def get(self, key: bytes) -> bytes | None:
        """See `Collection.get`."""
        with already_confirmed():
            return self._collection.get(key)

    def exists(self, key: bytes) -> bool:
        """See `Collection.exists`."""
        with already_confirmed():
            return self._collection.exists(key)

    def scan(
        self,
        *,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """See `Collection.scan`."""
        with already_confirmed():
            return self._collection.scan(start=start, end=end, limit=limit, offset=offset, reverse=reverse)

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        fields: str | Iterable[str] | None = None,
    ) -> Iterator[Document]:
        """See `Collection.find`."""
        with already_confirmed():
            return self._collection.find(where, parameters, order=order, limit=limit, offset=offset, fields=fields)
