"""The small files beside the log of consensus: whose it is, what it begins behind, who got the vote, what was lost."""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

import msgspec

from blockdb.errors import ConfigError, Corruption
from blockdb.format.consensus import NOBODY, HardState, Members
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

INCARNATION_BYTES: Final = 16
START: Final = SnapshotHead(0, 0, NOBODY)
"""What a log begins behind that begins at the beginning."""

_ID: Final = "raft id"
_HEAD: Final = "raft head"
_STATE: Final = "raft state"
_MENDING: Final = "raft mending"
_RESTORING: Final = "raft restoring"


class Beginning(NamedTuple):
    """What the log begins behind, and the number of the first file that counts."""

    head: SnapshotHead = START
    first_file: int = 0


def new_incarnation() -> bytes:
    """16 bytes that no other log has."""
    return os.urandom(INCARNATION_BYTES)


def save_id(door: Door, files: RaftFiles, cluster_id: str, node_id: str, incarnation: bytes) -> None:
    """Write whose log it is, which makes the directory a log."""
    values = {"cluster_id": cluster_id, "node_id": node_id, "incarnation": incarnation.hex()}
    save_checked(door, files.id, _ID, values)


def load_id(door: Door, files: RaftFiles, cluster_id: str, node_id: str) -> bytes:
    """The incarnation. Raises ConfigError for the log of another node or cluster, Corruption."""
    values = load_checked(door, files.id, _ID)
    found = values.get("cluster_id"), values.get("node_id")
    if found != (cluster_id, node_id):
        raise ConfigError(
            f"{files.root} belongs to the node {found[1]!r} of the cluster {found[0]!r}, and this is {node_id!r} of "
            f"{cluster_id!r}. Start the node that it belongs to, or give this one a directory of its own."
        )
    return bytes.fromhex(values["incarnation"])


def save_beginning(door: Door, files: RaftFiles, beginning: Beginning) -> None:
    """Write what the log begins behind. From then on files before its first one do not count."""
    save_checked(door, files.head, _HEAD, _values(beginning))


def _values(beginning: Beginning) -> dict[str, Any]:
    head: dict[str, Any] = {"index": beginning.head.index, "term": beginning.head.term}
    members = [msgspec.structs.asdict(member) for member in beginning.head.members.all]
    return {**head, "first_file": beginning.first_file, "members": members}


def load_beginning(door: Door, files: RaftFiles) -> Beginning:
    """The same, read. Raises Corruption."""
    return _beginning(load_checked(door, files.head, _HEAD))


def _beginning(values: dict[str, Any]) -> Beginning:
    members = [list(member.values()) for member in values["members"]]
    head = SnapshotHead(values["index"], values["term"], msgspec.convert([members], Members))
    return Beginning(head, values["first_file"])


def save_state(door: Door, files: RaftFiles, state: HardState) -> None:
    """Write the term, and who got the vote in it: once more, since nothing else makes up for their loss."""
    save_checked(door, files.state, _STATE, {"term": state.term, "vote": state.vote})


def load_state(door: Door, files: RaftFiles) -> HardState | None:
    """The same, read; None where the file is damaged or gone."""
    try:
        values = load_checked(door, files.state, _STATE)
    except Corruption:
        return None
    return HardState(values["term"], values["vote"])


def save_damage(door: Door, files: RaftFiles, first_damaged: int) -> None:
    """Write that acknowledged entries are lost."""
    save_checked(door, files.mending, _MENDING, {"first_damaged": first_damaged})


def load_damage(door: Door, files: RaftFiles) -> int | None:
    """The first entry that was lost and not made up for. A file that is damaged says that something was."""
    if door.inode(files.mending) is None:
        return None
    try:
        return int(load_checked(door, files.mending, _MENDING)["first_damaged"])
    except Corruption:
        return 1


def owner_of(door: Door, files: RaftFiles) -> tuple[str, str]:
    """The cluster and the node that a log belongs to. Raises Corruption."""
    values = load_checked(door, files.id, _ID)
    return str(values.get("cluster_id", "")), str(values.get("node_id", ""))


def save_restoring(door: Door, files: RaftFiles, head: SnapshotHead) -> None:
    """Write that the state machine is about to become what a snapshot holds: the log has to begin behind it then."""
    save_checked(door, files.restoring, _RESTORING, _values(Beginning(head)))


def load_restoring(door: Door, files: RaftFiles) -> SnapshotHead | None:
    """The snapshot that was being taken over; None where there is none. Raises Corruption."""
    if door.inode(files.restoring) is None:
        return None
    return _beginning(load_checked(door, files.restoring, _RESTORING)).head


def forget_restoring(door: Door, files: RaftFiles) -> None:
    """The log begins behind it, or has what it stands for; or nothing came of it."""
    if door.inode(files.restoring) is not None:
        door.remove(files.restoring)
        door.force_directory(files.root)
