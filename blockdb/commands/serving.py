"""server: serving the database to other programs."""

from __future__ import annotations

import gc
from argparse import ArgumentTypeError, Namespace
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from blockdb.masterkey import MasterKeySource

from .command import Command, Completes, Need, Where, flag, option
from .context import Context
from .failures import CannotOpen, IoError
from .opening import asker, open_database
from .parsing import count
from .results import Nothing, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from blockdb import AnyDatabase
    from blockdb.config import DatabaseConfig

__all__ = ["COMMANDS", "INSTALL", "nodes", "port"]

INSTALL = "pip install 'blockdb[server]'"
_MOST_PORTS = 65_535

_SETTINGS = {
    "host": "server.host",
    "port": "server.port",
    "grpc_port": "server.grpc_port",
    "insecure_public": "server.insecure_public",
    "tls_certificate": "security.tls_certificate",
    "tls_key": "security.tls_key",
    "tls_client_ca": "security.tls_client_ca",
    "authentication": "security.authentication",
    "cluster_id": "cluster.node_id",
    "cluster_name": "cluster.cluster_name",
    "engine": "cluster.engine",
    "nats_url": "cluster.nats_url",
    "partitions": "cluster.partitions",
    "replication_factor": "cluster.replication_factor",
    "peers": "cluster.peers",
    "members": "cluster.members",
    "join": "cluster.join",
    "replica": "cluster.replica",
    "bootstrap": "cluster.bootstrap",
    "advertise": "cluster.advertise",
    "peer_port": "cluster.peer_port",
    "advertise_peer_port": "cluster.advertise_peer_port",
    "log_level": "logging.level",
}
"""The setting that each argument is."""
_GARBAGE: Final = (20_000, 10, 10)
"""So many more objects, and so many times that, until it is looked for."""


def serve(context: Context, arguments: Namespace) -> Result:
    """Serve the database until the process is told to end."""
    from blockdb.config import Sources
    from blockdb.errors import StorageError

    try:
        from blockdb.server import serving
    except ModuleNotFoundError as error:
        raise IoError(f"a server needs the package {error.name}: {INSTALL}") from error
    given = context.sources or Sources()
    sources = Sources(given.file, given.environ, {**given.flags, **dict(_flags(arguments))})
    try:
        serving.serve(sources, _open, lambda words: _listen(words, context.announce), _source, _connect)
    except StorageError as error:
        raise CannotOpen(str(error)) from error
    return Nothing()


def _listen(words: str, announce: Callable[[str], None]) -> None:
    """Say that it listens. From now on garbage in circles, of which there is little, is seldom looked for.

    What is there now stays, so it is not gone through again and again: that would take 50 ms each time, in which nobody
    is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    announce(words)


def _open(config: DatabaseConfig) -> Any:
    database: AnyDatabase = open_database(config, Need.WRITE_OR_MAKE)
    return closing(database)


def _source(config: DatabaseConfig) -> MasterKeySource:
    return MasterKeySource(config.master_key_file, ask=asker())


def _connect(url: Sequence[str], **options: Any) -> AnyDatabase:
    """How a node reaches others. Raises Unavailable, ConfigError where the client is not installed."""
    import blockdb

    return blockdb.connect(url, **options)


def _flags(arguments: Namespace) -> Iterator[tuple[str, Any]]:
    for name, setting in _SETTINGS.items():
        value = getattr(arguments, name)
        if value is not None and value is not False:
            yield setting, value


def nodes(text: str) -> list[str]:
    """Nodes, with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def port(text: str) -> int:
    """A port, as an argument."""
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_PORTS):
        raise ArgumentTypeError(f"{text!r} is not a port from 0 to {_MOST_PORTS}")
    return int(text)


COMMANDS = (
    Command(
        "server",
        "Serve the database over HTTP and gRPC.",
        serve,
        (
            option("--host", metavar="HOST", help="Address to listen on; else the configuration, else 127.0.0.1."),
            option("--port", metavar="PORT", type=port, help="Port of HTTP, 0 for a free one; else 8080."),
            option("--grpc-port", metavar="PORT", type=port, help="Port of gRPC; 0, as it is else: none."),
            option(
                "--authentication",
                metavar="WHEN",
                choices=("auto", "on", "off"),
                help="Whether requests have to show a token; auto: unless nobody else can reach the address.",
            ),
            option(
                "--tls-certificate",
                metavar="FILE",
                completes=Completes.FILE,
                help="The server's certificate (PEM); else nothing is encrypted.",
            ),
            option("--tls-key", metavar="FILE", completes=Completes.FILE, help="The certificate's key (PEM)."),
            option(
                "--tls-client-ca",
                metavar="FILE",
                completes=Completes.FILE,
                help="The authority of client certificates (PEM), which each client has to show then.",
            ),
            flag(
                "--insecure-public",
                help="Allow an address that others can reach, although tokens or TLS are missing.",
            ),
            option("--log-level", metavar="LEVEL", help="Such as info, debug, or info,server=debug."),
            option("--cluster-id", metavar="NAME", help="The name of this node."),
            option(
                "--peers",
                metavar="NODES",
                type=nodes,
                help="The other nodes of a new cluster, each name:host:port, with commas between them.",
            ),
            option(
                "--members",
                metavar="NODES",
                type=nodes,
                help="In place of --peers, the same for all nodes: those that begin the cluster; others join it.",
            ),
            option(
                "--join",
                metavar="NODES",
                type=nodes,
                help="Members of a cluster, each host:port, one of which is to take this node in.",
            ),
            flag("--replica", help="Join as a replica, which gets everything, but does not count in decisions."),
            flag("--bootstrap", help="Make a cluster of this node alone, with the database that is there."),
            option("--advertise", metavar="HOST", help="Under which name or address others reach it; else --host."),
            option("--peer-port", metavar="PORT", type=port, help="Port for other nodes; else that of HTTP + 1,000."),
            option(
                "--advertise-peer-port",
                metavar="PORT",
                type=port,
                help="The port under which other nodes reach it, where a proxy stands between; else --peer-port.",
            ),
            option("--cluster-name", metavar="NAME", help="The name of the cluster; else blockdb."),
            option(
                "--engine",
                metavar="NAME",
                choices=("raft", "jetstream"),
                help="What the nodes agree with: raft (else), or jetstream, with collections spread over them.",
            ),
            option(
                "--nats-url",
                metavar="URL",
                help="With jetstream: the NATS that is there already; else each node starts a server of its own.",
            ),
            option(
                "--partitions",
                metavar="N",
                type=count,
                help="With jetstream: over how many streams the keys of a new collection are spread; else 1.",
            ),
            option(
                "--replication-factor",
                metavar="N",
                type=count,
                help="With jetstream: on how many nodes a new collection is kept; else 3.",
            ),
        ),
        details="It is the one writer of the database, and makes it if there is none. A line on standard output says "
        "when it is ready; the log goes to standard error. ^C and SIGTERM end it in order: what was begun is finished, "
        "and the database closed. SIGHUP has it read its configuration again.\n\n"
        "All settings stand in docs/CONFIGURATION.md; limits, signals and systemd in docs/SERVER.md; clusters in "
        "docs/CLUSTER.md and docs/JETSTREAM.md. "
        f"It needs more packages: {INSTALL}. The program blockdb-server is the same.",
        examples=(
            ("server", "On the loopback address, port 8080"),
            ("server --port 0", "On a free port, which is printed"),
            (
                "server --cluster-id n1 --peers n2:10.0.0.2:8080,n3:10.0.0.3:8080",
                "One of three nodes of a cluster; the others are started alike",
            ),
            (
                "server --cluster-id n1 --bootstrap --engine jetstream",
                "The first of nodes that collections spread over",
            ),
            ("server --host 0.0.0.0 --tls-certificate tls.crt --tls-key tls.key", "For other machines"),
        ),
        need=Need.CONFIGURATION,
        where=Where.COMMAND_LINE,
        formats=("table",),
    ),
)
