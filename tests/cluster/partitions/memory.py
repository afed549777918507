"""An `Engine` in memory, for several nodes in one process.

world = World("n1", "n2", "n3")        what all nodes share; these hold `root` from the beginning
engine = world.engine("n1")            a node, or one that is started again after its engine was closed
world.join("n4")                       a further node, that holds root when its log has caught up
with world.cut_off("n2"): ...          it reaches nobody, and nobody reaches it
with world.stopped("root"): ...        nothing is appended to that log, and no barrier is got
world.trim("root")                     what all holders have durable is gone: who is late needs a snapshot
world.log("n1", "root").held_up()      nothing is applied there meanwhile
world.log("n1", "root").uncertain = 2  of two appends it says that nobody can tell, though they are decided
world.lost_answers = 1                 the next question is answered, and nobody hears of it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import count
from threading import RLock, Thread

from blockdb.cluster.partitions.engine import ROOT
from blockdb.cluster.replicated_log import Command
from blockdb.cluster.waiting import answer, refuse, unanswered
from blockdb.errors import InvalidData, Unavailable
from blockdb.format.consensus import Member, Members, Role
from blockdb.layout import DatabaseFiles
from tests.cluster.partitions.memory_log import MemoryLog, Partition


class World:
    """What the nodes of a cluster share."""

    def __init__(self, *nodes: str) -> None:
        self.lock = RLock()
        self.members = {id_: Member(id_, f"{id_}:8080", f"{id_}:9080") for id_ in nodes}
        self.partitions = {
            ROOT: Partition(ROOT, Members(tuple(self.members[id_] for id_ in sorted(nodes))), 3, self.lock)
        }
        self.engines: dict[str, MemoryEngine] = {}
        self.logs: dict[tuple[str, str], MemoryLog] = {}
        self.answering: dict[str, dict[str, Callable[[bytes], bytes]]] = {}
        self.heard: set[tuple[str, str]] = set()
        """Who has ever opened which log."""
        self.apart: set[str] = set()
        self.still: set[str] = set()
        self.lost_answers = 0
        self._turn = count()

    def engine(self, id_: str) -> MemoryEngine:
        """The engine of a node, which is not started; one that was there before was closed."""
        with self.lock:
            made = MemoryEngine(self, self.members.setdefault(id_, Member(id_, f"{id_}:8080", f"{id_}:9080")))
            self.engines[id_] = made
            return made

    def log(self, id_: str, partition: str = ROOT) -> MemoryLog:
        """The log that a node has open."""
        return self.logs[id_, partition]

    def join(self, id_: str) -> Future[int]:
        """Have another node be one of the cluster; done once it has caught up with root."""
        with self.lock:
            member = self.members.setdefault(id_, Member(id_, f"{id_}:8080", f"{id_}:9080"))
        return self.add(ROOT, member)

    # Faults.

    @contextmanager
    def cut_off(self, *ids: str) -> Iterator[None]:
        """Have nodes reach nobody meanwhile."""
        self.cut(*ids)
        try:
            yield
        finally:
            self.mend(*ids)

    def cut(self, *ids: str) -> None:
        """Have nodes reach nobody from now on: what they know of rosters stays as it is."""
        with self.lock:
            for id_ in ids:
                if id_ in self.engines:
                    self.engines[id_].known = self._rosters()
            self.apart |= set(ids)

    def mend(self, *ids: str) -> None:
        """Have them reach the others again."""
        with self.lock:
            self.apart -= set(ids)
            self.tell()

    @contextmanager
    def stopped(self, *partitions: str) -> Iterator[None]:
        """Have nothing decided in these logs meanwhile."""
        with self.lock:
            self.still |= set(partitions)
        try:
            yield
        finally:
            with self.lock:
                self.still -= set(partitions)

    def trim(self, partition: str) -> None:
        """Drop what everybody who holds it here has on the disk."""
        logs = [log for (_, name), log in self.logs.items() if name == partition]
        durable = [log.make_durable() for log in logs]
        with self.lock:
            found = self.partitions[partition]
            del found.commands[: max(min(durable, default=0) - found.first + 1, 0)]

    # For engines and logs.

    def _rosters(self) -> dict[str, Members]:
        return {name: partition.roster for name, partition in self.partitions.items()}

    def rosters(self, id_: str) -> Mapping[str, Members]:
        """As a node knows them."""
        with self.lock:
            return self.engines[id_].known if id_ in self.apart else self._rosters()

    def tell(self) -> None:
        """Tell everybody that something has changed."""
        with self.lock:
            for partition in self.partitions.values():
                partition.changed.notify_all()
            listeners = [each for id_, one in self.engines.items() if id_ not in self.apart for each in one.listeners]
        for listener in listeners:
            listener()

    def reach(self, id_: str, partition: str = "") -> None:
        """Raises Unavailable where a node is cut off, or a log is."""
        if id_ in self.apart:
            raise Unavailable(f"The node {id_} reaches nobody.")
        if partition in self.still:
            raise Unavailable(f"The log of {partition} has no leader.")

    def create(self, name: str, holders: Members, replicas: int) -> None:
        """See `Engine.create`."""
        with self.lock:
            if name in self.partitions:
                return
            self.partitions[name] = Partition(name, holders, replicas, self.lock)
        self.tell()

    def remove(self, name: str) -> None:
        """See `Engine.remove`."""
        with self.lock:
            found = self.partitions.pop(name, None)
            if found is None:
                return
            found.is_removed = True
            found.changed.notify_all()
            for future in found.joining.values():
                refuse(future, Unavailable(f"The log of {name} was removed."))
        self.tell()

    def add(self, name: str, member: Member) -> Future[int]:
        """Take a member into a roster, as a learner where it is to be a voter."""
        future: Future[int] = unanswered()
        with self.lock:
            found = self.partitions[name]
            known = found.roster.get(member.id)
            if known is not None and known.role is Role.VOTER:
                answer(future, found.last)
                return future
            role = Role.LEARNER if member.role is Role.VOTER else member.role
            found.roster = found.roster.with_member(Member(member.id, member.address, member.peer_address, role))
            if role is Role.LEARNER:
                future = found.joining.setdefault(member.id, future)
            else:
                answer(future, found.last)
        self.tell()
        return future

    def promote(self, name: str, id_: str) -> None:
        """A learner has caught up."""
        with self.lock:
            found = self.partitions.get(name)
            member = found.roster.get(id_) if found is not None else None
            if found is None or member is None or member.role is not Role.LEARNER:
                return
            voter = Member(member.id, member.address, member.peer_address)
            found.roster = found.roster.with_member(voter)
            waiting = found.joining.pop(id_, None)
        if waiting is not None:
            answer(waiting, found.last)
        self.tell()

    def dismiss(self, name: str, id_: str) -> Future[int]:
        """Let a member of a roster go."""
        future: Future[int] = unanswered()
        with self.lock:
            found = self.partitions[name]
            if id_ not in found.roster:
                raise InvalidData(f"There is no member '{id_}' of {name}.")
            if found.roster.voters == {id_}:
                raise InvalidData(f"'{id_}' is the last voter of {name}.")
            found.roster = found.roster.without(id_)
            joining = found.joining.pop(id_, None)
            answer(future, found.last)
        if joining is not None:
            refuse(joining, Unavailable(f"{id_} was removed before it had caught up."))
        self.tell()
        return future

    def leader(self, partition: Partition) -> str:
        """Who leads: the one that was asked to, else the first voter that runs."""
        with self.lock:
            running = [
                id_
                for id_ in sorted(partition.roster.voters)
                if id_ not in self.apart and (log := self.logs.get((id_, partition.name))) and log.is_running
            ]
            if partition.led_by in running:
                return partition.led_by
            return running[0] if running and partition.name not in self.still else ""

    def put(self, partition: Partition, commands: Sequence[bytes]) -> int:
        """Decide commands; the index of the last."""
        with self.lock:
            for data in commands:
                partition.last += 1
                partition.commands.append(Command(partition.last, 1, data))
            partition.changed.notify_all()
            return partition.last

    def source_of(self, partition: str, but: str) -> MemoryLog | None:
        """A log from whose machine another holder gets a snapshot."""
        with self.lock:
            found = (log for (id_, name), log in self.logs.items() if name == partition and id_ != but)
            sound = [log for log in found if log.is_running and log.id not in self.apart and not log.needs_copy]
            return max(sound, key=lambda log: log.applied.index, default=None)

    def ask(self, asker: str, partition: str, question: bytes) -> Future[bytes]:
        """Have one of those that answer for a partition answer, on a thread of its own."""
        future: Future[bytes] = unanswered()
        with self.lock:
            handlers = self.answering.get(partition, {})
            there = [handlers[id_] for id_ in sorted(handlers) if id_ not in self.apart]
            if asker in self.apart or not there:
                refuse(future, Unavailable(f"Nobody answers for {partition}."))
                return future
            handler = there[next(self._turn) % len(there)]
            is_lost, self.lost_answers = self.lost_answers > 0, max(self.lost_answers - 1, 0)

        def run() -> None:
            with suppress(Exception):
                given = handler(question)
                if not is_lost:
                    answer(future, given)
            refuse(future, Unavailable(f"Nobody has answered for {partition}."))

        Thread(target=run, name=f"answer-{partition}", daemon=True).start()
        return future


class MemoryEngine:
    """The `Engine` of one node."""

    name = "memory"

    def __init__(self, world: World, own: Member) -> None:
        self.world = world
        self.own = own
        self.known: Mapping[str, Members] = {}
        self.listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Nothing has to be done."""

    def create(self, partition: str, holders: Members, replicas: int) -> None:
        self.world.reach(self.own.id)
        self.world.create(partition, holders, replicas)

    def remove(self, partition: str) -> None:
        self.world.reach(self.own.id)
        self.world.remove(partition)

    def log_of(self, partition: str, files: DatabaseFiles) -> MemoryLog:
        with self.world.lock:
            found = self.world.partitions.get(partition)
        if found is None:
            raise Unavailable(f"There is no log of {partition}.")
        return MemoryLog(self.world, found, self.own)

    def rosters(self) -> Mapping[str, Members]:
        return self.world.rosters(self.own.id)

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        with self.world.lock:
            self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def ask(self, partition: str, question: bytes, timeout_s: float) -> Future[bytes]:
        return self.world.ask(self.own.id, partition, question)

    def answer(self, partition: str, handler: Callable[[bytes], bytes]) -> Callable[[], None]:
        with self.world.lock:
            self.world.answering.setdefault(partition, {})[self.own.id] = handler

        def end() -> None:
            with self.world.lock:
                if self.world.answering.get(partition, {}).get(self.own.id) is handler:
                    del self.world.answering[partition][self.own.id]

        return end

    def forget(self, node: str) -> None:
        if node == self.own.id:
            raise InvalidData(f"{node} is this node: ask another one to let it go.")

    def close(self) -> None:
        with self.world.lock:
            self.listeners.clear()
            for handlers in self.world.answering.values():
                handlers.pop(self.own.id, None)
            logs = [log for (id_, _), log in self.world.logs.items() if id_ == self.own.id]
        for log in logs:
            log.close()
