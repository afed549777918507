"""Opening the database of a node of a cluster with partitions: root first, then what the node holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from blockdb.cluster.database.front import PATIENCE_S
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.partitions.creating import Creating
from blockdb.cluster.partitions.database import PartitionedDatabase
from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.partitions.handles import Reach, Ways
from blockdb.cluster.partitions.holding import Holdings
from blockdb.cluster.partitions.rebalancing import ADD, REMOVE, Rebalancing, answer_add, answer_remove
from blockdb.cluster.partitions.registry import Registry
from blockdb.config import DatabaseConfig
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource

__all__ = ["open_partitioned"]


def open_partitioned(
    config: DatabaseConfig,
    engine: Engine,
    reach: Reach,
    *,
    defaults: Mapping[str, int] | None = None,
    source: MasterKeySource | None = None,
    adopt: bool = False,
    patience_s: float = PATIENCE_S,
    formation_s: float | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> PartitionedDatabase:
    """The database of a node, over an engine that was started, and is closed with it.

    What this node does not hold is asked of others through `reach`. `defaults` are `partitions` and
    `replication_factor` of collections that do not say. The rest, and what is raised, as `open_replicated`. It returns
    when what the node held before is open again, or has failed, which does not keep the rest from serving.
    """
    with ExitStack() as undo:
        undo.callback(engine.close)
        log = engine.log_of(ROOT, DatabaseFiles(Path(config.data_dir)))
        root = open_replicated(
            config, log, source=source, adopt=adopt, patience_s=patience_s, formation_s=formation_s, tell=tell
        )
        undo.callback(root.close)
        front = root._front
        registry = Registry(front)
        holdings = Holdings(engine, config, registry, source, patience_s)
        undo.callback(holdings.close)
        creating = Creating(engine, registry, log, (defaults or {}).get("replication_factor", 1))
        rebalancing = Rebalancing(engine, registry, creating)
        holdings.questions.update({ADD: answer_add, REMOVE: answer_remove})
        creating.further = rebalancing.repair
        ways = Ways(engine, registry, holdings, reach, patience_s)
        database = PartitionedDatabase(front, engine, holdings, creating, rebalancing, ways, defaults or {})
        holdings.start()
        database._recovering.start()
        known = registry.find(root.id)
        if known is not None:
            creating.complete(known)
        holdings.wait(patience_s)
        creating.start()
        undo.pop_all()
        return database
