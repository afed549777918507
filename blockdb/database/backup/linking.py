"""Whether backups belong together: one that is whole, then each one that goes on from the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from blockdb.errors import InvalidData
from blockdb.format.backup_header import FULL, INCREMENT, Header

Named = tuple[str, Header]
"""What a backup is called here, and its header."""


def check_linked(found: Sequence[Named]) -> None:
    """See that backups follow each other. Raises InvalidData, which names what is missing or in the wrong place."""
    name, first = found[0]
    for other, header in found[1:]:
        if header.database != first.database:
            raise InvalidData(f"{other} is a backup of another database than {name}. Nothing was restored.")
    if first.kind == INCREMENT:
        raise InvalidData(f"{name} goes on from another backup, {_where(first, found)}. Nothing was restored.")
    for (before, older), (after, newer) in pairwise(found):
        if newer.kind == FULL:
            raise InvalidData(
                f"{after} is a whole backup and goes on from none: restore it alone, or with those that go on from it. "
                "Nothing was restored."
            )
        if newer.parent != older.id:
            raise InvalidData(
                f"{after} does not go on from {before}, but from another backup, {_where(newer, found)}. "
                "Nothing was restored."
            )
        if newer.parent_digest != older.digest():
            raise InvalidData(
                f"{after} goes on from the backup {older.id}, and {before} says that it is that one, and is another. "
                "Nothing was restored."
            )


def in_order(found: Sequence[Named]) -> list[Named]:
    """Backups in the order in which they go on from each other. Raises InvalidData where there is none."""
    if not found:
        raise InvalidData("There is no backup.")
    whole = [named for named in found if named[1].kind == FULL]
    if len(whole) != 1:
        names = ", ".join(sorted(name for name, _ in whole)) or "none"
        raise InvalidData(f"There should be one whole backup for the others to go on from; there are: {names}.")
    ordered, left = whole, [named for named in found if named[1].kind != FULL]
    while left:
        following = [named for named in left if named[1].parent == ordered[-1][1].id]
        if len(following) > 1:
            names = " and ".join(sorted(name for name, _ in following))
            raise InvalidData(f"{names} go on from the same backup ({ordered[-1][0]}): name those to be taken.")
        if not following:
            name, header = min(left, key=lambda named: named[1].time_ms)
            raise InvalidData(f"{name} goes on from another backup, {_where(header, found)}. Nothing was restored.")
        ordered += following
        left.remove(following[0])
    return ordered


def _where(header: Header, found: Sequence[Named]) -> str:
    """Where the backup is that one goes on from."""
    name = next((name for name, other in found if other.id == header.parent), None)
    if name is None:
        made = datetime.fromtimestamp(header.time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{header.parent}, made before {made}, which is missing"
    return f"{name}, which has to come right before it: they are in the wrong order"
