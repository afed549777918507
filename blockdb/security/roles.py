"""Rights, roles, and whether somebody may touch what a request touches. Denied is whatever is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from blockdb.errors import Forbidden

__all__ = ["ANONYMOUS", "NODE", "RIGHTS", "Principal", "Reach", "Right", "Role", "authorize", "require_right"]


NODE: Final = "node:"
"""What names of nodes that ask others begin with."""


class Right(Enum):
    """What may be done."""

    READ = "read"
    WRITE = "write"
    AUDIT = "audit"
    """Verify, and read what was done by whom."""
    MANAGE = "manage"
    """Make, change and drop collections, schemas and indexes; redact."""
    OPERATE = "operate"
    """Look after the server and its database: flush, compact, back up, tokens, nodes."""

    __hash__ = object.__hash__  # each is one object; that of enumerations takes five times as long


class Role(Enum):
    """What somebody is allowed altogether."""

    READER = "reader"
    WRITER = "writer"
    AUDITOR = "auditor"
    ADMIN = "admin"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.READER: frozenset({Right.READ}),
    Role.WRITER: frozenset({Right.READ, Right.WRITE}),
    Role.AUDITOR: frozenset({Right.READ, Right.AUDIT}),
    Role.ADMIN: frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks."""

    name: str
    role: Role
    collections: frozenset[str] | None = None
    """The names of the collections that they may touch; None: all of them, and the database as a whole."""
    prefix: bytes = b""
    """What every key that they may touch begins with."""
    token_id: str | None = None
    expires_ms: int | None = None
    """Unix time in milliseconds; None: never."""

    @property
    def is_node(self) -> bool:
        """Whether another node of the cluster asks, which passes a request on."""
        return self.token_id is not None and self.token_id.startswith(NODE)


ANONYMOUS: Final = Principal("anonymous", Role.ADMIN)
"""Who is asking where nobody has to say who they are."""


class Reach(NamedTuple):
    """What a request touches: keys, or all keys with a prefix, or (both None) all that there is to a collection."""

    collection: str | None
    """The name of the collection; None: the database as a whole."""
    keys: tuple[bytes, ...] | None = None
    prefix: bytes | None = None
    whole: str | None = None
    """Of a partition the name of the collection that it is one of: who may touch that may touch this."""


def require_right(principal: Principal, right: Right) -> None:
    """Raise Forbidden unless somebody may do this anywhere at all. O(1)."""
    if right not in RIGHTS[principal.role]:
        raise Forbidden(f"'{principal.name}' is a {principal.role.value}, who may not {right.value}.")


def authorize(principal: Principal, right: Right, reach: Reach) -> None:
    """Raise Forbidden unless somebody may do this there. O(keys)."""
    require_right(principal, right)
    if principal.collections is not None and not principal.collections & {reach.collection, reach.whole}:
        what = "the database as a whole" if reach.collection is None else f"collection '{reach.collection}'"
        raise Forbidden(f"'{principal.name}' may not touch {what}, but only {_list(principal.collections)}.")
    if principal.prefix and not _is_within(principal.prefix, reach):
        shown = principal.prefix.decode("utf-8", "backslashreplace")
        raise Forbidden(f"'{principal.name}' may touch only keys that begin with '{shown}'.")


def _is_within(prefix: bytes, reach: Reach) -> bool:
    if reach.keys is not None:
        return all(key.startswith(prefix) for key in reach.keys)
    return reach.prefix is not None and reach.prefix.startswith(prefix)


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
