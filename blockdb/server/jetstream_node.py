"""A node of a cluster whose engine is JetStream: what it is told, and how it comes to its database and partitions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blockdb.cluster.belonging import claim
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.peers import parse_peer
from blockdb.config import Config
from blockdb.errors import ConfigError
from blockdb.format.consensus import NOBODY, Members
from blockdb.masterkey import MasterKeySource
from blockdb.server.node import NAME, Node
from blockdb.server.nodes import files_of, joined, listen_address, own_member, peer_address_of, peer_tls
from blockdb.server.partitioned_node import partitioned_node
from blockdb.server.reaching import Connect
from blockdb.storage.door import Door

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.engine import JetStreamEngine

__all__ = ["jetstream_node"]

log: Final = logging.getLogger("blockdb.server.cluster")

INSTALL: Final = "pip install 'blockdb[jetstream]'"


def _settings_of(config: Config, port: int) -> JetStreamSettings:
    """What the engine is to know; `port` is that of HTTP. Raises ConfigError."""
    cluster, own = config.cluster, own_member(config, port)
    members = NOBODY if cluster.ways_in or cluster.mirror_of else Members((own,))
    for member in map(parse_peer, cluster.others):
        members = members.with_member(member)
    return JetStreamSettings(
        own,
        data_dir=files_of(config).root,
        cluster_id=cluster.cluster_name or NAME,
        bootstrap=members,
        join=tuple(peer_address_of(address) for address in cluster.ways_in),
        nats_url=cluster.nats_url,
        nats_credentials=Path(cluster.nats_credentials) if cluster.nats_credentials else None,
        tls=peer_tls(cluster),
        secret=cluster.nats_secret,
        mirror_of=cluster.mirror_of,
        mirror_listen=joined(config.server.host, cluster.mirror_port) if cluster.mirror_port else "",
        insecure_public=config.server.insecure_public,
        listen_address=listen_address(config, port),
    )


def _engine_of(settings: JetStreamSettings) -> JetStreamEngine:
    """The engine. Raises ConfigError where what it takes is not installed."""
    try:
        from blockdb.cluster.jetstream.engine import JetStreamEngine
        from blockdb.cluster.jetstream.log import JetStreamLog
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "nats":
            raise
        raise ConfigError(
            f"[cluster] engine: jetstream takes the package nats-py, which is not installed: {INSTALL}"
        ) from None
    return JetStreamEngine(settings, JetStreamLog)


@contextmanager
def jetstream_node(
    config: Config, port: int, source: MasterKeySource, connect: Connect, tell: Callable[[str], None]
) -> Iterator[Node]:
    """A node that takes part until the block ends; `port` is that of HTTP, `connect` how it reaches other nodes.

    It is waited for a cluster that is not formed yet, and for a copy of what is damaged here: `tell` is given the words
    for that. Raises ConfigError, Corruption, StorageError, Unavailable.
    """
    settings, files = _settings_of(config, port), files_of(config)
    engine = _engine_of(settings)
    if not files.nats.id.exists() and files.registry.exists():
        raise ConfigError(
            f"[cluster] engine: {files.root} has a database already, which cannot become one that is spread over "
            "nodes. Start the node with an empty directory, and import what was exported (`blockdb export`)."
        )
    if claim(Door(), files, settings.cluster_id, settings.own.id):
        log.info("%s is a node of the cluster %s from now on", settings.own.id, settings.cluster_id)
    try:
        engine.start()
        with partitioned_node(config, engine, source, connect, engine.groups, tell, engine.forget) as node:
            yield node
    finally:
        engine.close()
