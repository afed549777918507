"""How nodes are written down."""

from __future__ import annotations

import pytest

from blockdb.cluster.peers import host_and_port, parse_peer
from blockdb.cluster.peers.addresses import joined
from blockdb.errors import ConfigError
from blockdb.format.consensus import Member

PEERS = {
    "node2:192.168.1.11:8080": Member("node2", "192.168.1.11:8080", "192.168.1.11:9080"),
    "node2:192.168.1.11:8080:9300": Member("node2", "192.168.1.11:8080", "192.168.1.11:9300"),
    "n:db.example.org:64535": Member("n", "db.example.org:64535", "db.example.org:65535"),
    "n:[::1]:80": Member("n", "[::1]:80", "[::1]:1080"),
    "n:[2001:db8:0::1]:80:81": Member("n", "[2001:db8::1]:80", "[2001:db8::1]:81"),
    "a.b_c-d:localhost:1": Member("a.b_c-d", "localhost:1", "localhost:1001"),
}
NO_PEERS = {
    "": "is no node: write ID:HOST:PORT",
    "node2": "is no node",
    "node2:8080": "is no node",
    "node2:host:1:2:3": "is no node",
    "node2:::1:8080": "is no node",
    ":host:8080": "'' cannot be the id of a node",
    "-x:host:8080": "'-x' cannot be the id of a node",
    "a/b:host:8080": "'a/b' cannot be the id of a node",
    "n" * 65 + ":host:8080": "cannot be the id of a node",
    "n::8080": "'' is neither the name of a host",
    "n:bücher:8080": "is neither the name of a host",
    "n:-h:8080": "is neither the name of a host",
    "n:[::g]:8080": "is no IPv6 address",
    "n:host:": "'' is no port; it should be a number from 1 to 65535",
    "n:host:0": "'0' is no port",
    "n:host:65536": "'65536' is no port",
    "n:host:1:x": "'x' is no port",
    "n:host:+1": "is no port",
    "n:host:٣": "is no port",
    "n:host:65000": "65000 \\+ 1000 is no port. Give the port for nodes as a fourth part",
}


@pytest.mark.parametrize("text", PEERS)
def test_a_node(text: str) -> None:
    assert parse_peer(text) == PEERS[text]


@pytest.mark.parametrize("text", NO_PEERS)
def test_no_node(text: str) -> None:
    with pytest.raises(ConfigError, match=NO_PEERS[text]):
        parse_peer(text)


def test_addresses() -> None:
    assert host_and_port("[::1]:0") == ("::1", 0)
    assert host_and_port("localhost:9080") == ("localhost", 9080)
    for address in ("[::1]:80", "a:1"):
        assert joined(*host_and_port(address)) == address
    for text in ("", "host", "host:", "::1:80", "host:65536"):
        with pytest.raises(ConfigError):
            host_and_port(text)
