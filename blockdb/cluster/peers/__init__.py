"""Nodes talk to each other: frames, the handshake, TLS, connections that come back, and the bytes of snapshots."""

from __future__ import annotations

from blockdb.cluster.peers.addresses import host_and_port, parse_peer
from blockdb.cluster.peers.asking import ask_address
from blockdb.cluster.peers.handling import Contact, PeerHandler
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.peers import Peers
from blockdb.cluster.peers.tls import PeerTls

__all__ = ["Contact", "Limits", "PeerHandler", "PeerTls", "Peers", "ask_address", "host_and_port", "parse_peer"]
