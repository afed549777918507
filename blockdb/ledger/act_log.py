"""What is said of an audit log from outside of it: the head that is signed, and the journal's events.

The head is signed as checkpoints are (`blockdb.ledger.checkpoint`); in the place of a root it has the hash of the last
entry, which covers all entries, since each names the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.state import BadState

AUDIT_LOG: Final = "/audit"
"""What follows the name of a database in the origin of its audit log."""

EVENT: Final = "audit"
"""The journal's event that says how far the audit log was."""


class LogHead(NamedTuple):
    """How many entries there are, and the hash of the last."""

    size: int
    hash: bytes

    def checkpoint(self, database: str) -> Checkpoint:
        """What is signed of it; `database` is the name of the database."""
        return Checkpoint(database + AUDIT_LOG, self.size, self.hash)

    @property
    def event(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        return {"event": EVENT, "size": self.size, "hash": self.hash.hex()}


def head_of(event: Mapping[str, Any]) -> LogHead:
    """The head in an event of the journal. Raises BadState."""
    try:
        head = LogHead(event["size"], bytes.fromhex(event["hash"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadState(f"the event of the audit log is malformed: {error!r}") from None
    if type(head.size) is not int or head.size < 0 or len(head.hash) != 32:
        raise BadState("the event of the audit log has no size, or no hash")
    return head
