"""The network between the nodes: it loses, delays, doubles, reorders and repeats messages, and is cut in any shape."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from random import Random
from typing import Final

from blockdb.raft.messages import Message
from tests.simulation.plan import ELECTION, Weather
from tests.simulation.world import World

NOTICED: Final = 0.1
"""How often a sender is told that a message did not come through."""
MEMORY: Final = 40
"""How many messages are kept to be repeated."""

Deliver = Callable[[str, Message], None]
Link = tuple[str, str]


class Network:
    """Messages on their way."""

    def __init__(self, world: World, weather: Weather, deliver: Deliver, tell: Callable[[str, str], None]) -> None:
        self.weather = weather
        self.cut: set[Link] = set()
        """From whom to whom nothing comes through. Never iterated over: sets have no order."""
        self._world = world
        self._deliver = deliver
        self._tell = tell
        self._memory: deque[tuple[str, Message]] = deque(maxlen=MEMORY)

    def send(self, to: str, message: Message) -> None:
        """Take a message along, or lose it."""
        weather, world = self.weather, self._world
        if world.happens(weather.loss):
            return
        self._carry(to, message)
        if world.happens(weather.duplication):
            self._carry(to, message)
        if weather.replay:
            self._memory.append((to, message))
            if world.happens(weather.replay):
                self._carry(*world.chance.choice(self._memory))

    def _carry(self, to: str, message: Message) -> None:
        weather, world = self.weather, self._world
        delay = weather.delay + int(world.chance.random() * weather.jitter)
        if world.happens(weather.lag):
            delay += world.spread(2 * ELECTION)
        world.after(delay, self._arrive, to, message)

    def _arrive(self, to: str, message: Message) -> None:
        if (message.sender, to) not in self.cut:
            self._deliver(to, message)
        elif self._world.happens(NOTICED):
            self._tell(message.sender, to)

    def heal(self) -> None:
        """Everyone reaches everyone."""
        self.cut.clear()

    def split(self, one: Iterable[str], other: Iterable[str], *, one_way: bool = False) -> None:
        """Nothing goes from one side to the other, nor back unless it is one way."""
        others = list(other)
        for a in one:
            for b in others:
                self.cut.add((a, b))
                if not one_way:
                    self.cut.add((b, a))


def shapes(network: Network, ids: Sequence[str], leader: str, chance: Random) -> str:
    """Cut the network in some shape, and give its name."""
    ids = list(ids)
    chance.shuffle(ids)
    shape = chance.choice(
        ("halves", "one way", "partial", "ring", "isolated leader", "bridge", "deaf", "mute", "random")
    )
    lone = leader if leader and chance.random() < 0.6 else ids[0]
    others = [id_ for id_ in ids if id_ != lone]
    if shape == "halves":
        middle = chance.randint(1, len(ids) // 2)
        network.split(ids[:middle], ids[middle:])
    elif shape == "one way":
        middle = chance.randint(1, len(ids) - 1)
        network.split(ids[:middle], ids[middle:], one_way=True)
    elif shape == "partial":  # two who do not see each other; everyone else sees both
        network.split([lone], others[:1])
    elif shape == "ring":
        near = {(ids[at - 1], ids[at]) for at in range(len(ids))}
        network.cut |= {link for link in permutations(ids, 2) if link not in near and link[::-1] not in near}
    elif shape == "isolated leader":
        network.split([lone], others)
    elif shape == "bridge":  # two halves that only one node sees both of
        middle = len(others) // 2
        network.split(others[:middle], others[middle:])
    elif shape == "deaf":
        network.split(others, [lone], one_way=True)
    elif shape == "mute":
        network.split([lone], others, one_way=True)
    else:
        network.cut |= {link for link in permutations(ids, 2) if chance.random() < 0.3}
    return shape
