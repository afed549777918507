"""A node that takes part in a cluster, whichever engine it has: its database, and the log that it shares."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import BlockDBError
from blockdb.server.concerns import Concerns
from blockdb.server.membership import state_of
from blockdb.server.node_tokens import NodeTokens
from blockdb.server.spread import Spread

__all__ = ["NAME", "PATIENCE_S", "Node", "tell_damage"]

log: Final = logging.getLogger("blockdb.server.cluster")

NAME: Final = "blockdb"
"""What a new cluster is called that nobody gave a name."""
PATIENCE_S: Final = 8.0
"""How long it is tried to have a command decided: an election, and some more."""
HANDING_OVER_S: Final = 1.5
"""How long a leader that is about to stop waits for another one to lead."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that takes part."""

    log: ReplicatedLog
    database: ReplicatedDatabase
    concerns: Concerns
    on_copy: list[Callable[[], None]] = field(default_factory=list)
    """Who is told when a copy from another node took the place of the database."""
    tokens: NodeTokens | None = None
    """By which nodes know each other that pass requests on."""
    spread: Spread | None = None
    """Where partitions are, where its engine has any."""

    def hand_over(self) -> None:
        """Have another node lead, if this one does and there is one: nobody waits for an election then."""
        state = state_of(self.log.status())
        voters = [member for member in state.members if member.role == "voter"]
        is_alone = 2 * sum(member.is_active for member in voters) <= len(voters) or len(voters) == 1
        if state.leader != state.node_id or is_alone:
            return
        try:
            leader = self.log.transfer().result(HANDING_OVER_S)
        except (BlockDBError, TimeoutError) as error:
            log.warning("no other node leads yet: %s", error)
        else:
            log.info("%s leads from now on", leader)


def tell_damage(tell: Callable[[str], None], words: str) -> None:
    """Put words about damage into the log, and tell them whoever asks."""
    log.error("%s", words)
    tell(words)
