"""The way from a node to others: what this one does not hold is asked of those that do. Connections are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final, Protocol
from uuid import uuid4

from blockdb.cluster.database.context import is_passed_on, request_key
from blockdb.config import Config
from blockdb.errors import Unavailable
from blockdb.interface.database import AnyDatabase

__all__ = ["Connect", "Reaching"]

MOST_WAYS: Final = 256
"""So many groups of nodes are kept a connection to."""
TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 1.0
ATTEMPTS: Final = 2
"""How often each node is tried."""


class Connect(Protocol):
    """How one connects to servers: `blockdb.connect`, which the server does not know itself."""

    def __call__(self, url: Sequence[str], *, token: str, **options: Any) -> AnyDatabase:
        """A database over the network. Raises Unavailable."""


class Reaching:
    """Gives the database as other nodes have it. Safe for threads."""

    def __init__(self, connect: Connect, config: Config, token: Callable[[], str]) -> None:
        """`token` gives what this node shows to others."""
        self._connect = connect
        self._token = token
        self._scheme = "https" if config.security.tls_certificate else "http"
        self._options = _options(config)
        self._ways: OrderedDict[tuple[tuple[str, ...], str], AnyDatabase] = OrderedDict()
        self._lock = Lock()

    def __call__(self, addresses: Sequence[str], read_concern: str) -> AnyDatabase:
        """The database, as whichever of these nodes answers has it; `addresses` are `host:port`.

        Raises Unavailable where none does, and for a request that was passed on already: a node that was asked for
        what it does not hold says so, and who has asked looks again who does.
        """
        if is_passed_on():
            raise Unavailable("This node does not hold what it was asked for, or no longer. Try again.")
        wanted = (tuple(addresses), read_concern)
        with self._lock:
            if (found := self._ways.get(wanted)) is not None:
                self._ways.move_to_end(wanted)
                return found
        return self._kept(wanted, self._connected(*wanted))

    def _connected(self, addresses: tuple[str, ...], read_concern: str) -> AnyDatabase:
        urls = [f"{self._scheme}://{address}" for address in addresses]
        return self._connect(urls, token=self._token(), read_concern=read_concern, **self._options)

    def _kept(self, wanted: tuple[tuple[str, ...], str], made: AnyDatabase) -> AnyDatabase:
        """What is to be used from now on: another thread may have been faster."""
        with self._lock:
            kept = self._ways.setdefault(wanted, made)
            spare = [] if kept is made else [made]
            if len(self._ways) > MOST_WAYS:
                spare.append(self._ways.popitem(last=False)[1])
        for each in spare:
            each.close()
        return kept

    def close(self) -> None:
        """Hang up everywhere. Idempotent."""
        with self._lock:
            ways, self._ways = list(self._ways.values()), OrderedDict()
        for each in ways:
            each.close()


def _options(config: Config) -> dict[str, Any]:
    """How it is connected, besides to whom."""
    cluster = config.cluster
    options: dict[str, Any] = {
        "timeout_s": TIMEOUT_S,
        "read_timeout_s": TIMEOUT_S,
        "connect_timeout_s": CONNECT_TIMEOUT_S,
        "attempts": ATTEMPTS,
        "idempotency_keys": lambda: request_key() or uuid4().hex + "-0",
    }
    if config.security.tls_certificate:
        options["ca_file"] = cluster.node_ca or cluster.peer_ca or None
        if cluster.peer_certificate:
            options["certificate"] = (cluster.peer_certificate, cluster.peer_key)
    return options
