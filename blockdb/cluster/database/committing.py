"""Transactions of a node: their commit is one command, with what they wrote and what they read."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from blockdb.cluster.machine.commands import Commit, CommitPart
from blockdb.database.transactions.part import Part

__all__ = ["commit_of"]

_uuid = attrgetter("gate.uuid")


def commit_of(parts: Sequence[Part]) -> Commit:
    """The command that stores what was written in all parts. Raises InvalidData, ValidationError."""
    written = []
    for part in sorted(parts, key=_uuid):
        if part.items:
            prepared = part.prepared()
            written.append(CommitPart(part.gate.uuid, tuple(zip(prepared.keys, prepared.values, strict=True))))
    return Commit(tuple(written))
