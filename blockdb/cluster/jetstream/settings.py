"""What a node is told of a cluster over streams: who it is, where NATS is, its pace and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blockdb.cluster.peers import PeerTls
from blockdb.format.consensus import NOBODY, Member, Members

__all__ = ["MOST_REPLICAS", "JetStreamSettings"]

MOST_REPLICAS: Final = 5
"""How many servers a stream is kept on at most: NATS allows no more."""


@dataclass(frozen=True, slots=True)
class JetStreamSettings:
    """Of one node. Times in the unit that their name says."""

    own: Member
    data_dir: Path
    """The directory of the node's database; its NATS server keeps what it has in `nats` there."""
    cluster_id: str
    """What all nodes have in common; with a NATS that is there already it keeps clusters there apart."""
    bootstrap: Members = NOBODY
    """The nodes that a new cluster begins with, the same on each of them."""
    join: tuple[str, ...] = ()
    """Peer addresses of members, through which a node that has no database yet comes to its cluster."""
    nats_url: str = ""
    """Servers of a NATS that is there already, with commas between them; empty: the node starts one of its own."""
    nats_credentials: Path | None = None
    """The file with the credentials for that NATS."""
    tls: PeerTls | None = None
    """The certificate of this node, for the way between the servers that nodes start."""
    insecure_public: bool = False
    """Whether these servers may talk to each other without TLS beyond this machine."""
    secret: str = ""
    """What these servers tell each other, the same on all nodes: it is needed where the authority of their certificates
    signs others too, since each of its certificates would do else."""
    listen_address: str = ""
    """Where the server of this node listens to the others; empty: at `own.peer_address`."""
    mirror_of: tuple[str, ...] = ()
    """Of a read-only copy: where the servers of the cluster that it mirrors listen for such (`mirror_listen`)."""
    mirror_listen: str = ""
    """Where this node's server listens for read-only copies of the cluster; empty: nowhere."""
    replicas: int = 3
    """On how many servers root's stream and the rosters are kept, if there are as many."""
    start_timeout_s: float = 60.0
    """How long it is waited for the servers, and for enough of them to agree."""
    request_timeout_s: float = 5.0
    """How long one question to NATS may take before it is asked again."""
    append_timeout_s: float = 10.0
    """How long a command or a barrier may be undecided before nobody waits for it any longer."""
    change_timeout_s: float = 60.0
    """The same of changes of the members: a new one has to catch up first."""
    max_waiting: int = 10_000
    """How many commands of a partition may wait here; and how many bytes of them."""
    max_waiting_bytes: int = 128 << 20
    compact_bytes: int = 64 << 20
    """After so many bytes that were applied, what is before them is forced, so that the stream may be trimmed."""
    compact_entries: int = 100_000
    """Or after so many messages."""
    keep_entries: int = 4_096
    """How many messages are kept before what all have forced."""
    pulse_s: float = 1.0
    """How often nodes tell each other how far they are, and their chain heads."""

    @property
    def is_managed(self) -> bool:
        """Whether the node starts a NATS server of its own."""
        return not self.nats_url
