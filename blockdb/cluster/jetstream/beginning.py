"""How a node comes to its cluster: with those that begin one, or by joining one that is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from blockdb.cluster.jetstream.rosters import Rosters
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.partitions.engine import ROOT
from blockdb.errors import Unavailable
from blockdb.format.consensus import Member, Members, Role
from blockdb.layout import DatabaseFiles

__all__ = ["take_part"]

LOOK_S: Final = 0.1

_log = logging.getLogger("blockdb.cluster.jetstream")


def take_part(settings: JetStreamSettings, rosters: Rosters, create: Callable[[str, Members, int], None]) -> None:
    """See that root is there, and this node in its roster where it should be. Raises Unavailable."""
    if ROOT not in rosters.all() and settings.bootstrap.all and not settings.mirror_of:
        create(ROOT, settings.bootstrap, settings.replicas)
        _log.info("the cluster %s begins with %s", settings.cluster_id, ", ".join(sorted(settings.bootstrap.voters)))
    deadline = time.monotonic() + settings.start_timeout_s
    while ROOT not in rosters.all():
        if time.monotonic() > deadline:
            raise Unavailable(f"There is no cluster {settings.cluster_id} that {settings.own.id} could join.")
        time.sleep(LOOK_S)
    if settings.mirror_of:
        return
    is_new = bool(settings.join) and not DatabaseFiles(settings.data_dir).registry.exists()
    rosters.change(ROOT, lambda roster: _with(roster, settings.own, is_new))


def _with(roster: Members | None, own: Member, is_new: bool) -> Members | None:
    """A roster in which a node is that joins, and under the addresses that it has now."""
    if roster is None:
        return None
    there = roster.get(own.id)
    if there is not None:
        return roster.with_member(msgspec.structs.replace(own, role=there.role))
    if not is_new:
        return roster
    return roster.with_member(own if own.role is Role.REPLICA else msgspec.structs.replace(own, role=Role.LEARNER))
