"""What goes wrong, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.network import shapes
from tests.simulation.plan import ELECTION, ELECTION_TICKS, MS, STORM

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.node import Node

MAX_NEWCOMERS = 3


class Faults:
    """Strikes again and again, until it is told that it is over."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world, self._plan = cluster.world, cluster.plan
        self.is_over = False
        self._newcomers = 0
        self._storms = 0
        if self._plan.faults:
            self._world.after(self._world.spread(self._plan.calm), self._strike)

    def _strike(self) -> None:
        if self.is_over:
            return
        self._world.after(self._world.spread(self._plan.calm), self._strike)
        kind = self._world.chance.choice(self._plan.faults)
        self._world.say("FAULT", kind)
        getattr(self, "_" + kind.replace(" ", "_"))()

    def elected(self, node: Node) -> None:
        """Somebody leads now: what happens to the young is what elections are hard about."""
        if not self.is_over and "youth" in self._plan.faults and self._world.chance.random() < 0.7:
            self._world.after(self._world.spread(15 * MS), self._befall, node)

    def restored(self, node: Node) -> None:
        """Somebody has taken over a snapshot, and the log behind it is not on the disk yet: a good moment to crash."""
        if not self.is_over and self._plan.faults and self._world.chance.random() < 0.3:
            self._world.after(self._world.spread(self._plan.disk_delay // 2), self._crash_one, node)

    def _befall(self, node: Node) -> None:
        chance, network, world = self._world.chance, self._cluster.network, self._world
        if self.is_over or node.raft is None or not node.raft.is_leader:
            return
        what = chance.choice(("crash", "cut", "change", "change and cut"))
        world.say("FAULT", f"{what} of the young leader {node.id}")
        if what == "crash":
            node.crash()
            world.after(self._soon(), self._start, node)
        if what.startswith("change") and "membership" in self._plan.faults:
            self._change_members(node)
        if what.endswith("cut"):
            others = [id_ for id_ in self._cluster.ids if id_ != node.id and chance.random() < 0.7]
            network.split([node.id], others)
            world.after(world.spread(4 * ELECTION), self._heal)

    def _youth(self) -> None:
        """Have somebody stand, so that there is somebody young."""
        self._anyone().burst(ELECTION_TICKS)

    def end(self) -> None:
        """Nothing more goes wrong, and what is broken is mended: now everybody must come to agree."""
        cluster = self._cluster
        self.is_over = True
        cluster.network.heal()
        cluster.network.weather = cluster.calm_weather
        for node in cluster.nodes.values():
            node.disk_slowness = 1
            node.resume()
            node.is_gone &= not any(node.id in other.disk.seen.members for other in cluster.nodes.values())
            self._start(node)

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _anyone(self) -> Node:
        """A node; often the leader, who matters most."""
        leader = self._cluster.leader()
        if leader is not None and self._world.chance.random() < 0.4:
            return leader
        return self._cluster.nodes[self._world.chance.choice(self._cluster.ids)]

    def _soon(self) -> int:
        """How long something lasts."""
        return self._world.spread(self._world.chance.choice((0, ELECTION, 4 * ELECTION)))

    def _start(self, node: Node) -> None:
        if node.raft is None and not node.is_gone:
            node.start()

    # ── each of them ─────────────────────────────────────────────────────────────────────────────────────────────

    def _partition(self) -> None:
        cluster = self._cluster
        if len(cluster.ids) < 2:
            return
        leader = cluster.leader()
        if self._world.chance.random() < 0.5:
            cluster.network.heal()
        shape = shapes(cluster.network, cluster.ids, leader.id if leader else "", self._world.chance)
        self._world.say("FAULT", shape)
        self._world.after(self._world.spread(5 * ELECTION), self._heal)

    def _heal(self) -> None:
        if not self.is_over:
            self._cluster.network.heal()

    def _crash(self) -> None:
        self._crash_one(self._anyone())

    def _crash_one(self, node: Node) -> None:
        node.crash()
        self._world.after(self._soon(), self._start, node)

    def _crash_all(self) -> None:
        for node in list(self._cluster.nodes.values()):
            node.crash()
            self._world.after(self._soon(), self._start, node)

    def _disk_error(self) -> None:
        """A force fails: nobody knows what is on the disk, so the node ends, and comes back much later."""
        node = self._anyone()
        node.crash()
        self._world.after(self._world.spread(8 * ELECTION), self._start, node)

    def _pause(self) -> None:
        node = self._anyone()
        node.pause()
        self._world.after(self._world.spread(4 * ELECTION), node.resume)

    def _clock(self) -> None:
        self._anyone().burst(self._world.chance.randint(1, 3 * ELECTION_TICKS))

    def _disk_slow(self) -> None:
        node = self._anyone()
        node.disk_slowness = 20
        self._world.after(self._world.spread(6 * ELECTION), self._quicken, node)

    def _quicken(self, node: Node) -> None:
        node.disk_slowness = 1

    def _damage(self) -> None:
        """Entries that were forced are lost on one node, while a majority of the others is whole."""
        node, cluster = self._anyone(), self._cluster
        disk = node.disk
        if not cluster.may_lose(node):
            return
        node.crash()
        first, last = disk.forced.head.index, disk.forced.last_index
        if first < last:
            disk.damage(self._world.chance.randint(first, last - 1))
            self._world.say("FAULT", f"{node.id} loses what is behind {disk.forced.last_index} of {disk.lost_behind}")
        self._world.after(self._soon(), self._start, node)

    def _storm(self) -> None:
        network = self._cluster.network
        network.weather = STORM
        self._storms += 1
        self._world.after(self._world.spread(4 * ELECTION), self._calm_down, self._storms)

    def _calm_down(self, storm: int) -> None:
        if storm == self._storms and not self.is_over:
            self._cluster.network.weather = self._plan.weather

    def _snapshot(self) -> None:
        self._anyone().make_durable()

    def _transfer(self) -> None:
        leader = self._cluster.leader()
        if leader is not None:
            leader.transfer(self._world.chance.choice(self._cluster.ids))

    def _membership(self) -> None:
        """Ask the leader to take somebody in, or to let somebody go; two changes at once now and then."""
        leader = self._cluster.leader()
        if leader is not None:
            self._change_members(leader)

    def _change_members(self, leader: Node) -> None:
        chance = self._world.chance
        for _ in range(chance.choice((1, 1, 2))):
            members = leader.disk.seen.members
            outside = [id_ for id_ in self._cluster.ids if id_ not in members]
            if len(members.voters) > 2 and chance.random() < 0.1 and not self._cluster.is_anyone_mending():
                leader.change(members.with_member(self._cluster.joining(chance.choice(sorted(members.voters)))))
            elif len(members.voters) > 1 and chance.random() < 0.5 and not self._cluster.is_anyone_mending():
                leader.change(members.without(chance.choice(sorted(members.voters))))
            elif outside and chance.random() < 0.5:
                back = self._cluster.nodes[chance.choice(outside)]
                back.is_gone = False
                self._start(back)
                leader.change(members.with_member(self._cluster.joining(back.id)))
            elif outside and chance.random() < 0.5:
                self._retire(self._cluster.nodes[chance.choice(outside)])
            elif self._newcomers < MAX_NEWCOMERS:
                self._newcomers += 1
                leader.change(members.with_member(self._cluster.joining(self._cluster.newcomer())))

    def _retire(self, node: Node) -> None:
        """Switch off a node that was let go, once that is certain."""
        if node.id not in self._cluster.checkers.members:
            node.crash()
            node.is_gone = True
