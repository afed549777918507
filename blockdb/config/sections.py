"""The sections of a configuration, each frozen and checked. The text below a field is what the reference page says."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Final

from blockdb.config.kinds import Choice, Kind, Number, Path, Switch, Text, Texts, declared
from blockdb.config.texts import (
    ADDRESS,
    ADVERTISED,
    HOST,
    HOST_NAME,
    LEVEL,
    NAME,
    NATS,
    ORIGIN,
    PEER,
    PLACE,
    SECRET,
    WEBHOOK,
)
from blockdb.errors import ConfigError

__all__ = [
    "JETSTREAM",
    "SECTIONS",
    "AlertsConfig",
    "ClusterConfig",
    "Config",
    "DatabaseConfig",
    "LoggingConfig",
    "SecurityConfig",
    "ServerConfig",
]

_BYTES: Final = 64 * 1024**3

JETSTREAM: Final = "jetstream"
"""The engine of a cluster whose log is NATS JetStream."""
ONLY_JETSTREAM: Final = (
    ("nats_url", ""), ("nats_credentials", ""), ("partitions", 1), ("replication_factor", 3), ("mirror_of", ()),
    ("mirror_port", 0), ("nats_secret", ""),
)  # fmt: skip
"""What is for that engine alone, and what it is where it is not given."""


def _name_of(peer: str) -> str:
    """Of `name:host:port`."""
    return peer.partition(":")[0]


class _Section:
    """What all sections have in common: their values are checked when one is made."""

    label: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            kind: Kind = each.metadata["kind"]
            try:
                object.__setattr__(self, each.name, kind.check(getattr(self, each.name)))
            except ValueError as error:
                raise ConfigError(f"{self.label}{each.name}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig(_Section):
    """The `[database]` section. Raises ConfigError, naming the key, for a value of the wrong type or out of range."""

    data_dir: str = field(default="./blockdb_data", metadata=declared(Path("directory", optional=False)))
    """The directory of the database."""
    memtable_size_limit: int = field(default=64 * 1024**2, metadata=declared(Number(64 * 1024, _BYTES)))
    """Bytes of memory for records that are in no table yet (64 KiB to 64 GiB): half fills while half is written."""
    wal_sync_interval: int = field(default=1000, metadata=declared(Number(0, 3_600_000)))
    """Milliseconds between forces of the log to disk; 0 forces before each acknowledgement (up to an hour)."""
    compaction_threshold: int = field(default=4, metadata=declared(Number(2, 1_000)))
    """How many tables of one tier are merged into one of the next (2 to 1,000); while memtables fill, twice as many."""
    blockchain_batch_size: int = field(default=1000, metadata=declared(Number(1, 1_000_000)))
    """Records in a block (1 to 1,000,000). Fixed for a collection when it is created."""
    cache_size_limit: int = field(default=64 * 1024**2, metadata=declared(Number(0, _BYTES)))
    """Bytes of memory for records and chunks of packed chain files that were read (0 to 64 GiB)."""
    open_collections_limit: int = field(default=128, metadata=declared(Number(8, 1_000_000)))
    """How many collections have files open (8 to 1,000,000): of more, those that nobody uses are closed meanwhile."""
    compression_enabled: bool = field(default=False, metadata=declared(Switch()))
    """Whether chain files are packed (Zstandard) once they are full, and by `compact`. Reading needs no setting."""
    encryption_enabled: bool | None = field(default=None, metadata=declared(Switch(optional=True)))
    """Whether everything that holds data is encrypted on the disk. Fixed for a database when it is created: unless this
    is given, a new one is not, and one that exists is what it is."""
    master_key_file: str = field(default="", metadata=declared(Path()))
    """The file with the master key of an encrypted database, 64 hexadecimal digits; empty: it is given otherwise."""
    redactable: bool = field(default=False, metadata=declared(Switch()))
    """Whether values can be erased one day (`redact`), all proofs intact. Fixed for a collection when it is created."""
    scrub_rate_limit: int = field(default=0, metadata=declared(Number(0, _BYTES)))
    """Bytes a second that the background audit of an open database may read (up to 64 GiB); 0: there is none."""
    scrub_interval: int = field(default=600, metadata=declared(Number(1, 31_536_000)))
    """Seconds between the end of one background audit and the beginning of the next (1 to a year)."""
    transaction_timeout: int = field(default=30, metadata=declared(Number(1, 86_400)))
    """Seconds after which a transaction that has not ended gives way to those who wait for it (1 to a day)."""
    key_file: str = field(default="", metadata=declared(Path()))
    """Where the signing key is kept, made there if need be; empty: with the data, in `keys/signing.toml`."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig(_Section):
    """The `[server]` section: where it listens, and its limits. Raises ConfigError, naming the key."""

    label: ClassVar[str] = "[server] "

    host: str = field(default="127.0.0.1", metadata=declared(HOST))
    """The address to listen on. One that others can reach needs authentication and TLS."""
    port: int = field(default=8080, metadata=declared(Number(0, 65_535)))
    """The port of HTTP; 0 takes a free one."""
    grpc_port: int = field(default=0, metadata=declared(Number(0, 65_535)))
    """The port of gRPC; 0: there is no gRPC."""
    max_connections: int = field(default=1000, metadata=declared(Number(1, 100_000)))
    """Connections at a time; one more is refused at once (status 503)."""
    request_timeout: int = field(default=30, metadata=declared(Number(1, 3_600), live=True))
    """Seconds that a request may take, from its head to the beginning of its answer; streams go on after that."""
    enable_cors: bool = field(default=False, metadata=declared(Switch(), live=True))
    """Whether pages of other origins may use this server from a browser."""
    cors_origins: tuple[str, ...] = field(default=(), metadata=declared(Texts(ORIGIN), live=True))
    """Which origins those are. Empty: every one, but only where each request has to show a token."""
    allowed_hosts: tuple[str, ...] = field(default=(), metadata=declared(Texts(HOST_NAME), live=True))
    """Names under which a server without TLS may be asked for, beside `host`, `localhost` and addresses; `*`: any. It
    keeps web pages from reaching a server through a name of their own (DNS rebinding)."""
    enable_compression: bool = field(default=True, metadata=declared(Switch(), live=True))
    """Whether answers are compressed for clients that ask for it."""
    max_body_bytes: int = field(default=64 * 1024**2, metadata=declared(Number(1024, 4 * 1024**3), live=True))
    """Bytes that the body of a request may have, decompressed."""
    max_header_bytes: int = field(default=16 * 1024, metadata=declared(Number(1024, 1024**2)))
    """Bytes that the head of a request may have."""
    max_batch_operations: int = field(default=100_000, metadata=declared(Number(1, 10_000_000), live=True))
    """Operations in one batch."""
    max_streams: int = field(default=256, metadata=declared(Number(1, 10_000)))
    """Streams (watching, exports, backups) at a time."""
    rate_limit: int = field(default=0, metadata=declared(Number(0, 10_000_000), live=True))
    """Requests a second that one token may make, a second's worth of them at once; 0: any number."""
    shutdown_timeout: int = field(default=10, metadata=declared(Number(1, 3_600), live=True))
    """Seconds for what was begun to be finished when the server is told to end."""
    insecure_public: bool = field(default=False, metadata=declared(Switch()))
    """Whether it may listen on an address that others can reach without authentication and TLS."""


@dataclass(frozen=True, kw_only=True)
class SecurityConfig(_Section):
    """The `[security]` section: who may do what, and TLS. Raises ConfigError, naming the key."""

    label: ClassVar[str] = "[security] "

    authentication: str = field(default="auto", metadata=declared(Choice(("auto", "on", "off"))))
    """Whether each request has to show a token. `auto`: unless the address is loopback and there is no token yet."""
    tokens_file: str = field(default="", metadata=declared(Path()))
    """A file with more tokens (`server/tokens.toml` of any directory) that this server goes by and never changes, such
    as a mounted secret; empty: there are none."""
    tls_certificate: str = field(default="", metadata=declared(Path()))
    """The file with the server's certificate and those between it and its authority (PEM); empty: no TLS."""
    tls_key: str = field(default="", metadata=declared(Path()))
    """The file with the certificate's secret key (PEM)."""
    tls_client_ca: str = field(default="", metadata=declared(Path()))
    """The file with the authority of client certificates, which each client has to show then; empty: none is asked."""
    audit: str = field(default="changes", metadata=declared(Choice(("changes", "all", "off"))))
    """What the log of who did what keeps: everything that is not only read, all, or nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.tls_certificate) != bool(self.tls_key):
            given, missing = ("tls_certificate", "tls_key")[:: 1 if self.tls_certificate else -1]
            raise ConfigError(f"[security] {missing}: it should be given too, since {given} is.")
        if self.tls_client_ca and not self.tls_certificate:
            raise ConfigError("[security] tls_client_ca: it should stand with tls_certificate and tls_key.")


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(_Section):
    """The `[cluster]` section. Raises ConfigError, naming the key."""

    label: ClassVar[str] = "[cluster] "

    node_id: str = field(default="", metadata=declared(NAME))
    """The name of this node, which no other one of the cluster has. It stays the same for ever."""
    cluster_name: str = field(default="", metadata=declared(NAME))
    """The name of the cluster: nodes talk to those of the same cluster alone. Empty: that of the cluster that it joins,
    and `blockdb` where it begins one."""
    engine: str = field(default="raft", metadata=declared(Choice(("raft", "jetstream"))))
    """What the nodes agree with on the order of commands: `raft`, their own, where every node has everything; or
    `jetstream`, streams of NATS, where collections are spread over the nodes. The same on all nodes, for ever."""
    nats_url: str = field(default="", metadata=declared(NATS))
    """With `jetstream`: the servers of a NATS that is there already (2.10 or newer, with JetStream), such as
    `nats://10.0.0.5:4222`, with commas between several. Empty: each node starts a NATS server of its own."""
    nats_credentials: str = field(default="", metadata=declared(Path()))
    """The file with the credentials (`.creds`) for that NATS; empty: none are needed, or they stand in `nats_url`."""
    nats_secret: str = field(default="", metadata=declared(SECRET))
    """With `jetstream`: what the NATS servers of the nodes tell each other, the same on all of them. It is needed where
    the authority of their certificates (`peer_ca`) signs others too, clients for one."""
    mirror_of: tuple[str, ...] = field(default=(), metadata=declared(Texts(PLACE)))
    """With `jetstream`: this node is a read-only copy of a cluster elsewhere, whose nodes listen there for such (with
    `mirror_port`)."""
    mirror_port: int = field(default=0, metadata=declared(Number(0, 65_535)))
    """With `jetstream`: the port for read-only copies of the cluster elsewhere; 0: there are none."""
    partitions: int = field(default=1, metadata=declared(Number(1, 1_024)))
    """With `jetstream`: over how many streams the keys of a new collection are spread that does not say itself."""
    replication_factor: int = field(default=3, metadata=declared(Number(1, 64)))
    """With `jetstream`: on how many nodes a new collection is kept that does not say itself."""
    peers: tuple[str, ...] = field(default=(), metadata=declared(Texts(PEER)))
    """The other nodes with which this one forms a cluster, when all of them are started for the first time."""
    members: tuple[str, ...] = field(default=(), metadata=declared(Texts(PEER)))
    """In place of `peers`, and the same on all nodes: those with which the cluster begins, this one among them. A node
    that is not among them joins by way of them."""
    join: tuple[str, ...] = field(default=(), metadata=declared(Texts(ADDRESS)))
    """Members of a cluster that is there already (where they serve their users), one of which takes this node in."""
    replica: bool = field(default=False, metadata=declared(Switch()))
    """Whether it joins as a replica: it gets everything and answers reads, but does not count in decisions."""
    bootstrap: bool = field(default=False, metadata=declared(Switch()))
    """Whether the database that is there, or a new one, becomes that of a cluster of this one node, which others then
    join."""
    advertise: str = field(default="", metadata=declared(ADVERTISED))
    """The name or address under which others reach this node; empty: `host` of `[server]`."""
    peer_port: int = field(default=0, metadata=declared(Number(0, 65_535)))
    """The port for the other nodes; 0: that of `[server]` and 1,000 more."""
    advertise_peer_port: int = field(default=0, metadata=declared(Number(0, 65_535)))
    """The port under which other nodes reach this one, where that is another one (a proxy); 0: `peer_port`."""
    peer_certificate: str = field(default="", metadata=declared(Path()))
    """The file with the certificate that says which node of which cluster this is (`blockdb cert`, PEM); empty: nodes
    talk to each other without TLS, which they do on this machine alone."""
    peer_key: str = field(default="", metadata=declared(Path()))
    """The file with that certificate's secret key (PEM)."""
    peer_ca: str = field(default="", metadata=declared(Path()))
    """The file with the authority of all nodes' certificates (PEM)."""
    node_ca: str = field(default="", metadata=declared(Path()))
    """With `jetstream`: the file with the authority of the certificates that nodes show to their users (PEM), since
    nodes pass requests on to each other; empty: `peer_ca`, else the system's."""
    read_concern: str = field(default="Linearizable", metadata=declared(Choice(("Linearizable", "Local"))))
    """What reads see that do not say themselves: all that was acknowledged anywhere before, or what this node has."""
    heartbeat_interval: int = field(default=150, metadata=declared(Number(10, 60_000)))
    """Milliseconds between two signs of life of a leader."""
    election_timeout: int = field(default=300, metadata=declared(Number(20, 600_000)))
    """Milliseconds without one after which a node stands for election; at least twice `heartbeat_interval`."""
    enable_transactions: bool = field(default=True, metadata=declared(Switch()))
    """Whether transactions can be begun over the network."""
    transaction_timeout: int | None = field(default=None, metadata=declared(Number(1, 86_400, optional=True)))
    """The same as `transaction_timeout` of `[database]`: where both are given, they should be equal."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.election_timeout < 2 * self.heartbeat_interval:
            least = 2 * self.heartbeat_interval
            raise ConfigError(
                f"[cluster] election_timeout: it should be at least {least}, which is twice heartbeat_interval, "
                f"not {self.election_timeout}."
            )
        self._check_beginnings()

    @property
    def is_cluster(self) -> bool:
        """Whether this node is to belong to a cluster."""
        return bool(self.peers or self.members or self.join or self.bootstrap or self.mirror_of)

    @property
    def own_entry(self) -> str:
        """What `members` says of this node; empty: it is not among them."""
        return next((each for each in self.members if _name_of(each) == self.node_id), "")

    @property
    def others(self) -> tuple[str, ...]:
        """The nodes with which this one begins a cluster."""
        entry = self.own_entry
        return tuple(each for each in self.members if each != entry) if entry else self.peers

    @property
    def ways_in(self) -> tuple[str, ...]:
        """Members of a cluster that is there, one of which takes this node in: `host:port` or `host:port:peer_port`."""
        if self.members and not self.own_entry:
            return tuple(each.partition(":")[2] for each in self.members)
        return self.join

    def _check_beginnings(self) -> None:
        given = [name for name in ("peers", "members", "join", "bootstrap", "mirror_of") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(f"[cluster] {given[1]}: it cannot stand with {given[0]}; give one of them.")
        if given and not self.node_id:
            raise ConfigError(f"[cluster] node_id: it should be given, since {given[0]} is.")
        if self.replica and not self.ways_in:
            raise ConfigError("[cluster] replica: it should stand with join.")
        files = [name for name in ("peer_certificate", "peer_key", "peer_ca") if getattr(self, name)]
        if missing := [name for name in ("peer_certificate", "peer_key", "peer_ca") if files and name not in files]:
            raise ConfigError(f"[cluster] {missing[0]}: it should be given too, since {files[0]} is.")
        if self.node_id in map(_name_of, self.peers):
            raise ConfigError(f"[cluster] peers: they are the other nodes; {self.node_id} is this one.")
        for key in ("peers", "members"):
            names = list(map(_name_of, getattr(self, key)))
            if twice := [name for name in names if names.count(name) > 1]:
                raise ConfigError(f"[cluster] {key}: {twice[0]} is there twice.")
        self._check_engine()

    def _check_engine(self) -> None:
        """What is for one engine alone says so with another."""
        if self.engine == JETSTREAM:
            if self.replica:
                raise ConfigError(
                    "[cluster] replica: it is for the engine raft. With jetstream a node keeps the partitions that are "
                    "placed on it: leave it out."
                )
            if self.nats_url and (self.mirror_of or self.mirror_port):
                mirroring = "mirror_of" if self.mirror_of else "mirror_port"
                raise ConfigError(f"[cluster] {mirroring}: it cannot stand with nats_url, whose streams are not ours.")
            return
        for name, usual in ONLY_JETSTREAM:
            if getattr(self, name) != usual:
                raise ConfigError(f"[cluster] {name}: it is for the engine jetstream; give engine = 'jetstream' too.")


@dataclass(frozen=True, kw_only=True)
class LoggingConfig(_Section):
    """The `[logging]` section. Raises ConfigError, naming the key."""

    label: ClassVar[str] = "[logging] "

    level: str = field(
        default="info",
        metadata=declared(
            Text(
                "critical, error, warning, info or debug, and modules with their own (such as 'info,server=debug')",
                rf"{LEVEL}(,[a-z_.]+={LEVEL})*",
                optional=False,
            ),
            live=True,
        ),
    )
    """What is told: `critical`, `error`, `warning`, `info` or `debug`; modules of BlockDB can have levels of their own,
    as in `info,server=debug`."""
    file: str = field(default="", metadata=declared(Path(), live=True))
    """The file that is written beside standard error, its directory made if need be; it may be moved at any time."""
    format: str = field(default="text", metadata=declared(Choice(("text", "json")), live=True))
    """Lines of `key=value`, or a JSON object a line."""


@dataclass(frozen=True, kw_only=True)
class AlertsConfig(_Section):
    """The `[alerts]` section: what is worth waking somebody. Raises ConfigError, naming the key."""

    label: ClassVar[str] = "[alerts] "

    disk_free_percent: int = field(default=5, metadata=declared(Number(0, 100), live=True))
    """An alert when less of the disk is free; 0: none."""
    latency_ms: int = field(default=0, metadata=declared(Number(0, 3_600_000), live=True))
    """An alert when one put in a hundred takes longer; 0: none."""
    error_percent: int = field(default=0, metadata=declared(Number(0, 100), live=True))
    """An alert when more of the requests fail by the server's own fault; 0: none."""
    replication_lag: int = field(default=10_000, metadata=declared(Number(0, 1_000_000_000), live=True))
    """An alert when a member of the cluster is more entries behind, or is not heard of; 0: none."""
    integrity: bool = field(default=True, metadata=declared(Switch(), live=True))
    """An alert when the background audit, or a read, finds what was not written."""
    webhook: str = field(default="", metadata=declared(WEBHOOK, live=True))
    """The URL that alerts are posted to (JSON); empty: none. It may hold a secret, so it is never shown."""
    interval: int = field(default=10, metadata=declared(Number(1, 86_400), live=True))
    """Seconds between two looks."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All of a configuration. Raises ConfigError where sections contradict each other."""

    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)

    def __post_init__(self) -> None:
        if self.server.port == self.server.grpc_port != 0:
            raise ConfigError("[server] grpc_port: it should be another one than port.")
        if self.cluster.transaction_timeout not in (None, self.database.transaction_timeout):
            raise ConfigError(
                "[cluster] transaction_timeout: it is the same as that of [database], so it should be "
                f"{self.database.transaction_timeout}, not {self.cluster.transaction_timeout}. Leave one out."
            )
        cluster = replace(self.cluster, transaction_timeout=self.database.transaction_timeout)
        object.__setattr__(self, "cluster", cluster)


SECTIONS: Final[dict[str, type[_Section]]] = {
    "database": DatabaseConfig,
    "server": ServerConfig,
    "security": SecurityConfig,
    "cluster": ClusterConfig,
    "logging": LoggingConfig,
    "alerts": AlertsConfig,
}
