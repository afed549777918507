"""Nodes over streams in processes of their own, each with its NATS server; and clients that note what they saw."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

import blockdb
from blockdb.format.consensus import Members
from tests.cluster.conformance import until
from tests.cluster.jetstream.nodes import member
from tests.cluster.processes.clients import Clients
from tests.cluster.processes.history import ABSENT, REFUSED, STORED, UNKNOWN, VALUE, Op, faults_of

START_S = 60.0
ANSWER_S = 5.0
ROOT = Path(__file__).parents[3]


class Node:
    """One process, which can be killed and started again."""

    def __init__(self, directory: Path, own: bytes, members: bytes) -> None:
        self.directory = directory
        self._words = [str(directory), own.decode(), members.decode()]
        self._waiting: dict[int, Future[Any]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it is there."""
        self.directory.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.cluster.jetstream.child", *self._words]
        there: Future[Any] = Future()
        pipe = subprocess.PIPE
        with (self.directory.parent / f"{self.directory.name}.log").open("a") as log:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, cwd=ROOT)
        with self._lock:
            self._process, self._waiting = process, {0: there}
        threading.Thread(target=self._listen, args=(process, self._waiting), daemon=True).start()
        there.result(START_S)

    @staticmethod
    def _listen(process: subprocess.Popen[str], waiting: dict[int, Future[Any]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            waiting.pop(answer["n"]).set_result(answer)
        for future in list(waiting.values()):
            future.set_result({"error": "its process has ended", "kind": "Unavailable"})

    def ask(self, what: str, **values: str) -> dict[str, Any]:
        """What it answers; that it is Unavailable where it does not."""
        future = Future[Any]()
        with self._lock:
            process, number = self._process, next(self._numbers)
            self._waiting[number] = future
            try:
                assert process is not None
                assert process.stdin is not None
                process.stdin.write(json.dumps({"n": number, "do": {"what": what, **values}}) + "\n")
                process.stdin.flush()
            except (OSError, ValueError, AssertionError):
                return {"error": "it does not run", "kind": "Unavailable"}
        try:
            answer: dict[str, Any] = future.result(60.0 if what in {"records", "chain"} else ANSWER_S)
        except Late:
            return {"error": "it did not answer", "kind": "Unavailable"}
        return answer

    @property
    def server(self) -> int:
        """The process of its NATS server; 0: there is none."""
        pid = self._process.pid if self._process is not None else 0
        found = Path(f"/proc/{pid}/task/{pid}/children")
        children = [int(each) for task in found.parents[1].glob("*/children") for each in task.read_text().split()]
        names = {each: Path(f"/proc/{each}/comm").read_text().strip() for each in children}
        return next((each for each, name in names.items() if name.startswith("nats-server")), 0)

    def kill_server(self) -> None:
        """Kill its NATS server, which the node starts again."""
        with suppress(OSError):
            if self.server:
                os.kill(self.server, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait(60)


class Processes:
    """Three nodes of a new cluster."""

    def __init__(self, root: Path, nodes: int = 3) -> None:
        members = tuple(member(f"node{number}") for number in range(1, nodes + 1))
        all_ = msgspec.json.encode(Members(members))
        self.root = root
        self.nodes = {each.id: Node(root / each.id, msgspec.json.encode(each), all_) for each in members}
        with ThreadPoolExecutor(nodes) as pool:
            list(pool.map(Node.start, self.nodes.values()))

    def leader(self) -> str:
        """Whose server leads the stream."""
        found: list[str] = []

        def is_known() -> bool:
            answers = [node.ask("status").get("value") for node in self.nodes.values()]
            said = {answer["leader"] for answer in answers if answer}
            found[:] = said
            return len(said) == 1 and "" not in said

        until(is_known, "all nodes know one leader", 60.0)
        return found[0]

    def all_there(self) -> None:
        """Wait until every node answers with what is up to date."""
        for node in self.nodes.values():
            until(lambda node=node: "value" in node.ask("get", key=text(b"anything")), "every node answers", 90.0)  # type: ignore[misc]

    def records(self, id_: str, level: str) -> list[tuple[bytes, bytes]]:
        """All records, in their order."""
        answer = self.nodes[id_].ask("records", level=level)
        return [(b64decode(key), b64decode(value)) for key, value in answer["value"]]


def text(data: bytes) -> str:
    """Bytes for JSON."""
    return b64encode(data).decode()


@contextmanager
def running(root: Path) -> Iterator[Processes]:
    """Nodes that run until the block ends, which sees that all of them are clean."""
    processes = Processes(root)
    try:
        processes.all_there()
        yield processes
    finally:
        with ThreadPoolExecutor(len(processes.nodes)) as pool:
            list(pool.map(Node.close, processes.nodes.values()))
    for id_ in processes.nodes:
        with blockdb.open(root / id_, read_only=True) as database:
            assert database.verify().valid, id_


class Load(Clients):
    """Rivals, who put the same keys through all nodes, and read them."""

    def __init__(self, processes: Processes, seed: int, clients: int = 6) -> None:
        super().__init__(seed, {f"rival{number}": self._rival for number in range(clients)})
        self._nodes = list(processes.nodes.values())
        self._at = count()

    def _rival(self, who: str, chance: random.Random) -> None:
        for number in count():
            if self._stopping.is_set():
                return
            at, node = next(self._at), chance.choice(self._nodes)
            key = b"common:%06d" % max(0, at // 3 - chance.randrange(2))
            value = b"%s:%d" % (who.encode(), number)
            began = time.monotonic()
            if chance.random() < 0.6:
                answer = node.ask("put", key=text(key), value=text(value))
                what = STORED if "value" in answer else REFUSED if "refused" in answer else UNKNOWN
                self._note(Op(key, what, began, time.monotonic(), value, answer.get("value"), who))
                if "kind" in answer:
                    self.kinds[answer["kind"]] += 1
            else:
                answer = node.ask("get", key=text(key))
                if "value" not in answer:
                    self.kinds[answer["kind"]] += 1
                    continue
                found = answer["value"]
                what = ABSENT if found is None else VALUE
                self._note(Op(key, what, began, time.monotonic(), b64decode(found or ""), None, who))


def judge(processes: Processes, load: Load) -> None:
    """See that all nodes have the same in the end, and that it is what clients were told."""
    load.stop()
    processes.all_there()
    assert set(load.kinds) <= {STORED, REFUSED, UNKNOWN, VALUE, ABSENT, "Unavailable"}, load.kinds
    newest = max((processes.records(id_, "Linearizable") for id_ in processes.nodes), key=len)
    faults = faults_of(load.ops, newest)
    assert not faults, "\n".join(faults[:10])
    until(lambda: all(processes.records(id_, "Local") == newest for id_ in processes.nodes), "the same on all nodes")
    chains = {id_: tuple(node.ask("chain", level="Local")["value"]) for id_, node in processes.nodes.items()}
    assert len(set(chains.values())) == 1, {id_: len(chain) for id_, chain in chains.items()}
