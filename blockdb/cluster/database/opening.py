"""Opening the database of a node: what it has is opened, the log started, and, in a new cluster, the database made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from os import urandom
from threading import Event
from time import monotonic, time_ns
from typing import Final

from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.front import PATIENCE_S, Front
from blockdb.cluster.machine.commands import ID_BYTES, SEED_BYTES, Genesis, encode
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.config import DatabaseConfig
from blockdb.errors import Corruption, Unavailable
from blockdb.masterkey import MasterKeySource

__all__ = ["open_replicated"]

_DAMAGED: Final = (
    "The database of this node is damaged ({}: {}), and a copy is fetched from another node. What is here stays in "
    "quarantine/. Ask another node meanwhile."
)

LOOK_S: Final = 0.05
"""So often a node without a database looks whether it is to make one."""


def open_replicated(
    config: DatabaseConfig,
    log: ReplicatedLog,
    *,
    source: MasterKeySource | None = None,
    adopt: bool = False,
    patience_s: float = PATIENCE_S,
    formation_s: float | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> ReplicatedDatabase:
    """The database of a node, over a log that was not started yet.

    In a new cluster the leader proposes to make the database; all others wait until they have it: for ever, or for
    `formation_s` seconds. One that is damaged is waited for likewise, as long as another node counts that may have a
    copy: `tell` is given the words that say so. `adopt` is for a directory whose database is to be the beginning of a
    cluster, and for logs that keep nothing themselves. Commands are tried for `patience_s` seconds.

    Raises Unavailable where it takes longer; ConfigError, Corruption, DatabaseLocked, DatabaseNotFound (of a database
    that belongs to no cluster), MasterKeyError, StorageError.
    """
    machine = Machine(config, source, adopt=adopt)
    try:
        log.start(machine)
        if machine.damage is not None:
            _insist_on_others(log, machine.damage)
            tell(_DAMAGED.format(machine.damage.path, machine.damage.what))
        _wait_for_database(config, log, machine, formation_s)
        return ReplicatedDatabase(Front(log, machine, patience_s))
    except BaseException:
        try:
            log.close()
        finally:
            machine.close()
        raise


def _insist_on_others(log: ReplicatedLog, damage: Corruption) -> None:
    """Raise what is damaged unless another node counts that may have a copy of it."""
    if not log.members().voters - {log.status().node_id}:
        raise damage


def _wait_for_database(config: DatabaseConfig, log: ReplicatedLog, machine: Machine, formation_s: float | None) -> None:
    is_there = Event()
    machine.on_database = lambda _: is_there.set()
    until = None if formation_s is None else monotonic() + formation_s
    proposed: Future[int] | None = None
    while not machine.has_database:
        if not machine.needs_copy:
            machine.check()
        status = log.status()
        if status.stopped:
            raise Unavailable(status.stopped)
        if status.leader != status.node_id or machine.needs_copy:
            proposed = None
        elif proposed is None or (proposed.done() and proposed.exception() is not None):
            proposed = log.append([_genesis(config)])
        is_there.wait(LOOK_S)
        if until is not None and monotonic() > until and not machine.has_database:
            raise Unavailable(
                f"The cluster was not formed within {formation_s:g} s: start the other nodes, and see that they reach "
                "each other."
            )


def _genesis(config: DatabaseConfig) -> bytes:
    content = Genesis(config.blockchain_batch_size, config.redactable, bool(config.encryption_enabled))
    return encode(urandom(ID_BYTES), time_ns() // 1_000_000, urandom(SEED_BYTES), content)
