"""How a node comes to its log: it has one, or begins one with others at the same time, or joins a cluster."""

from __future__ import annotations

from asyncio import gather, sleep
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

import msgspec

from blockdb.cluster.consensus import papers
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.cluster.consensus.membership import Admission
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.cluster.peers import ask_address
from blockdb.errors import BlockDBError, ConfigError, InvalidData, Unavailable
from blockdb.format.consensus import NOBODY
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door

__all__ = ["open_log"]

_ASK_TIMEOUT_S: Final = 1.0
_AGAIN_S: Final = 0.2


async def open_log(settings: RaftSettings, door: Door, files: RaftFiles, applied: int = 0) -> tuple[DiskLog, Admission]:
    """The node's log; the cluster that it belongs to, and who belongs to that as far as the log does not say it.

    `applied` is what the state machine has: a new log begins behind that.

    Raises ConfigError, Corruption, StorageError, and Unavailable where nobody lets it join.
    """
    has_log = door.inode(files.id) is not None
    known = papers.owner_of(door, files)[0] if has_log else ""
    settings = replace(settings, cluster_id=settings.cluster_id or known)
    if has_log:
        disk = DiskLog.open(door, files, settings.cluster_id, settings.own.id)
        if disk.head != papers.START or disk.last_index:
            return disk, Admission(settings.cluster_id, NOBODY)
        disk.close()
    if settings.join:
        admission = await _join(settings)
        disk = DiskLog.open(door, files, admission.cluster_id, settings.own.id)
        if admission.is_known:
            disk.lost(1)
        return disk, admission
    return await _begin(settings, door, files, applied), Admission(settings.cluster_id, NOBODY)


async def _begin(settings: RaftSettings, door: Door, files: RaftFiles, applied: int) -> DiskLog:
    """Begin a new cluster with others, or alone behind what the state machine has.

    Where they have entries already, this node either comes late or had a log and lost it. Nobody can tell which, so it
    gives no vote before it has what they have.
    """
    own, members = settings.own, settings.bootstrap
    if own.id not in members:
        raise ConfigError(
            f"The node '{own.id}' has no log, and is not among those that begin a cluster "
            f"({', '.join(each.id for each in members.all) or 'nobody'}). Name it there, or let it join a cluster."
        )
    if applied and len(members.all) > 1:
        raise ConfigError(
            "This node has a database already, and the others begin without one: make it a cluster of its own "
            "(--bootstrap), and have the others join that (--join)."
        )
    if not settings.cluster_id:
        raise ConfigError("A new cluster needs a name, which is the same on all of its nodes.")
    others = [each.peer_address for each in members.all if each.id != own.id]
    is_late = any(await gather(*(_has_entries(settings, address) for address in others)))
    disk = DiskLog.open(door, files, settings.cluster_id, own.id)
    try:
        if is_late:
            disk.lost(1)
        disk.begin_anew(SnapshotHead(applied, 0, members))
    except BaseException:
        disk.close()
        raise
    return disk


async def _has_entries(settings: RaftSettings, address: str) -> bool:
    """Whether a node has begun its log."""
    try:
        return msgspec.msgpack.decode(await _ask(settings, address, "census", b"", _ASK_TIMEOUT_S), type=int) > 0
    except (Unavailable, InvalidData, msgspec.DecodeError):
        return False


async def _join(settings: RaftSettings) -> Admission:
    """Ask members to be let in, until one of them did."""
    deadline = monotonic() + settings.join_timeout_s
    own = msgspec.msgpack.encode(settings.own)
    while True:
        found = await _ask_each(settings, settings.join, own, deadline)
        if isinstance(found, Admission):
            return found
        if monotonic() > deadline:
            raise Unavailable(f"No member let this node in within {settings.join_timeout_s:g} s: {found}") from found
        await sleep(_AGAIN_S)


async def _ask_each(
    settings: RaftSettings, addresses: Sequence[str], own: bytes, deadline: float
) -> Admission | BlockDBError:
    error: BlockDBError = Unavailable("no address was given")
    for address in addresses:
        try:
            answer = await _ask(settings, address, "join", own, max(_ASK_TIMEOUT_S, deadline - monotonic()))
            return msgspec.msgpack.decode(answer, type=Admission)
        except Unavailable as caught:
            error = caught
        except msgspec.DecodeError as caught:
            error = Unavailable(f"{address} gave an answer that is none: {caught}")
    return error


async def _ask(settings: RaftSettings, address: str, name: str, body: bytes, timeout_s: float) -> bytes:
    return await ask_address(
        address,
        name,
        body,
        own_id=settings.own.id,
        cluster_id=settings.cluster_id,
        tls=settings.tls,
        insecure_public=settings.insecure_public,
        timeout_s=timeout_s,
        limits=settings.limits,
    )
