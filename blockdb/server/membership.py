"""Who is in the cluster, between the replicated log and whoever asks."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotYet
from time import monotonic, time
from typing import Final, TypeVar

from blockdb.cluster.replicated_log import LogStatus, MemberStatus, ReplicatedLog
from blockdb.config import ClusterConfig
from blockdb.errors import InvalidData, Unavailable
from blockdb.format.consensus import Member, Role
from blockdb.nodes import ClusterState, NodeState

__all__ = ["PEER_PORTS", "add", "address_of", "check_member", "outcome", "peer_address_of", "remove", "state_of"]

T = TypeVar("T")

PEER_PORTS: Final = 1_000
"""So much above the port for users is the port for other nodes, unless another one is given."""
PATIENCE_S: Final = 20.0
"""How long it is waited for a change of the members, or for another leader."""
LOOK_S: Final = 0.02


def state_of(status: LogStatus) -> ClusterState:
    """What users are told of the log's status: places are counted in entries."""
    return ClusterState(
        cluster_id=status.cluster_id,
        node_id=status.node_id,
        engine=status.engine,
        state=status.state,
        term=status.term,
        leader=status.leader,
        first_index=-(-status.first_index // status.step),
        last_index=status.last_index // status.step,
        commit=status.commit // status.step,
        applied=status.applied // status.step,
        last_election_ms=status.last_election_ms,
        elections=status.elections,
        diverged=status.diverged,
        members=tuple(_node(each, status) for each in status.members),
    )


def _node(each: MemberStatus, status: LogStatus) -> NodeState:
    member = each.member
    return NodeState(
        id=member.id,
        address=member.address,
        peer_address=member.peer_address,
        role=member.role.name.lower(),
        state=each.state,
        last_heard_ms=int(time() * 1000) if member.id == status.node_id else each.last_heard_ms,
        match=each.match // status.step,
        commit=each.commit // status.step,
        applied=each.applied // status.step,
        lag=each.lag,
        head=each.head,
        agrees=each.agrees,
    )


def address_of(text: str) -> tuple[str, int]:
    """Host and port. Raises InvalidData for what is no `host:port`."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536
    if not host or not is_port or not host.isprintable() or set(host) & set(" /@,"):
        raise InvalidData(f"address: it should be host:port, such as 192.168.1.13:8080, not {text!r}.")
    return host, int(port)


def peer_address_of(address: str) -> str:
    """Where the node that serves its users at an address talks to other nodes, unless it says so itself."""
    host, port = address_of(address)
    if port + PEER_PORTS >= 65_536:
        raise InvalidData(f"peer_address: it should be given, since no port is {PEER_PORTS:,} higher than {port}.")
    return f"{host}:{port + PEER_PORTS}"


def add(log: ReplicatedLog, id_: str, address: str, peer_address: str = "", *, is_replica: bool = False) -> None:
    """Take a node in: it belongs to the cluster when this returns, and counts once it has caught up.

    Raises InvalidData, Unavailable.
    """
    address_of(address)
    if peer_address:
        address_of(peer_address)
    role = Role.REPLICA if is_replica else Role.VOTER
    _check_new(log, id_, address)
    member = Member(id_, address, peer_address or peer_address_of(address), role)
    _wait_for(log, log.add_member(member), id_)


def _check_new(log: ReplicatedLog, id_: str, address: str) -> None:
    if not id_:
        raise InvalidData("node_id: it should be given.")
    ClusterConfig(node_id=id_)
    for member in log.members().all:
        if member.address == address and member.id != id_:
            raise InvalidData(f"address: {address} is that of {member.id}. Remove that one first.")


def check_member(log: ReplicatedLog, id_: str) -> None:
    """Raise InvalidData where there is no such node."""
    if id_ not in log.members():
        known = ", ".join(member.id for member in log.members().all)
        raise InvalidData(f"node_id: there is no {id_!r} in the cluster; its nodes are {known}.")


def remove(log: ReplicatedLog, id_: str) -> None:
    """Let a node go. Raises InvalidData, Unavailable."""
    check_member(log, id_)
    outcome(log.remove_member(id_))


def outcome(future: Future[T], timeout_s: float = PATIENCE_S) -> T:
    """What became of it. Raises what it failed with, Unavailable."""
    try:
        return future.result(timeout_s)
    except (NotYet, CancelledError):
        raise Unavailable(
            f"The cluster has not decided within {timeout_s:g} s. See /cluster/members for what became of it."
        ) from None


def _wait_for(log: ReplicatedLog, future: Future[int], id_: str) -> None:
    """Wait until a member is in the list, and the list is decided: that it has caught up is not waited for."""
    until, wanted = monotonic() + PATIENCE_S, 0
    while monotonic() < until:
        try:
            future.result(LOOK_S)
            return
        except (NotYet, CancelledError):
            pass
        if not wanted and id_ in log.members():
            wanted = log.status().last_index
        if wanted and log.status().commit >= wanted:
            return
    outcome(future, LOOK_S)
