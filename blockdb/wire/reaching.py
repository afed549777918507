"""What requests touch, in the ways that most of them do."""

from __future__ import annotations

from typing import Any

from blockdb.security.roles import Reach

__all__ = ["of_collection", "of_database", "of_item", "of_key", "of_keys", "of_nobody", "of_prefix", "of_range"]


def of_nobody(_request: Any) -> None:
    """Nothing that belongs to somebody."""
    return


def of_database(_request: Any) -> Reach:
    """The database as a whole."""
    return Reach(None)


def of_collection(request: Any) -> Reach:
    """All that there is to a collection."""
    return Reach(request.collection)


def of_key(request: Any) -> Reach:
    """One key."""
    return Reach(request.collection, (request.key,))


def of_keys(request: Any) -> Reach:
    """Some keys."""
    return Reach(request.collection, tuple(request.keys))


def of_item(request: Any) -> Reach:
    """The keys of items."""
    return Reach(request.collection, tuple(item.key for item in request.items))


def of_prefix(request: Any) -> Reach:
    """All keys with a prefix."""
    return Reach(request.collection, None, request.prefix)


def of_range(request: Any) -> Reach:
    """All keys between two; what they have in common is what they are known to begin with."""
    return Reach(request.collection, None, request.prefix or _common(request.start, request.end))


def _common(start: bytes | None, end: bytes | None) -> bytes | None:
    """The longest prefix of all keys from `start` on and before `end`; None where that is not known.

    All keys with the prefix P are those from P on and before P with its last byte one higher.
    """
    if not start or not end:
        return None
    same = next((at for at, (one, other) in enumerate(zip(start, end, strict=False)) if one != other), len(end))
    for length in range(min(same + 1, len(start)), 0, -1):  # a longer one would end before `end`
        prefix = start[:length]
        if prefix[-1] < 0xFF and end <= prefix[:-1] + bytes([prefix[-1] + 1]):
            return prefix
    return None
