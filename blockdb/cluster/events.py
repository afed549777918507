"""What happens in a cluster, as this node sees it: for the time line of whoever watches."""

from __future__ import annotations

import msgspec

__all__ = ["ClusterEvent"]


class ClusterEvent(msgspec.Struct, frozen=True):
    """One thing that happened on a node."""

    time_ms: int
    """Milliseconds since 1970, by the node's clock."""
    node_id: str
    kind: str
    """`state` (it became what `what` says), `term`, `vote` (it voted for `other`), `election` (it stands), `leader`
    (`other` leads), `members`, `snapshot` (sent to or taken from `other`), `contact` (`other` is reached, or lost),
    `diverged`, `mended`, `stopped`."""
    term: int = 0
    index: int = 0
    other: str = ""
    """The other node that it is about."""
    what: str = ""
    """In words, short."""
