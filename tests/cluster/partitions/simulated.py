"""Partitions, coordinators and those who read, in a world that a seed decides: no threads, no time but its own.

Messages are lost, doubled and late; coordinators die between any two steps; machines apply when they like and begin
again from their marks. Then the weather becomes fair, and nothing may stay in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from heapq import heappop, heappush
from random import Random
from typing import Any

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.commands import Commit, CommitPart, CommitRead
from blockdb.cluster.machine.pending import Blocked
from blockdb.cluster.partitions import committing
from blockdb.cluster.partitions.committing import Ask, InDoubt, Round, Share
from blockdb.errors import BlockDBError, Unavailable
from tests.cluster.partitions.checking import Done, check
from tests.cluster.partitions.model import COLLECTION, ModelMachine

STORM_S = 40.0
CALM_S = 150.0
KEYS = [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]

Told = Callable[[Any], None]


class Partition:
    """A log, and the machines that apply it."""

    def __init__(self, name: str, machines: int) -> None:
        self.name = name
        self.log: list[bytes] = []
        self.machines = [ModelMachine() for _ in range(machines)]
        self.doubts = [InDoubt(name) for _ in range(machines)]

    def settle(self) -> None:
        """Have everything applied everywhere."""
        for machine in self.machines:
            for data in self.log[machine.applied :]:
                machine.apply(data)


class World:
    """Everything that happens, in order of time."""

    def __init__(self, seed: int, *, reads_wait: bool = True) -> None:
        self.chance = chance = Random(seed)
        self.reads_wait = reads_wait
        self.now = 0.0
        self.is_fair = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = self._under_way = 0
        self.partitions = {f"p-{n}": Partition(f"p-{n}", chance.randint(1, 3)) for n in range(chance.randint(2, 3))}
        self.history: list[Done] = []
        self.decisions: dict[bytes, bool] = {}
        self.working: set[Coordinator] = set()
        self.loss = chance.choice([0, 0, 0.05, 0.2])
        self.death = chance.choice([0, 0.05, 0.2])
        self.crash = chance.choice([0, 0.02, 0.1])
        self.slowness = chance.choice([0.5, 2, 6])

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen so much later."""
        self._count += 1
        heappush(self._events, (self.now + seconds, self._count, what))

    def send(self, what: Callable[[], None]) -> None:
        """Have a message come: late, twice, or not at all."""
        if not self.is_fair and self.chance.random() < self.loss:
            return
        for _ in range(1 if self.is_fair or self.chance.random() > self.loss else 2):
            self._under_way += 1
            self.after(self.chance.expovariate(1) * (0.1 if self.is_fair else self.slowness), lambda: self._come(what))

    def _come(self, what: Callable[[], None]) -> None:
        self._under_way -= 1
        what()

    def run(self) -> None:
        """All of it, and what may be said about it."""
        for partition in self.partitions.values():
            for number in range(len(partition.machines)):
                self._live(partition, number)
        for _ in range(self.chance.randint(3, 9)):
            self.after(self.chance.uniform(0, STORM_S / 2), User(self).begin)
        self._until(STORM_S)
        self.is_fair = True
        while self.now < STORM_S + CALM_S and not self._is_settled():
            self._until(self.now + 5)
        self._check()

    def _is_settled(self) -> bool:
        """Whether nothing is under way, and all machines have seen the end of everything."""
        if self.working or self._under_way:
            return False
        each = [(machine, partition) for partition in self.partitions.values() for machine in partition.machines]
        return not any(
            machine.pending.homes() or machine.pending.decided() or machine.applied < len(partition.log)
            for machine, partition in each
        )

    def _until(self, end: float) -> None:
        while self._events and self._events[0][0] <= end:
            self.now, _, what = heappop(self._events)
            what()
        self.now = end

    def _live(self, partition: Partition, number: int) -> None:
        """A machine applies, marks, dies, and looks for what is in doubt."""
        machine, chance = partition.machines[number], self.chance
        self.after(chance.expovariate(2), lambda: self._live(partition, number))
        if not self.is_fair and chance.random() < self.crash:
            machine.restart()
            partition.doubts[number] = InDoubt(partition.name)
        upto = len(partition.log) if self.is_fair else chance.randint(machine.applied, len(partition.log))
        for data in partition.log[machine.applied : upto]:
            machine.apply(data)
        if chance.random() < 0.2:
            machine.mark()
        for steps in partition.doubts[number].due(machine.pending, self.now):
            if chance.random() < 0.3:
                Coordinator(self, steps, lambda _: None).begin()

    # What partitions answer.

    def ask(self, ask: Ask, told: Told) -> None:
        """Send a command of a transaction; what becomes of it is told by a message, if it comes."""
        self.propose(ask.partition, ask.encoded(0, b""), told, isinstance(ask.content, commands.Decide))

    def propose(self, name: str, data: bytes, told: Told, is_decision: bool = False) -> None:
        """Send a command."""
        self.send(lambda: self._take(self.partitions[name], data, told, is_decision))

    def _take(self, partition: Partition, data: bytes, told: Told, is_decision: bool) -> None:
        envelope, content = commands.decode(data)
        machine = self.chance.choice(partition.machines)
        digest = commands.digest_of(commands.lasting(content, bytes(envelope.content)))
        future = machine.outcomes.expect(envelope.id, digest)

        def answered(done: Future[Any]) -> None:
            error = done.exception()
            answer = done.result() if error is None else error
            if is_decision and error is None:
                known = self.decisions.setdefault(getattr(content, "transaction"), answer[0])  # noqa: B009
                assert known == answer[0], "a decision has changed"
            self.send(lambda: told(answer))

        future.add_done_callback(answered)
        partition.log.append(data)

    def read(self, name: str, look: Callable[[ModelMachine], Any], told: Told) -> None:
        """Have something looked at that is no older than this call, once what is pending has ended."""

        def come() -> None:
            partition = self.partitions[name]
            index, machine = len(partition.log), self.chance.choice(partition.machines)
            self._look_when(machine, index, None, look, told)

        self.send(come)

    def _look_when(
        self,
        machine: ModelMachine,
        index: int,
        waits: set[bytes] | None,
        look: Callable[[ModelMachine], Any],
        told: Told,
    ) -> None:
        if machine.applied >= index:
            pending = set(machine.pending.homes()) if self.reads_wait else set()
            waits = pending if waits is None else waits & pending
        if machine.applied < index or waits:
            self.after(0.3, lambda: self._look_when(machine, index, waits, look, told))
        else:
            found = look(machine)
            self.send(lambda: told(found))

    # What has to be so at the end.

    def _check(self) -> None:
        final = {}
        for name, partition in self.partitions.items():
            partition.settle()
            first = partition.machines[0]
            assert all(machine.state() == first.state() for machine in partition.machines), "machines differ"
            assert not first.pending.homes(), "something is in doubt"
            assert not first.pending.decided(), "something was not closed"
            final |= {(name, key): value for key, (_, value) in first.records.items()}
        check(self.history, final)


class Coordinator:
    """Takes steps, as `run` does: what is not answered is asked again. It may die between any two of them."""

    def __init__(self, world: World, steps: committing.Steps[Any], told: Told) -> None:
        self._world = world
        self._steps = steps
        self._told = told
        self._answers: list[Any] = []
        self._number = 0

    def begin(self) -> None:
        """Take the first step."""
        self._world.working.add(self)
        self._go(lambda: next(self._steps))

    def _go(self, step: Callable[[], Round]) -> None:
        world = self._world
        if not world.is_fair and world.chance.random() < world.death:
            self._steps.close()
            self._world.working.discard(self)
            return
        try:
            asked = step()
        except StopIteration as stop:
            self._end(stop.value)
        except BlockDBError as error:
            self._end(error)
        else:
            self._ask(asked)

    def _end(self, answer: Any) -> None:
        self._world.working.discard(self)
        self._told(answer)

    def _ask(self, asked: Round) -> None:
        self._number += 1
        self._answers = [None] * len(asked.asks)
        if asked.is_awaited:
            self._again(asked, self._number, tries=self._world.chance.randint(1, 4))
            return
        for ask in asked.asks:
            self._world.ask(ask, lambda _: None)
        self._go(lambda: self._steps.send([]))

    def _again(self, asked: Round, number: int, tries: int) -> None:
        if number != self._number:
            return
        if not tries or not asked.asks:
            answers = [Unavailable("too late") if each is None else each for each in self._answers]
            self._number += 1
            self._go(lambda: self._steps.send(answers))
            return
        for place, ask in enumerate(asked.asks):
            if self._answers[place] is None:
                self._world.ask(ask, self._hears(number, place))
        self._world.after(self._world.chance.uniform(1, 6), lambda: self._again(asked, number, tries - 1))

    def _hears(self, number: int, place: int) -> Told:
        def hear(answer: Any) -> None:
            if number == self._number and self._answers[place] is None:
                self._answers[place] = answer
                if all(each is not None for each in self._answers):
                    self._number += 1
                    answers = self._answers
                    self._go(lambda: self._steps.send(answers))

        return hear


class User:
    """Reads here and there, then stores something; then there is another one, a few times."""

    def __init__(self, world: World, left: int = 3) -> None:
        self._world = world
        self._left = left
        self._is_over = False

    def begin(self) -> None:
        if self._world.is_fair:
            return
        world, chance = self._world, self._world.chance
        self._done = Done(b"t%d" % len(world.history), world.now)
        world.history.append(self._done)
        names = list(world.partitions)
        self._reads: dict[str, CommitRead] = {}
        self._plan = chance.sample(names, chance.choice([0, 1, 1, 2, 2, len(names)]))
        self._targets = chance.sample(names, chance.choice([0, 1, 2, 2, len(names)]))
        self._looks = chance.random() < 0.4
        if self._looks:  # at a whole partition, and no check later
            self._plan, self._targets = [chance.choice(names)], []
        self._next()

    def _next(self) -> None:
        """Read what is planned, then commit."""
        if not self._plan:
            self._commit()
            return
        name = self._plan.pop()
        chance = self._world.chance
        is_range = self._looks or chance.random() < 0.3
        keys = KEYS if is_range else chance.sample(KEYS, chance.randint(1, 2))

        def look(machine: ModelMachine) -> Any:
            return len(machine.records), {key: machine.records.get(key, (0, None))[1] for key in keys}

        def told(found: Any) -> None:
            if name in self._reads:
                return
            count, values = found
            self._done.reads |= {(name, key): value for key, value in values.items()}
            absent = tuple(key for key in keys if values[key] is None)
            ranges = ((b"", None),) if is_range else ()
            self._reads[name] = CommitRead(COLLECTION, count, () if is_range else absent, ranges)
            self._world.after(self._world.chance.expovariate(1), self._next)

        self._world.read(name, look, told)

    def _commit(self) -> None:
        chance = self._world.chance
        work: dict[str, Share] = {}
        for name in sorted({*self._targets, *self._reads}):
            keys = chance.sample(KEYS, chance.choice([1, 1, 2])) if name in self._targets else []
            self._done.writes |= {(name, key) for key in keys}
            items = tuple((key, self._done.name) for key in keys)
            parts = (CommitPart(COLLECTION, items),) if items else ()
            work[name] = Share(parts, (self._reads[name],) if name in self._reads else ())
        if not self._done.writes:
            self._look_again(sorted(self._reads))
        elif len(work) == 1:
            self._store(*work.popitem())
        else:
            self._store_all(work)

    def _store_all(self, work: dict[str, Share]) -> None:
        transaction = self._done.name.ljust(16, b".")
        for _ in range(2 if self._world.chance.random() < 0.1 else 1):
            Coordinator(self._world, committing.commit(transaction, work), self._ended).begin()

    def _store(self, name: str, share: Share) -> None:
        content = Commit(share.parts, share.reads)
        data = commands.encode(self._done.name.ljust(16, b"."), 0, b"", content)

        def told(answer: Any) -> None:
            if isinstance(answer, Blocked):
                self._world.after(1, propose)
            else:
                self._ended(answer)

        def propose() -> None:
            self._world.propose(name, data, told)

        propose()

    def _look_again(self, names: Sequence[str]) -> None:
        """What only reads is right if all of it is so still when all of it was read."""
        if self._looks or not names:
            self._ended(None)
            return

        def look(machine: ModelMachine) -> Any:
            try:
                machine.check_current([self._reads[names[0]]])
            except BlockDBError as error:
                return error
            return None

        seen: list[None] = []

        def told(answer: Any) -> None:
            if not seen:
                seen.append(None)
                if answer is not None or len(names) == 1:
                    self._ended(answer)
                else:
                    self._look_again(names[1:])

        self._world.read(names[0], look, told)

    def _ended(self, answer: Any) -> None:
        if self._done.is_done is None and not isinstance(answer, Unavailable):
            self._done.told(self._world.now, is_done=not isinstance(answer, BlockDBError))
        if self._left and not self._is_over:
            self._world.after(self._world.chance.expovariate(0.5), User(self._world, self._left - 1).begin)
        self._is_over = True
