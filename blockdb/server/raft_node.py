"""A node of a cluster whose engine is Raft: what its log is told, and how it comes to its database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from blockdb.cluster.consensus.node import RaftLog
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.peers import parse_peer
from blockdb.config import Config
from blockdb.format.consensus import NOBODY, Members
from blockdb.masterkey import MasterKeySource
from blockdb.server.concerns import Concerns
from blockdb.server.node import NAME, PATIENCE_S, Node, tell_damage
from blockdb.server.nodes import files_of, listen_address, own_member, peer_address_of, peer_tls
from blockdb.storage.door import Door

__all__ = ["raft_node", "settings_of"]

log: Final = logging.getLogger("blockdb.server.cluster")


def settings_of(config: Config, port: int) -> RaftSettings:
    """What the log is to know; `port` is that of HTTP. Raises ConfigError."""
    cluster, has_log = config.cluster, files_of(config).raft.id.exists()
    own = own_member(config, port)
    others = tuple(map(parse_peer, cluster.others))
    members = NOBODY if cluster.ways_in else Members((own,))
    for member in others:
        members = members.with_member(member)
    joins = tuple(peer_address_of(address) for address in cluster.ways_in)
    return RaftSettings(
        own,
        cluster_id=cluster.cluster_name or ("" if cluster.ways_in or has_log else NAME),
        bootstrap=members,
        join=joins,
        heartbeat_ms=cluster.heartbeat_interval,
        election_ms=cluster.election_timeout,
        tls=peer_tls(cluster),
        insecure_public=config.server.insecure_public,
        listen_address=listen_address(config, port),
    )


@contextmanager
def raft_node(config: Config, port: int, source: MasterKeySource, tell: Callable[[str], None]) -> Iterator[Node]:
    """A node that takes part until the block ends; `port` is that of HTTP.

    It is waited for a cluster that is not formed yet, and for a copy of what is damaged here: `tell` is given the words
    for that. Raises what `open_replicated` raises.
    """
    settings, files = settings_of(config, port), files_of(config)
    is_first = not files.raft.id.exists()
    if is_first:
        _tell_beginning(config, settings)
    adopt = config.cluster.bootstrap and is_first and files.registry.exists()
    log_ = RaftLog(settings, Door(), files.raft)
    database = open_replicated(
        config.database, log_, source=source, adopt=adopt, patience_s=PATIENCE_S, tell=partial(tell_damage, tell)
    )
    try:
        concerns = Concerns(log_, database, config.cluster.read_concern, lambda: database.applied_index)
        node = Node(log_, database, concerns)
        database.on_copy(lambda: [tell() for tell in node.on_copy])
        yield node
    finally:
        log.info("ending: leaving the log, closing the database")
        database.close()


def _tell_beginning(config: Config, settings: RaftSettings) -> None:
    own, cluster = settings.own, config.cluster
    if cluster.ways_in:
        log.info("%s joins a cluster through %s", own.id, ", ".join(cluster.ways_in))
    elif cluster.others:
        log.info("%s begins the cluster %s, and waits for %s", own.id, settings.cluster_id, ", ".join(cluster.others))
