"""Making a server a node of a cluster, of the engine that its configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blockdb.cluster.belonging import engine_of
from blockdb.config import JETSTREAM, Config
from blockdb.errors import ConfigError
from blockdb.masterkey import MasterKeySource
from blockdb.server.node import Node
from blockdb.server.nodes import files_of
from blockdb.server.reaching import Connect

__all__ = ["node_of"]


@contextmanager
def node_of(
    config: Config,
    port: int,
    source: MasterKeySource,
    connect: Connect | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Iterator[Node]:
    """A node that takes part until the block ends; `port` is that of HTTP.

    It is waited for a cluster that is not formed yet, and for a copy of what is damaged here: `tell` is given the words
    for that. `connect` is how a node reaches others, where its engine has it
    pass requests on. Raises what `open_replicated` raises.
    """
    _check_engine(config)
    if config.cluster.engine == JETSTREAM:
        from blockdb.server.jetstream_node import jetstream_node  # here: it takes another package

        assert connect is not None, "its nodes pass requests on to each other"
        made = jetstream_node(config, port, source, connect, tell)
    else:
        from blockdb.server.raft_node import raft_node

        made = raft_node(config, port, source, tell)
    with made as node:
        yield node


def _check_engine(config: Config) -> None:
    """Raise ConfigError where the node began with another engine."""
    files = files_of(config)
    has, given = engine_of(files), config.cluster.engine
    if has not in (None, given):
        raise ConfigError(
            f"[cluster] engine: {files.root} belongs to a node of a cluster whose engine is {has}, and stays so; it "
            f"should be {has}, not {given}. Or give this node a directory of its own."
        )
