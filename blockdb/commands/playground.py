"""A cluster to play with, for a front end that shows something else besides: begun, and ended with whoever began it."""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .cluster_demo import Stage, running, wait_for_leader, writing

if TYPE_CHECKING:
    from blockdb.cluster.demo.cluster import DemoCluster

__all__ = ["Playground"]


class Playground:
    """Nodes as processes of this machine, into which the same readings are stored each time, twenty a second."""

    def __init__(self, nodes: int = 3) -> None:
        """Nothing runs before `begin`."""
        self._nodes = nodes
        self._cluster: DemoCluster | None = None
        self._held: ExitStack | None = None
        self._is_closed = False
        self.urls: tuple[str, ...] = ()
        """Where they serve, once they do."""

    def begin(self) -> Stage:
        """Starts them, and waits until one leads: some seconds. Raises IoError, which names what is not installed,
        CannotOpen, OSError.
        """
        with ExitStack() as stack:
            arguments = Namespace(nodes=self._nodes, dir=None, engine="raft")
            cluster = self._cluster = stack.enter_context(running(arguments))
            if not self._is_closed:
                wait_for_leader(cluster)
                stack.enter_context(writing(cluster))
                self._held = stack.pop_all()
        self.urls = cluster.urls
        return Stage(cluster)

    def close(self) -> None:
        """Ends all of it, also while it begins. Idempotent."""
        self._is_closed = True
        held, self._held = self._held, None
        if held is not None:
            held.close()
        elif self._cluster is not None:
            self._cluster.close()
