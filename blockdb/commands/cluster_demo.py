"""cluster demo: a cluster of real processes on this machine, to be looked at, and to have faults done to it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count as numbers
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.errors import BlockDBError, DuplicateKey, Unavailable
from blockdb.scratch import Scratch

from .command import Command, Completes, Need, Where, flag, option
from .context import Context
from .display import human_time, printable
from .failures import CannotOpen, IoError, UsageError
from .frontends import frontend
from .output import is_terminal
from .parsing import count
from .results import Live, Nothing, Result
from .servers import Server
from .serving import INSTALL

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase
    from blockdb.cluster.demo.cluster import DemoCluster

__all__ = ["COMMANDS", "Stage", "running", "wait_for_leader", "writing"]

READY_S = 60.0
LOOK_S = 0.1
WRITE_EVERY_S = 0.05
IMPATIENT: dict[str, Any] = {"attempts": 1, "timeout_s": 5.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0}
"""A node may be stopped where it stands; then another one is asked soon."""
READINGS = "readings"
SPREAD = {"partitions": 4, "replication_factor": 2}
CITIES = ("Oslo", "Lyon", "Kyoto", "Lima", "Turku", "Accra")


def demo(context: Context, arguments: Namespace) -> Result:
    """Start the nodes, and show what they do."""
    if arguments.no_explorer:
        return Live(_lines(arguments), lambda: "Interrupted.")
    if arguments.seconds is not None:
        raise UsageError("--seconds goes with --no-explorer")
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise UsageError("the explorer needs a terminal; off one, use --no-explorer")
    with running(arguments) as cluster:
        context.announce(f"{len(cluster.ids)} nodes are starting …")
        wait_for_leader(cluster)
        with writing(cluster):
            words = [] if arguments.theme is None else ["--theme", arguments.theme]
            return Nothing(frontend("tui")(words, server=Server(urls=cluster.urls), stage=Stage(cluster)))


class Stage:
    """The cluster as the explorer has it: faults, and leadership that is asked for over the network."""

    def __init__(self, cluster: DemoCluster) -> None:
        self._cluster = cluster
        self.faults, self.kill, self.restart = cluster.faults, cluster.kill, cluster.restart
        self.pause, self.resume = cluster.pause, cluster.resume
        self.isolate, self.split, self.heal = cluster.isolate, cluster.split, cluster.heal

    def transfer(self, id_: str) -> None:
        """Have a node lead. Raises BlockDBError."""
        with _connected(*self._cluster.urls) as database:
            database.cluster.transfer(id_)  # type: ignore[attr-defined]


# ── without the explorer ──


def _lines(arguments: Namespace) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
    """Addresses, the leader, and then what happens, for so many seconds or until somebody ends it."""
    with running(arguments) as cluster:
        for id_, url in zip(cluster.ids, cluster.urls, strict=True):
            yield f"{id_}  {url}", {"node_id": id_, "url": url}
        leader = wait_for_leader(cluster)
        yield f"{leader} leads", {"leader": leader}
        until_s = None if arguments.seconds is None else time.monotonic() + arguments.seconds
        with writing(cluster) as writer:
            yield from _told(cluster, until_s)
        yield f"{writer.stored} records were stored", {"stored": writer.stored}


def _told(cluster: DemoCluster, until_s: float | None) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
    """What any of the nodes tells, in the order in which it comes."""
    from queue import Empty, SimpleQueue

    told: SimpleQueue[Any] = SimpleQueue()
    for url in cluster.urls:
        threading.Thread(target=_listen, args=(url, told), name="demo-events", daemon=True).start()
    while until_s is None or time.monotonic() < until_s:
        cluster.check()
        try:
            event = told.get(timeout=LOOK_S)
        except Empty:
            yield None
            continue
        about = " ".join(printable(word) for word in (event.kind, event.other, event.what) if word)
        yield f"{human_time(event.time_ms)}  {printable(event.node_id)}  term {event.term}  {about}", _data(event)


def _listen(url: str, told: Any) -> None:
    with suppress(BlockDBError), _connected(url) as database:
        for event in database.cluster.events():  # type: ignore[attr-defined]
            if event is not None:
                told.put(event)


def _data(event: Any) -> dict[str, Any]:
    from msgspec.structs import asdict

    return asdict(event)


# ── the cluster ──


@contextmanager
def running(arguments: Namespace) -> Iterator[DemoCluster]:
    """The nodes, which end with the block. Raises UsageError, IoError, CannotOpen."""
    try:
        from blockdb.cluster.demo.cluster import DemoCluster, Uncut
        from blockdb.cluster.demo.links import Links
        from blockdb.server import serving  # noqa: F401
    except ModuleNotFoundError as error:
        raise IoError(f"a cluster needs the package {error.name}: {INSTALL}") from error
    with ExitStack() as stack:
        stack.enter_context(_ended_in_order())
        directory = arguments.dir
        if directory is None:
            directory = stack.enter_context(Scratch("blockdb-cluster-")).path
        wires, kept = Links if arguments.engine == "raft" else Uncut, arguments.dir is not None
        cluster = DemoCluster(directory.absolute(), arguments.nodes, wires, is_kept=kept, engine=arguments.engine)
        stack.callback(cluster.close)
        cluster.start()
        yield cluster


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Has SIGTERM, which else ends the process where it stands, leave blocks as an error does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_for_leader(cluster: DemoCluster) -> str:
    """The id of the leader, once there is one. Raises CannotOpen."""
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        try:
            cluster.check()
        except Unavailable as error:
            raise CannotOpen(str(error)) from error
        with suppress(BlockDBError), _connected(cluster.urls[0]) as database:
            leader: str = database.cluster.state().leader  # type: ignore[attr-defined]
            if leader:
                return leader
        time.sleep(LOOK_S)
    node = cluster.nodes[cluster.ids[0]]
    raise CannotOpen(f"no node leads after {READY_S:.0f} s; the last words of {node.id}: {node.last_words()}")


@contextmanager
def _connected(*urls: str) -> Iterator[AnyDatabase]:
    import blockdb

    database = blockdb.connect(urls, token="", **IMPATIENT)
    try:
        yield database
    finally:
        database.close()


# ── something to agree on ──


class Writer(threading.Thread):
    """Stores a reading of a sensor twenty times a second, through whichever node takes it."""

    def __init__(self, urls: tuple[str, ...], *, is_spread: bool = False) -> None:
        """With `is_spread`, into a collection that has partitions."""
        super().__init__(name="demo-writer", daemon=True)
        self._urls = urls
        self._is_spread = is_spread
        self._stopping = threading.Event()
        self.stored = 0

    def run(self) -> None:
        """Goes on through whatever is done to the nodes."""
        while not self._stopping.is_set():
            with suppress(BlockDBError), _connected(*self._urls) as database:
                self._write(database)
            self._urls = (*self._urls[1:], self._urls[0])  # that one may be cut off
            self._stopping.wait(LOOK_S)

    def _readings(self, database: AnyDatabase) -> AnyCollection:
        if not self._is_spread:
            return database
        if not database.has_collection(READINGS):
            database.create_collection(READINGS, settings=SPREAD)
        return database.collection(READINGS)

    def _write(self, database: AnyDatabase) -> None:
        readings = self._readings(database)
        for number in numbers(readings.count(prefix=b"reading:")):
            value = {"city": CITIES[number % len(CITIES)], "degrees": (number * 37) % 400 / 10}
            with suppress(DuplicateKey):  # one that was stored although nobody could say so
                readings.put(b"reading:%08d" % number, value)
                self.stored += 1
            if self._stopping.wait(WRITE_EVERY_S):
                return

    def stop(self) -> None:
        """Stores no more."""
        self._stopping.set()


@contextmanager
def writing(cluster: DemoCluster) -> Iterator[Writer]:
    """Something is stored as long as the block lasts."""
    writer = Writer(cluster.urls, is_spread=cluster.engine != "raft")
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()
        writer.join(1.0)


COMMANDS = (
    Command(
        "cluster demo",
        "Start a cluster on this machine and look at it: kill, pause, cut off and heal its nodes with keys.",
        demo,
        (
            option("--nodes", metavar="N", type=count, default=3, help="How many nodes: 3 to 5."),
            option(
                "--dir",
                metavar="DIR",
                type=Path,
                completes=Completes.FILE,
                help="Where to keep the nodes' directories; else they are gone afterwards.",
            ),
            flag("--no-explorer", help="Print addresses and what happens as lines, and open no explorer."),
            option("--seconds", metavar="N", type=float, help="With --no-explorer: end after so long."),
            option("--theme", metavar="NAME", help="Colours of the explorer.", completes=Completes.THEME),
            option(
                "--engine",
                metavar="NAME",
                choices=("raft", "jetstream"),
                default="raft",
                help="What they agree with. With jetstream, P shows which node keeps which partition.",
            ),
        ),
        details="Each node is a process of its own (`blockdb server --cluster-id ...`) on the loopback address, at a "
        "free port; something is written all the time. All of it ends with this command. In the explorer's view of the "
        "cluster x kills the chosen node, z pauses it, r starts it again, i cuts it off, s cuts the cluster in two, u "
        "heals, T has it lead; w saves the time line, which `blockdb-tui --replay FILE` shows again.",
        examples=(
            ("cluster demo", "Three nodes, and the explorer on them"),
            ("cluster demo --nodes 5 --dir cluster", "Five, which are kept"),
            ("cluster demo --engine jetstream", "With a collection that is spread over the nodes"),
            ("cluster demo --no-explorer --seconds 10", "For a script"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        formats=("table", "jsonl"),
    ),
)
