"""A second NATS server for a moment, beside one that is alone.

JetStream in a group does nothing before its server is connected to another one, of whatever kind. So one that is alone
gets company whenever it starts: until it leads itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from shutil import rmtree
from threading import Event, Thread
from time import monotonic
from typing import Any, Final

from blockdb.cluster.jetstream.process import end, find_server, lines_of, start_server
from blockdb.cluster.jetstream.serverconfig import Ports, config_of
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.jetstream.telling import tell_of
from blockdb.storage.door import Door, guarded

__all__ = ["accompany", "companion"]

LOOK_S: Final = 0.05
LONG_ENOUGH_S: Final = 20.0

_log: Final = logging.getLogger("blockdb.cluster.jetstream.server")


@contextmanager
def companion(settings: JetStreamSettings, *, has_jetstream: bool) -> Iterator[str]:
    """A server beside that of a node until the block ends; gives its name. Raises StorageError."""
    name, root = f"{settings.own.id}-companion", settings.data_dir / "nats" / "companion"
    config = replace(
        config_of(settings, Ports(-1, -1), "", ()),
        name=name,
        store=root / "store",
        is_companion=True,
        has_jetstream=has_jetstream,
    )
    with guarded("starting a second nats-server"):
        root.mkdir(mode=0o700, exist_ok=True)
        Door().replace(root / "server.conf", config.text().encode())
        process = start_server(find_server(), root / "server.conf", root / "lock")
    lines = lines_of(process)
    reader = Thread(target=lines.read, daemon=True)
    reader.start()
    try:
        yield name
    finally:
        end(process)
        reader.join()
        lines.close()
        with suppress(OSError):
            rmtree(root)


def accompany(settings: JetStreamSettings, monitor: Callable[[], tuple[str, int]], ending: Event) -> None:
    """Give the server of a node company until it leads itself, if it is a group of one that nobody leads."""
    if not _is_alone(_group(monitor())):
        return
    deadline = monotonic() + LONG_ENOUGH_S
    with companion(settings, has_jetstream=False):
        while monotonic() < deadline and _is_alone(_group(monitor())):
            if ending.wait(LOOK_S):
                return
    _log.debug("the server of %s leads itself", settings.own.id)


def _group(monitor: tuple[str, int]) -> dict[str, Any]:
    try:
        return asyncio.run(tell_of(monitor, "/jsz")).get("meta_cluster") or {}
    except (OSError, TimeoutError, ValueError):
        return {}


def _is_alone(group: dict[str, Any]) -> bool:
    return group.get("cluster_size") == 1 and not group.get("leader")
