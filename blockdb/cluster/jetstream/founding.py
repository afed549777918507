"""A group of one NATS server, which others can join later.

JetStream forms a group of two servers or more, and a server that was begun without a group cannot have one later. So a
node that begins alone starts a second server for a moment: the two form a group, the second one is taken out of it
again, and goes. That is what may be done to any server of a group, and leaves one that has all it needs to grow.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from blockdb.cluster.jetstream.companions import companion
from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.servers import forget_server, meta_ready
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.storage.door import Door

__all__ = ["found_alone", "is_founded"]

_log: Final = logging.getLogger("blockdb.cluster.jetstream.server")


def is_founded(settings: JetStreamSettings) -> bool:
    """Whether the server of this node has its group, or gets it from the others."""
    begins_alone = len(settings.bootstrap.all) == 1 and not settings.join and not settings.mirror_of
    return not begins_alone or _mark(settings).exists()


def _mark(settings: JetStreamSettings) -> Path:
    return settings.data_dir / "nats" / "founded"


def found_alone(settings: JetStreamSettings, server: ManagedServer, connection: Connection, timeout_s: float) -> None:
    """Have a server that runs become a group of one; begun anew where it was cut short. Raises Unavailable."""
    with companion(settings, has_jetstream=True) as second:
        connection.wait(meta_ready(connection, timeout_s), timeout_s + 1)
        connection.wait(forget_server(server.system_url, second, timeout_s), timeout_s + 1)
    connection.wait(meta_ready(connection, timeout_s), timeout_s + 1)
    Door().replace(_mark(settings), b"")
    _log.info("the server of %s is a group of one now", settings.own.id)
