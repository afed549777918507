"""A network of its own for nodes: each in a namespace, all on one bridge, and packets between some of them lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pytest

NOBODY = "02:00:00:00:00:99"
"""A hardware address that no interface has."""


@dataclass(frozen=True)
class Place:
    """Where a node runs."""

    name: str
    """Of its namespace."""
    device: str
    host: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What starts a program there."""
        return ("ip", "netns", "exec", self.name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Who lives where, and who does not hear whom."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self._lost: list[tuple[Place, Place]] = []

    def lose(self, from_: Place, to: Place) -> None:
        """Lose what one sends to another, without a word."""
        ip("-n", from_.name, "neigh", "replace", to.host, "lladdr", NOBODY, "dev", from_.device, "nud", "permanent")
        self._lost.append((from_, to))

    def isolate(self, place: Place) -> None:
        """Lose everything between one and all others."""
        for other in self.places:
            if other is not place:
                self.lose(place, other)
                self.lose(other, place)

    def heal(self) -> None:
        """Lose nothing any more."""
        while self._lost:
            from_, to = self._lost.pop()
            ip("-n", from_.name, "neigh", "del", to.host, "dev", from_.device)


@contextmanager
def network(count: int) -> Iterator[Network]:
    """So many places, and this process on the same bridge."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("namespaces take root, and the program ip")
    short, net = f"b{os.getpid()}", f"10.231.{os.getpid() % 250}"
    hub = f"{short}hub"
    places = [Place(f"{short}n{number}", f"{short}v{number}", f"{net}.{10 + number}") for number in range(count)]
    with ExitStack() as stack:
        for name in (hub, *(place.name for place in places)):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        _plug_in(hub, f"{short}v", f"{short}w")
        stack.callback(_gone, f"{short}v")
        ip("addr", "add", f"{net}.1/24", "dev", f"{short}v")
        ip("link", "set", f"{short}v", "up")
        for number, place in enumerate(places):
            _plug_in(hub, place.device, f"{short}w{number}")
            ip("link", "set", place.device, "netns", place.name)
            for words in (
                ("addr", "add", f"{place.host}/24", "dev", place.device),
                ("link", "set", place.device, "up"),
            ):
                ip("-n", place.name, *words)
            ip("-n", place.name, "link", "set", "lo", "up")
        yield Network(places)


def _plug_in(hub: str, device: str, socket: str) -> None:
    ip("link", "add", device, "type", "veth", "peer", "name", socket)
    ip("link", "set", socket, "netns", hub)
    ip("-n", hub, "link", "set", socket, "master", "bridge")
    ip("-n", hub, "link", "set", socket, "up")


def _gone(device: str) -> None:
    with suppress(subprocess.CalledProcessError):
        ip("link", "del", device)
