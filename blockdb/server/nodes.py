"""Where a node is, who it is, and by which certificate others know it: what all engines are told."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from blockdb.cluster.peers import PeerTls, host_and_port, parse_peer
from blockdb.config import ClusterConfig, Config
from blockdb.errors import ConfigError
from blockdb.format.consensus import Member, Role
from blockdb.layout import DatabaseFiles
from blockdb.server.membership import PEER_PORTS

__all__ = ["files_of", "joined", "listen_address", "own_member", "peer_address_of", "peer_tls"]


def files_of(config: Config) -> DatabaseFiles:
    """The files of the node."""
    return DatabaseFiles(Path(config.database.data_dir))


def own_member(config: Config, port: int) -> Member:
    """This node; `port` is that of HTTP. Raises ConfigError, also where `members` has it elsewhere."""
    cluster = config.cluster
    listed = parse_peer(cluster.own_entry) if cluster.own_entry else None
    host = _own_host(config, listed)
    peer_port = cluster.advertise_peer_port or _peer_port(cluster, port)
    role = Role.REPLICA if cluster.replica else Role.VOTER
    own = Member(_name(config), joined(host, port), joined(host, peer_port), role)
    if listed not in (None, own):
        raise ConfigError(
            f"[cluster] members: they have {own.id} at {cluster.own_entry.partition(':')[2]}, and by its own settings "
            f"it is at {own.address}, and at {own.peer_address} for nodes. Is this {own.id}?"
        )
    return own


def _own_host(config: Config, listed: Member | None) -> str:
    """Under which name or address others reach this node."""
    host = config.cluster.advertise or config.server.host
    if config.cluster.advertise or not _is_anywhere(host):
        return host
    if listed is not None:
        return host_and_port(listed.address)[0]
    raise ConfigError(
        f"[cluster] advertise: it should be given, since no other node can reach {host}: the name or address under "
        "which they do."
    )


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


def peer_address_of(join: str) -> str:
    """Where a member talks to nodes, of `host:port` or `host:port:peer_port`."""
    return parse_peer(f"member:{join}").peer_address


def listen_address(config: Config, port: int) -> str:
    """Where it listens for other nodes. Raises ConfigError."""
    return joined(config.server.host, _peer_port(config.cluster, port))


def joined(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    bare = host.removeprefix("[").removesuffix("]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def peer_tls(cluster: ClusterConfig) -> PeerTls | None:
    """What it shows to other nodes; None: they talk in the clear."""
    if not cluster.peer_certificate:
        return None
    return PeerTls(Path(cluster.peer_certificate), Path(cluster.peer_key), Path(cluster.peer_ca))
