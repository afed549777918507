"""A whole cluster in simulated time: put together, broken for a while, then left in peace to come to agree."""

from __future__ import annotations

from dataclasses import dataclass
from traceback import format_exc
from typing import Final

from blockdb.format.consensus import Member, Members, Role
from blockdb.raft import Raft
from blockdb.raft.messages import Message, SnapshotHead, SnapshotOffer
from tests.simulation.checkers import Checkers, must
from tests.simulation.clients import Call, Clients, History
from tests.simulation.disk import Disk
from tests.simulation.driver import Answer
from tests.simulation.faults import Faults
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.node import Node
from tests.simulation.plan import ELECTION, MS, Plan, Weather, plan_of
from tests.simulation.world import World, Wrong

LEADERLESS: Final = 10 * ELECTION
"""How long there may be no leader once nothing goes wrong any more..."""
PATIENCE: Final = 20 * ELECTION
"""... and how long it may take until everybody agrees..."""
AN_ENTRY: Final = 30 * MS
"""... and so much longer for each entry that somebody lacks: in some seeds an Append takes one."""
NOBODY_LEADS: Final = "nobody leads"
STEP: Final = ELECTION // 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed."""

    seed: int
    wrong: str
    """What did not hold; empty: all held."""
    events: int
    digest: str
    calls: int
    """How many calls of clients were answered."""
    trace: tuple[str, ...] = ()


class Cluster:
    """Nodes, what is between them, and who watches them."""

    def __init__(self, seed: int, *, tracing: bool = False, core: type[Raft] = Raft) -> None:
        self.core = core
        self.world = World(seed, tracing=tracing)
        self.plan: Plan = plan_of(seed, self.world.chance)
        self.world.say("plan", str(self.plan))
        self.calm_weather = Weather()
        self.history = History()
        self.network = Network(
            self.world, self.plan.weather, self._deliver, lambda id_, to: self.nodes[id_].unreachable(to)
        )
        self.ids = [f"n{number}" for number in range(1, self.plan.nodes + 1)]
        self.nodes: dict[str, Node] = {}
        self._numbers = 0
        members = Members(tuple(Member(id_) for id_ in self.ids))
        self.checkers = Checkers(members)
        for id_ in self.ids:
            self._add(id_, SnapshotHead(0, 0, members))
        self.clients = Clients(self.world, self.plan, self.history, self._serve, self._served)
        self.faults = Faults(self)

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, id_: str, head: SnapshotHead) -> None:
        drift = self.plan.drift[len(self.nodes) % len(self.plan.drift)]
        node = self.nodes[id_] = Node(id_, self, Disk(head, keeps_gaps=self.plan.keeps_gaps), drift)
        node.start()

    def newcomer(self) -> str:
        """Start a node that has nothing and knows nobody."""
        id_ = f"n{len(self.nodes) + 1}"
        self.ids.append(id_)
        self._add(id_, SnapshotHead(0, 0, Members()))
        return id_

    def joining(self, id_: str) -> Member:
        """A node as somebody who is to become a voter, and now and then as one who never does."""
        return Member(id_, role=self.world.chance.choice((Role.VOTER, Role.LEARNER, Role.LEARNER, Role.REPLICA)))

    def leader(self) -> Node | None:
        """Who leads the latest term, as somebody who sees everything knows."""
        leaders = [node for node in self.nodes.values() if node.raft is not None and node.raft.is_leader]
        return max(leaders, key=lambda node: node.term, default=None)

    def is_anyone_mending(self) -> bool:
        """Whether a node lacks what it acknowledged."""
        return any(node.is_mending for node in self.nodes.values())

    def may_lose(self, node: Node) -> bool:
        """Whether the cluster stands it that a node loses entries: there are enough others, and they are whole."""
        if any(other.is_mending for other in self.nodes.values() if other is not node):
            return False
        sizes = [len(each.disk.seen.members.voters) for each in self.nodes.values()]
        return all(size == 0 or size > 2 for size in sizes)

    def next_number(self) -> int:
        """A number for a read that no other ever had, in this life or an earlier one."""
        self._numbers += 1
        return self._numbers

    # ── who talks to whom ────────────────────────────────────────────────────────────────────────────────────────

    def _deliver(self, to: str, message: Message) -> None:
        self.nodes[to].hear(message)

    def _serve(self, to: str, call: Call, answer: Answer) -> None:
        self.nodes[to].serve(call, answer)

    def deliver_snapshot(self, sender: str, life: int, to: str, offer: SnapshotOffer, machine: Machine) -> None:
        """The end of a snapshot arrives, or the connection breaks before."""
        ok = (sender, to) not in self.network.cut and not self.world.happens(self.network.weather.loss)
        ok = ok and self.nodes[to].raft is not None
        if ok:
            self.nodes[to].hear_snapshot(offer, machine)
        self.nodes[sender].snapshot_sent(life, to, ok)

    def _served(self) -> list[str]:
        """Whom clients may ask; in the end they know who is left."""
        return [id_ for id_ in self.ids if not self.faults.is_over or id_ in self.checkers.members]

    # ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Have everything happen. Raises Wrong."""
        self.world.run(self.plan.duration)
        self.world.say("END", "no more faults")
        self.faults.end()
        self.clients.is_over = True
        self._agree("after the faults")
        if self.plan.final and not self.is_anyone_mending():
            self._wait(5)  # for what is still on its way: a transfer, a message that was kept for long
            getattr(self, "_" + self.plan.final)()

    def _behind(self) -> int:
        """How many entries the last of the nodes lacks."""
        lasts = [node.raft.log.last_index for node in self.nodes.values() if node.raft is not None]
        return max(lasts, default=0) - min(lasts, default=0)

    def _agree(self, when: str) -> Node:
        """Wait until everyone agrees, and give the leader."""
        began, catching_up = self.world.now, AN_ENTRY * self._behind()
        while what := self._missing():
            patience = LEADERLESS if what == NOBODY_LEADS else PATIENCE + catching_up
            must(self.world.now < began + patience, f"{when}: {what}, {patience // ELECTION} election timeouts on")
            self.world.run(self.world.now + STEP)
        leader = self.leader()
        assert leader is not None
        for key, value in self.history.acknowledged.items():
            must(leader.machine.values.get(key) == value, f"{when}: key {key} was written by {value}, and is not there")
        return leader

    def _missing(self) -> str:
        """What there is to wait for."""
        leader = self.leader()
        if leader is None or leader.raft is None:
            return NOBODY_LEADS
        if self.clients.open:
            return "calls wait: " + ", ".join(map(str, self.clients.open.values()))
        members = leader.disk.seen.members
        if any(member.role is Role.LEARNER for member in members.all):
            return "there are learners"
        last = leader.disk.seen.last_index
        for member in members.all:
            node = self.nodes[member.id]
            raft = node.raft
            assert raft is not None
            if raft.term != leader.raft.term or (raft.is_leader and node is not leader):
                return f"{node.id} is in term {raft.term}, the leader {leader.id} in {leader.raft.term}"
            if (node.disk.seen.last_index, raft.commit, node.machine.head.index) != (last, last, last):
                return f"{node.id} has applied {node.machine.head.index}, and committed {raft.commit} of {last}"
        return ""

    # ── what is tried in the end ─────────────────────────────────────────────────────────────────────────────────

    def _isolate(self) -> None:
        """A follower that was away for a while comes back, and nobody's leader is deposed."""
        leader = self._agree("before one is cut off")
        term, others = leader.term, self._others(leader)
        if len(others) >= 2:
            away = self.world.chance.choice(others)
            self.network.split([away], [id_ for id_ in self.ids if id_ != away])
            self._wait(8)
            self.network.heal()
            self._wait(4)
            must(
                self.checkers.leaders[max(self.checkers.leaders)] == leader.id,
                f"{away} came back, and deposed {leader.id}",
            )
            must(leader.term == term, f"{away} came back, and raised the term from {term} to {leader.term}")
            self._agree("after one was cut off")

    def _partial(self) -> None:
        """The leader and a follower do not see each other, and everybody else sees both: the leader stays."""
        leader = self._agree("before a partial partition")
        term, others = leader.term, self._others(leader)
        if len(others) >= 2:
            self.network.split([leader.id], others[:1])
            self._wait(16)
            must(leader.term == term, f"under a partial partition the term went from {term} to {leader.term}")
            self.network.heal()
            self._agree("after a partial partition")

    def _leader(self) -> None:
        """The leader is cut off: the others choose a new one, the old one keeps little, and gives up."""
        leader = self._agree("before the leader is cut off")
        others = self._others(leader)
        if len(others) >= 2:
            self.network.split([leader.id], [id_ for id_ in self.ids if id_ != leader.id])
            leader.flood()
            self._wait(16)
            new = self.leader()
            must(new is not None and new is not leader, f"{leader.id} is cut off, and nobody leads instead")
            self.network.heal()
            self._agree("after the leader was cut off")

    def _others(self, leader: Node) -> list[str]:
        return sorted(leader.disk.seen.members.voters - {leader.id})

    def _wait(self, elections: int) -> None:
        self.world.run(self.world.now + elections * ELECTION)


def simulate(seed: int, *, tracing: bool = False, core: type[Raft] = Raft) -> Outcome:
    """Run a seed."""
    cluster, wrong = Cluster(seed, tracing=tracing, core=core), ""
    world = cluster.world
    try:
        cluster.run()
    except Wrong as error:
        wrong = str(error)
    except Exception as error:  # the core, too, says what must not be
        wrong = f"{type(error).__name__}: {error}"
        world.say("END", format_exc())
    ends = [(node.term, node.commit, node.machine.chain) for node in cluster.nodes.values()]
    return Outcome(seed, wrong, world.events, world.digest(ends), cluster.history.calls, tuple(world.trace or ()))
