"""A node of a cluster: its database and the log that it shares with others, put together and taken apart in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from blockdb.cluster.consensus.node import RaftLog
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.peers import PeerTls, parse_peer
from blockdb.cluster.rebuilding import give_up_database
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.config import ClusterConfig, Config
from blockdb.errors import BlockDBError, ConfigError, Corruption, InvalidData
from blockdb.format.consensus import NOBODY, Member, Members, Role
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.server.concerns import Concerns
from blockdb.server.membership import PEER_PORTS, state_of
from blockdb.storage.door import Door

__all__ = ["Node", "node_of", "settings_of"]

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


def _files(config: Config) -> DatabaseFiles:
    return DatabaseFiles(Path(config.database.data_dir))


def settings_of(config: Config, port: int) -> RaftSettings:
    """What the log is to know; `port` is that of HTTP. Raises ConfigError."""
    cluster, has_log = config.cluster, _files(config).raft.id.exists()
    own = _own(config, port)
    others = tuple(map(parse_peer, cluster.peers))
    members = NOBODY if cluster.join else Members((own,))
    for member in others:
        members = members.with_member(member)
    joins = tuple(_peer_address(address) for address in cluster.join)
    return RaftSettings(
        own,
        cluster_id=cluster.cluster_name or ("" if cluster.join or has_log else NAME),
        bootstrap=members,
        join=joins,
        heartbeat_ms=cluster.heartbeat_interval,
        election_ms=cluster.election_timeout,
        tls=_tls(cluster),
        insecure_public=config.server.insecure_public,
        listen_address=_joined(config.server.host, _peer_port(cluster, port)),
    )


def _own(config: Config, port: int) -> Member:
    cluster, host = config.cluster, config.cluster.advertise or config.server.host
    if not cluster.advertise and _is_anywhere(host):
        raise ConfigError(
            f"[cluster] advertise: it should be given, since no other node can reach {host}: the name or address under "
            "which they do."
        )
    peer_port = cluster.advertise_peer_port or _peer_port(cluster, port)
    role = Role.REPLICA if cluster.replica else Role.VOTER
    return Member(_name(config), _joined(host, port), _joined(host, peer_port), role)


def _name(config: Config) -> str:
    if not config.cluster.node_id:
        raise ConfigError(
            f"[cluster] node_id: it should be given, since {config.database.data_dir} belongs to a node of a cluster "
            "(--cluster-id)."
        )
    return config.cluster.node_id


def _is_anywhere(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _peer_port(cluster: ClusterConfig, port: int) -> int:
    if not cluster.peer_port and port + PEER_PORTS > 65_535:
        raise ConfigError(f"[cluster] peer_port: it should be given, since no port is {PEER_PORTS:,} above {port}.")
    return cluster.peer_port or port + PEER_PORTS


def _peer_address(join: str) -> str:
    """Where a member talks to nodes, of `host:port` or `host:port:peer_port`."""
    return parse_peer(f"member:{join}").peer_address


def _joined(host: str, port: int) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _tls(cluster: ClusterConfig) -> PeerTls | None:
    if not cluster.peer_certificate:
        return None
    return PeerTls(Path(cluster.peer_certificate), Path(cluster.peer_key), Path(cluster.peer_ca))


@contextmanager
def node_of(config: Config, port: int, source: MasterKeySource) -> Iterator[Node]:
    """A node that takes part until the block ends; `port` is that of HTTP.

    It is waited for a cluster that is not formed yet. Raises what `open_replicated` raises.
    """
    settings, files = settings_of(config, port), _files(config)
    is_first = not files.raft.id.exists()
    if is_first:
        _tell_beginning(config, settings)
    adopt = config.cluster.bootstrap and is_first and files.registry.exists()
    try:
        log_, database = _opened(config, settings, source, adopt=adopt)
    except Corruption as error:
        if is_first:
            raise
        _give_up(files.root, error)
        log_, database = _opened(config, settings, source, adopt=False)
    try:
        concerns = Concerns(log_, database, config.cluster.read_concern, lambda: database.applied_index)
        node = Node(log_, database, concerns)
        database.on_copy(lambda: [tell() for tell in node.on_copy])
        yield node
    finally:
        log.info("ending: leaving the log, closing the database")
        database.close()


def _opened(
    config: Config, settings: RaftSettings, source: MasterKeySource, *, adopt: bool
) -> tuple[RaftLog, ReplicatedDatabase]:
    log_ = RaftLog(settings, Door(), _files(config).raft)
    return log_, open_replicated(config.database, log_, source=source, adopt=adopt, patience_s=PATIENCE_S)


def _give_up(root: Path, error: Corruption) -> None:
    """Have the others mend what is damaged here. Raises the error where they cannot."""
    try:
        kept = give_up_database(root)
    except InvalidData as reason:
        log.error("the database is damaged, and no other node can mend it: %s", reason)
        raise error from None
    log.error("the database is damaged, and a copy is fetched from another node: %s (it is kept in %s)", error, kept)


def _tell_beginning(config: Config, settings: RaftSettings) -> None:
    own, cluster = settings.own, config.cluster
    if cluster.join:
        log.info("%s joins a cluster through %s", own.id, ", ".join(cluster.join))
    elif cluster.peers:
        log.info("%s begins the cluster %s, and waits for %s", own.id, settings.cluster_id, ", ".join(cluster.peers))
