"""What happens in a cluster, as this node sees it: for the time line of whoever watches."""

from __future__ import annotations

from blockdb.nodes import ClusterEvent

__all__ = ["ClusterEvent"]
