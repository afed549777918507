"""A node of a cluster whose collections are spread over partitions, whatever engine makes their logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

from blockdb.cluster.partitions.engine import Engine
from blockdb.cluster.partitions.opening import open_partitioned
from blockdb.config import Config
from blockdb.masterkey import MasterKeySource
from blockdb.nodes import StreamGroup
from blockdb.server.node import PATIENCE_S, Node, tell_damage
from blockdb.server.node_tokens import NodeTokens
from blockdb.server.partitioned_concerns import PartitionedConcerns
from blockdb.server.reaching import Connect, Reaching
from blockdb.server.spread import Spread

__all__ = ["partitioned_node"]

log: Final = logging.getLogger("blockdb.server.cluster")


@contextmanager
def partitioned_node(
    config: Config,
    engine: Engine,
    source: MasterKeySource,
    connect: Connect,
    groups: Callable[[], tuple[StreamGroup, ...]] = tuple,
    tell: Callable[[str], None] = lambda words: None,
    forget: Callable[[str], None] = lambda node_id: None,
) -> Iterator[Node]:
    """A node that takes part until the block ends, over an engine that was started and is closed with it.

    `groups` are the Raft groups of the engine; `tell` is given words for a copy that is waited for; `forget` has the
    engine forget a node that has left. Raises what `open_partitioned` raises.
    """
    with ExitStack() as stack:
        tokens = NodeTokens(lambda: database.signing_seed)
        reach = Reaching(connect, config, lambda: tokens.token_of(engine.own.id))
        stack.callback(reach.close)
        cluster = config.cluster
        database = open_partitioned(
            config.database,
            engine,
            reach,
            defaults={"partitions": cluster.partitions, "replication_factor": cluster.replication_factor},
            source=source,
            patience_s=PATIENCE_S,
            tell=partial(tell_damage, tell),
        )
        stack.callback(database.close)
        stack.callback(log.info, "ending: leaving the logs, closing the databases")
        concerns = PartitionedConcerns(database.log, database, cluster.read_concern)
        spread = Spread(database, reach, groups, forget)
        node = Node(database.log, database, concerns, tokens=tokens, spread=spread)
        database.on_copy(lambda: [take() for take in node.on_copy])
        yield node
