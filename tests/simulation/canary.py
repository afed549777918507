"""A core that is wrong on purpose: whoever simulates it and finds nothing has a simulation that sees nothing."""

from __future__ import annotations

from dataclasses import replace

from blockdb.raft import Raft, Ready


class Hasty(Raft):
    """It promises before the disk has what it promises."""

    def ready(self) -> Ready:
        """As it should be, but that nothing waits for the disk."""
        ready = super().ready()
        return replace(ready, at_once=ready.at_once + ready.after_force, after_force=())


class Slow(Raft):
    """It never stands for election."""

    def tick(self) -> None:
        """Let no time go by."""
