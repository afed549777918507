"""Clients: they write keys once, read them, ask again elsewhere when no answer comes, and know what they may be told.

Keys that are written once make histories easy to check exactly: a key is absent, and then has one value for good.
Whoever once was told of a value (or wrote it) rules out that a call which begins later finds the key absent; each
answer is held against the earliest such moment, which costs no more than a look into a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.checkers import must
from tests.simulation.plan import ELECTION, MS, Plan
from tests.simulation.world import World

TIMEOUT = 4 * ELECTION
"""After how long a client asks somebody else."""
PAUSE = 20 * MS
"""How long it waits between two calls, on average."""
WAY = MS // 2
"""How long its words travel, on average."""


@dataclass(slots=True)
class Call:
    """One operation of a client, through all its attempts."""

    request: int
    key: int
    is_read: bool
    began: int
    attempts: int = 0
    is_done: bool = False

    def __str__(self) -> str:
        return f"{'get' if self.is_read else 'put'} {self.key} (request {self.request})"


class History:
    """What clients were told so far."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        """By key: its value, and when somebody was told of it first."""
        self._puts: dict[int, int] = {}
        """By request: the key that it wants to write."""
        self.acknowledged: dict[int, int] = {}
        """By key: the value whose writer was told that it is there."""
        self.calls = 0

    def begins(self, call: Call) -> None:
        """A client begins a call."""
        if not call.is_read:
            self._puts[call.request] = call.key

    def ends(self, call: Call, now: int, value: int | None, has_written: bool) -> None:
        """A client is told what a key holds, and whether it was its own request that wrote it."""
        self.calls += 1
        known = self._known.get(call.key)
        if value is None:
            must(call.is_read, f"{call} wrote nothing")
            must(known is None or known[1] >= call.began, f"{call} finds nothing; before it began there was {known}")
            return
        must(self._puts.get(value) == call.key, f"{call} finds {value}, which nobody wrote")
        must(known is None or known[0] == value, f"{call} finds {value}; before there was {known}")
        if known is None:
            self._known[call.key] = (value, now)
        if not call.is_read:
            must(has_written == (value == call.request), f"{call} is told {has_written}; the key holds {value}")
            if has_written:
                self.acknowledged[call.key] = value


Serve = Callable[[str, Call, Callable[[Call, int | None, bool], None]], None]
"""Bring a call to a node, and its answer back."""


class Clients:
    """All of them."""

    def __init__(
        self, world: World, plan: Plan, history: History, serve: Serve, nodes: Callable[[], list[str]]
    ) -> None:
        self._world, self._plan, self._history = world, plan, history
        self._serve, self._nodes = serve, nodes
        self._requests = 0
        self.open: dict[int, Call] = {}
        """Calls that have not ended, by request."""
        self.is_over = False
        """No more calls."""
        self._favourite = ""
        for _ in range(plan.clients):
            world.after(world.spread(PAUSE), self._begin)

    def _begin(self) -> None:
        if self.is_over:
            return
        chance = self._world.chance
        self._requests += 1
        key, is_read = int(chance.random() * self._plan.keys), chance.random() < 0.4
        call = Call(self._requests, key, is_read, self._world.now)
        self.open[call.request] = call
        self._history.begins(call)
        self._try(call, call.attempts)

    def _try(self, call: Call, attempts: int) -> None:
        """Ask somebody, unless it has been answered, or asked anew, since this was meant to happen."""
        if call.is_done or call.attempts != attempts:
            return
        world = self._world
        call.attempts += 1
        nodes = self._nodes()
        node = self._favourite if call.attempts == 1 and self._favourite in nodes else world.chance.choice(nodes)
        if world.trace is not None:
            world.say("client", f"asks {node}: {call}")
        world.after(world.spread(WAY), self._serve, node, call, self._answer)
        world.after(TIMEOUT, self._try, call, call.attempts)
        self._favourite = node

    def refuse(self, call: Call) -> None:
        """A node cannot serve a call now: it is tried again, soon, elsewhere."""
        self._world.after(self._world.spread(ELECTION), self._try, call, call.attempts)

    def _answer(self, call: Call, value: int | None, has_written: bool) -> None:
        """A node answers; the answer travels a while."""
        self._world.after(self._world.spread(WAY), self._end, call, value, has_written)

    def _end(self, call: Call, value: int | None, has_written: bool) -> None:
        world = self._world
        if world.trace is not None:
            world.say("client", f"learns: {call} -> {value}{' (written)' if has_written else ''}")
        self._history.ends(call, world.now, value, has_written)
        if not call.is_done:
            call.is_done = True
            del self.open[call.request]
            world.after(world.spread(PAUSE), self._begin)
