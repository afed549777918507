"""The matrix of who may do what, written down a second time, by hand: what the table of operations is held against.

Nothing in here comes from `blockdb.security` or from the entries of the table but their names, methods and paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

MINE, OTHER, ABSENT, DEFAULT = "orders", "salaries", "nowhere", "default"
OWN: Final = b"u:"
OWN_KEY, OTHER_KEY = b"u:1", b"v:1"

ROLES: Final = {"reader": "R", "writer": "RW", "auditor": "RA", "admin": "RWAMO"}
"""Letters of what each may do: read, write, audit, manage, operate."""

RULES: Final = {
    # operation: letter of the right (- for none at all), what it touches
    "store": "W key", "fetch": "R key", "store_batch": "W items", "create_collection": "M database",
    "list_collections": "R nothing", "show_collection": "R shape", "drop_collection": "M collection",
    "store_document": "W key", "list_documents": "R prefix", "fetch_document": "R key", "add_index": "M collection",
    "drop_index": "M collection", "show_collection_stats": "R shape", "verify_collection": "A collection",
    "cluster_status": "R nothing", "cluster_health": "R nothing", "add_node": "O database",
    "remove_node": "O database", "cluster_members": "R nothing", "cluster_transfer": "O database",
    "cluster_events": "R nothing", "cluster_partitions": "R nothing", "cluster_rebalance": "O database",
    "health": "- nothing", "metrics": "A database", "stats": "A database",
    "health_live": "- nothing", "health_ready": "- nothing", "server_statistics": "A database", "alerts": "A database",
    "verify": "A database",
    "put": "W key", "put_many": "W items", "get": "R key", "exists": "R key", "record": "R key", "scan": "R range",
    "count": "R range", "records": "R collection", "redact": "M items", "import_records": "W items",
    "watch": "R prefix",
    "blocks": "R shape", "block": "R shape", "block_records": "R collection", "block_leaves": "R collection",
    "collections": "R nothing", "describe": "R shape", "locate": "R shape", "drop": "M collection",
    "total_stats": "R database",
    "indexes": "R shape", "create_index": "M collection", "set_schema": "M collection", "schemas": "R shape",
    "schema_version": "R shape",
    "find": "R collection", "explain": "R collection", "document": "R key",
    "begin": "R nothing", "transactions": "A database", "transaction_put": "W items", "transaction_get": "R key",
    "transaction_exists": "R key", "transaction_scan": "R range", "transaction_find": "R collection",
    "commit": "R nothing", "abort": "R nothing",
    "prove": "R key", "prove_absent": "R collection", "prove_range": "R collection", "prove_run": "R collection",
    "checkpoint": "R shape", "database_checkpoint": "R nothing", "consistency": "R shape",
    "database_consistency": "R nothing", "root": "R shape", "database_root": "R nothing", "tile": "R collection",
    "keys": "R nothing", "rotate_key": "O database", "anchors": "A database", "publish": "O database",
    "check_anchors": "A database",
    "whoami": "R nothing", "about": "R nothing", "database_statistics": "A database", "statistics": "R shape",
    "audit": "A database", "audit_collection": "A collection", "audit_log": "A database", "backup": "O database",
    "tokens": "O database", "create_token": "O database", "revoke_token": "O database",
    "backup_since": "O database",
    "flush": "O database", "compact": "O database",
    "flush_collection": "O collection", "compact_collection": "O collection",
}  # fmt: skip


@dataclass(frozen=True)
class Who:
    """Somebody who asks: `role` is None for those who are not known; None: no limit."""

    label: str
    role: str | None
    collections: tuple[str, ...] | None = None
    prefix: bytes = b""


LIMITS: Final[tuple[tuple[str, tuple[str, ...] | None, bytes], ...]] = (
    ("", None, b""),
    ("-mine", (MINE,), b""),
    ("-default", (DEFAULT,), b""),
    ("-prefix", None, OWN),
    ("-mine-prefix", (MINE,), OWN),
    ("-two", (MINE, DEFAULT), b""),
)
STRANGERS: Final = tuple(Who(label, None) for label in ("nobody", "wrong", "expired", "revoked", "basic"))
KNOWN: Final = tuple(
    Who(f"{role}{label}", role, collections, prefix) for role, (label, collections, prefix) in product(ROLES, LIMITS)
)
EVERYBODY: Final = (*STRANGERS, *KNOWN)


@dataclass(frozen=True)
class What:
    """What is touched: `fields` of the request, and what all keys that it touches begin with or are."""

    label: str
    collection: str | None = None
    fields: dict[str, Any] = field(default_factory=dict, hash=False)
    is_within: bool = True
    """Whether it keeps to the keys that begin with OWN."""


def whats(touches: str) -> Iterator[What]:
    """What is tried of an operation that touches this."""
    if touches in ("nothing", "database"):
        yield What(touches)
        return
    for collection in (MINE, OTHER, ABSENT, DEFAULT):
        for label, fields, is_within in VARIANTS[touches]:
            yield What(f"{collection}{label}", collection, fields, is_within)


VARIANTS: Final[dict[str, tuple[tuple[str, dict[str, Any], bool], ...]]] = {
    "collection": (("", {}, False),),
    "shape": (("", {}, True),),
    "key": ((" own", {"key": OWN_KEY}, True), (" other", {"key": OTHER_KEY}, False)),
    "items": (
        (" own", {"keys": [OWN_KEY, b"u:"]}, True),
        (" other", {"keys": [OTHER_KEY]}, False),
        (" both", {"keys": [OWN_KEY, OTHER_KEY]}, False),
    ),
    "prefix": (
        (" own", {"prefix": OWN}, True),
        (" narrower", {"prefix": b"u:1"}, True),
        (" wider", {"prefix": b"u"}, False),
        (" other", {"prefix": b"v:"}, False),
        (" all", {}, False),
    ),
}
VARIANTS["range"] = (
    *VARIANTS["prefix"],
    (" between", {"start": b"u:1", "end": b"u:3"}, True),
    (" up to the next", {"start": b"u:", "end": b"u;"}, True),
    (" beyond", {"start": b"u:1", "end": b"u;0"}, False),
    (" from", {"start": b"u:1"}, False),
    (" before", {"end": b"u:9"}, False),
    (" prefix and end", {"prefix": OWN, "end": b"z"}, True),
)


def expected(who: Who, rule: str, what: What) -> int:
    """The status: 0 where the request gets to what does it."""
    right, touches = rule.split()
    if right == "-":
        return 0
    if who.role is None:
        return 401
    if right not in ROLES[who.role]:
        return 403
    if touches == "nothing":
        return 0
    if who.collections is not None and what.collection not in who.collections:
        return 403
    if what.collection == ABSENT:
        return 404
    return 0 if not who.prefix or (touches != "database" and what.is_within) else 403
