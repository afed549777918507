"""All sections: what they take, where it comes from, and what is said of what is wrong."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import blockdb
from blockdb.config import (
    AlertsConfig,
    ClusterConfig,
    Config,
    DatabaseConfig,
    LoggingConfig,
    SecurityConfig,
    ServerConfig,
    Sources,
    load,
    load_all,
)
from blockdb.config.kinds import Kind
from blockdb.config.reference import reference
from blockdb.config.sections import SECTIONS
from blockdb.config.sources import KEYS, variables

ROOT = Path(__file__).parents[2]

EXAMPLE = """
[database]
data_dir = "./data"
memtable_size_limit = 134217728
wal_sync_interval = 500
compaction_threshold = 8
blockchain_batch_size = 5000

[server]
host = "0.0.0.0"
port = 8080
max_connections = 1000
request_timeout = 30
enable_cors = true
enable_compression = true

[cluster]
node_id = "production-node-1"
heartbeat_interval = 100
election_timeout = 200
enable_transactions = true
transaction_timeout = 45

[logging]
level = "info"
file = "./logs/blockdb.log"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "blockdb.toml"


def value_of(name: tuple[str, str]) -> Any:
    """A value that the key takes, other than its default."""
    special = {"level": "debug,server=error", "webhook": "https://hook.example/x", "cors_origins": ["https://a.b"]}
    special |= {
        "host": "0.0.0.0",
        "allowed_hosts": ["db.example.org"],
        "node_id": "n-1",
        "audit": "all",
        "format": "json",
    }
    special |= {
        "authentication": "on",
        "election_timeout": 999,
        "grpc_port": 78,
        "max_body_bytes": 7777,
        "max_header_bytes": 7777,
        "cluster_name": "shop",
        "engine": "jetstream",
        "nats_url": "nats://10.0.0.5:4222,tls://nats.example:4222",
        "replication_factor": 5,
        "nats_secret": "between-us",
        "peers": ["n2:[::1]:81", "n3:host:82:83"],
        "read_concern": "Local",
    }
    section, key = name
    default = getattr(SECTIONS[section](), key)
    if key in special:
        return special[key]
    return not default if isinstance(default, bool) else "x.pem" if default == "" else 77


ALONE = {("cluster", key) for key in ("bootstrap", "join", "replica", "members", "mirror_of", "mirror_port")}
"""What does not stand with others."""
NAMES = [name for name in KEYS if name[0] != "database" and name not in ALONE]


def test_every_key_comes_from_file_environment_and_flags(file: Path) -> None:
    wanted: dict[str, dict[str, Any]] = {}
    for section, key in NAMES:
        wanted.setdefault(section, {})[key] = value_of((section, key))
    file.write_text(tomli_w.dumps(wanted))
    from_file = load_all(environ={})
    file.unlink()
    texts = {variables(name)[0]: value_of(name) for name in NAMES}
    environ = {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in texts.items()}
    assert from_file == load_all(environ=environ) != Config()
    assert from_file == load_all(environ={}, flags={".".join(name): value_of(name) for name in NAMES})
    for section, key in NAMES:
        found = getattr(getattr(from_file, section), key)
        assert (list(found) if isinstance(found, tuple) else found) == value_of((section, key))


def test_an_example_with_all_the_well_known_keys(file: Path) -> None:
    file.write_text(EXAMPLE)
    config = load_all(environ={})
    assert config.server == ServerConfig(host="0.0.0.0", enable_cors=True)
    assert config.logging == LoggingConfig(file="./logs/blockdb.log")
    assert config.database.transaction_timeout == config.cluster.transaction_timeout == 45
    assert load(environ={}) == config.database


def test_names_that_are_shorter() -> None:
    config = load_all(environ={"BLOCKDB_LOG_LEVEL": "debug", "BLOCKDB_CLUSTER_ID": "n7", "BLOCKDB_SERVER_PORT": "9"})
    assert (config.logging.level, config.cluster.node_id, config.server.port) == ("debug", "n7", 9)
    with pytest.raises(blockdb.ConfigError, match="BLOCKDB_LOG_LEVEL: it is the same as BLOCKDB_LOGGING_LEVEL"):
        load_all(environ={"BLOCKDB_LOG_LEVEL": "debug", "BLOCKDB_LOGGING_LEVEL": "info"})


def test_one_time_out_under_two_names(file: Path) -> None:
    file.write_text("[database]\ntransaction_timeout = 5\n[cluster]\ntransaction_timeout = 6\n")
    message = r"^blockdb.toml: \[cluster\] transaction_timeout: it is the same as .*\[database\] transaction_timeout"
    for look in (load, load_all):
        with pytest.raises(blockdb.ConfigError, match=message):
            look(environ={})
    file.write_text("[database]\ntransaction_timeout = 6\n[cluster]\ntransaction_timeout = 6\n")
    assert load(environ={"BLOCKDB_TRANSACTION_TIMEOUT": "7"}).transaction_timeout == 7
    assert load_all(environ={}, flags={"cluster.transaction_timeout": 8}).database.transaction_timeout == 8
    with pytest.raises(blockdb.ConfigError, match=r"^\[cluster\] transaction_timeout: .* should be 30, not 31"):
        Config(cluster=ClusterConfig(transaction_timeout=31))
    assert Config(database=DatabaseConfig(transaction_timeout=3)).cluster.transaction_timeout == 3


@pytest.mark.parametrize("wrong", [[], {}, 1.5, -1, "\0", "no such word\n", [5]], ids=repr)
def test_a_wrong_value_is_named_with_what_may_stand_there(wrong: object, file: Path) -> None:
    for section, key in NAMES:
        kind: Kind = KEYS[section, key]
        if (wrong == [] and "list" in kind.allowed) or (wrong == "no such word\n" and "path" in kind.allowed):
            continue
        with pytest.raises(blockdb.ConfigError, match=rf"^\[{section}\] {key}: it should be "):
            SECTIONS[section](**{key: wrong})
        if wrong != "\0":
            file.write_text(tomli_w.dumps({section: {key: wrong}}))
            with pytest.raises(blockdb.ConfigError, match=rf"^blockdb.toml: \[{section}\] {key}: it should be "):
                load_all(environ={})


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    file.write_text('[server]\nport = -1\nprot = 1\n[logging]\nlevel = "loud"\n[nothing]\n[security]\ntls_key = "k"\n')
    sources = Sources(
        environ={"BLOCKDB_ALERTS_INTERVAL": "soon"}, flags={"server.grpc_port": 99_999, "logging.level": "info"}
    )
    told = [problem.partition(": it should")[0].partition(": there is")[0] for problem in sources.problems()]
    assert set(told) == {
        "blockdb.toml: [server] prot",
        "blockdb.toml",
        "blockdb.toml: [server] port",
        "BLOCKDB_ALERTS_INTERVAL",
        "--grpc-port",
        "blockdb.toml: [logging] level",  # although a flag stands over it
        "[security] tls_certificate",
    }
    with pytest.raises(blockdb.ConfigError) as error:
        sources.config()
    assert all(words in str(error.value) for words in ("prot", "--grpc-port", "tls_certificate", "BLOCKDB_ALERTS"))
    assert "loud" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        (SecurityConfig, {"tls_certificate": "c"}, r"\[security\] tls_key: it should be given too"),
        (SecurityConfig, {"tls_key": "c"}, r"\[security\] tls_certificate: it should be given too"),
        (SecurityConfig, {"tls_client_ca": "c"}, r"\[security\] tls_client_ca: .*tls_certificate"),
        (ClusterConfig, {"election_timeout": 299}, r"\[cluster\] election_timeout: it should be at least 300"),
        (ServerConfig, {"cors_origins": ["https://a.b/path"]}, r"\[server\] cors_origins: it should be an origin"),
        (ServerConfig, {"allowed_hosts": ["a:80"]}, r"\[server\] allowed_hosts: it should be a name without a port"),
        (LoggingConfig, {"level": "info,server=loud"}, r"\[logging\] level"),
        (AlertsConfig, {"webhook": "file:///x"}, r"\[alerts\] webhook: it should be a URL.*http://\.$"),
    ],
)
def test_what_does_not_go_together(section: Any, values: dict[str, Any], words: str) -> None:
    with pytest.raises(blockdb.ConfigError, match=words):
        section(**values)
    with pytest.raises(blockdb.ConfigError, match=r"\[server\] grpc_port: it should be another one than port"):
        Config(server=ServerConfig(port=9000, grpc_port=9000))


def test_what_a_container_platform_sets_is_told_apart() -> None:
    with pytest.raises(blockdb.ConfigError, match="turn its service links off"):
        load_all(environ={"BLOCKDB_SERVER_PORT": "tcp://10.0.0.7:8080"})


def test_the_values_of_other_sections_do_not_concern_the_database(file: Path) -> None:
    file.write_text("[server]\nport = -1\n")
    assert load(environ={}) == DatabaseConfig()
    file.write_text("[server]\nprot = -1\n")
    with pytest.raises(blockdb.ConfigError, match=r"\[server\] prot: there is no such setting"):
        load(environ={})


def test_where_each_value_comes_from(file: Path) -> None:
    file.write_text("[server]\nport = 1\n[cluster]\ntransaction_timeout = 9\n[logging]\nlevel = 'error'\n")
    sources = Sources(environ={"BLOCKDB_LOG_LEVEL": "debug"}, flags={"server.host": "::1"})
    given = {name: (each.origin, each.where) for name, each in sources.given().items()}
    assert given.keys() == KEYS.keys()
    assert given["server", "host"] == ("flag", "--host")
    assert given["server", "port"] == ("file", "blockdb.toml: [server] port")
    assert given["logging", "level"] == ("environment", "BLOCKDB_LOG_LEVEL")
    assert given["database", "transaction_timeout"] == ("file", "blockdb.toml: [cluster] transaction_timeout")
    assert given["server", "grpc_port"] == ("default", "")


def test_the_page_of_all_keys_is_current() -> None:
    page = (ROOT / "docs/CONFIGURATION.md").read_text()
    assert page == reference(), "run: python -m blockdb.config.reference > docs/CONFIGURATION.md"
    assert all(f"`{each.name}`" in page for config in SECTIONS.values() for each in fields(config))  # type: ignore[arg-type]


def test_a_whole_configuration_is_frozen_and_plain() -> None:
    assert asdict(Config())["server"]["cors_origins"] == ()
    assert hash(Config()) == hash(Config())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"join": ["a:1"], "bootstrap": True}, r"\[cluster\] bootstrap: it cannot stand with join"),
        ({"peers": ["b:h:1"], "join": ["a:1"]}, r"\[cluster\] join: it cannot stand with peers"),
        ({"peers": ["b:h:1"], "node_id": ""}, r"\[cluster\] node_id: it should be given, since peers is"),
        ({"peer_ca": "ca.crt"}, r"\[cluster\] peer_certificate: it should be given too, since peer_ca is"),
        ({"replica": True}, r"\[cluster\] replica: it should stand with join"),
        ({"peers": ["a:h:1"]}, r"\[cluster\] peers: they are the other nodes; a is this one"),
        ({"peers": ["b:h:1", "b:h:2"]}, r"\[cluster\] peers: b is there twice"),
        ({"members": ["b:h:1", "b:h:2"]}, r"\[cluster\] members: b is there twice"),
        ({"members": ["a:h:1"], "peers": ["b:h:1"]}, r"\[cluster\] members: it cannot stand with peers"),
        ({"members": ["a:h:1"], "node_id": ""}, r"\[cluster\] node_id: it should be given, since members is"),
        ({"members": ["a:h:1"], "replica": True}, r"\[cluster\] replica: it should stand with join"),
        ({"peers": ["b:h"]}, r"\[cluster\] peers: it should be name:host:port"),
        ({"join": ["h"]}, r"\[cluster\] join: it should be host:port"),
        ({"cluster_name": "-"}, r"\[cluster\] cluster_name: it should be letters"),
        ({"engine": "paxos"}, r"\[cluster\] engine: it should be 'raft' or 'jetstream'"),
        ({"nats_url": "nats://h:4222"}, r"\[cluster\] nats_url: it is for the engine jetstream"),
        ({"partitions": 8}, r"\[cluster\] partitions: it is for the engine jetstream"),
        ({"engine": "jetstream", "join": ["h:1"], "replica": True}, r"\[cluster\] replica: it is for the engine raft"),
        ({"engine": "jetstream", "nats_url": "http://h"}, r"\[cluster\] nats_url: it should be servers such as nats"),
        ({"read_concern": "Quorum"}, r"\[cluster\] read_concern: it should be 'Linearizable' or 'Local'"),
    ],
)
def test_a_cluster_has_one_beginning(given: dict[str, Any], words: str) -> None:
    with pytest.raises(blockdb.ConfigError, match=words):
        ClusterConfig(**{"node_id": "a", **given})
    assert not ClusterConfig(node_id="a").is_cluster
    assert ClusterConfig(node_id="a", join=("h:1",), replica=True).is_cluster


def test_members_are_the_same_list_for_all_nodes() -> None:
    listed = ("a:h:1", "b:h:2:9300")
    first, joining = (ClusterConfig(node_id=name, members=listed) for name in ("a", "c"))
    assert (first.own_entry, first.others, first.ways_in) == ("a:h:1", ("b:h:2:9300",), ())
    assert (joining.own_entry, joining.others, joining.ways_in) == ("", (), ("h:1", "h:2:9300"))
    assert first.is_cluster
    assert joining.is_cluster
    assert ClusterConfig(node_id="c", members=listed, replica=True).ways_in
