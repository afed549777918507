"""Servers with partitions as processes on loopback, each with a NATS server of its own, for tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import blockdb
from blockdb.errors import BlockDBError
from tests.cluster.conformance import until
from tests.ports import free_port

READY_S = 120.0
PATIENT: dict[str, Any] = {"timeout_s": 40.0, "connect_timeout_s": 1.0, "read_timeout_s": 20.0, "attempts": 50}


class Processes:
    """Nodes n1, n2 and so on."""

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.addresses: dict[str, str] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        first = [self._add(f"n{number}") for number in range(1, count + 1)]
        for id_ in first:
            others = ",".join(f"{each}:{self.addresses[each]}" for each in first if each != id_)
            self._spawn(id_, "--peers", others)
        try:
            for id_ in first:
                self.wait(id_)
        except BaseException:
            self.close()
            raise

    def _add(self, id_: str) -> str:
        http, peer = free_port(), free_port()
        self.addresses[id_] = f"127.0.0.1:{http}:{peer}"
        return id_

    def _spawn(self, id_: str, *arguments: str) -> None:
        _, port, peer = self.addresses[id_].split(":")
        command = [
            str(Path(sys.executable).with_name("blockdb")),
            "server",
            "--data-dir",
            str(self.root / id_),
            "--port",
            port,
        ]
        command += ["--peer-port", peer, "--cluster-id", id_, "--engine", "jetstream", "--authentication", "off"]
        with (self.root / f"{id_}.log").open("ab") as log:
            self.running[id_] = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)

    def url(self, id_: str) -> str:
        """Where a node serves."""
        host, port, _ = self.addresses[id_].split(":")
        return f"http://{host}:{port}"

    def connect(self, *ids: str, **options: Any) -> Any:
        """A client of some nodes, of all that run unless it is said which."""
        return blockdb.connect([self.url(id_) for id_ in ids or sorted(self.running)], **{**PATIENT, **options})

    def wait(self, id_: str) -> None:
        """Until a node answers."""

        def answers() -> bool:
            code = self.running[id_].poll()
            assert code is None, f"{id_} ended with {code}: {self.said(id_)}"
            with suppress(BlockDBError), self.connect(id_, attempts=1, timeout_s=5.0) as database:
                database.get(b"anything")
                return True
            return False

        try:
            until(answers, f"{id_} answers", READY_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(map(self.said, self.addresses))) from None

    def said(self, id_: str) -> str:
        """What a node said last."""
        return "\n".join((self.root / f"{id_}.log").read_text(errors="replace").splitlines()[-15:])

    def join(self, id_: str, through: str) -> None:
        """Start another node, which joins the others."""
        self._add(id_)
        host, port, peer = self.addresses[through].split(":")
        self._spawn(id_, "--join", f"{host}:{port}:{peer}")
        self.wait(id_)

    def start(self, id_: str) -> None:
        """Start a node again."""
        self._spawn(id_)
        self.wait(id_)

    def kill(self, id_: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a node."""
        process = self.running.pop(id_)
        process.send_signal(how)
        process.wait(60)

    def close(self) -> None:
        """End all of them."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
        self.running.clear()


@contextmanager
def processes(root: Path, count: int) -> Iterator[Processes]:
    """Nodes that run until the block ends."""
    made = Processes(root, count)
    try:
        yield made
    except AssertionError as error:
        told = "\n".join(f"── {id_}\n{made.said(id_)}" for id_ in made.addresses)
        raise AssertionError(f"{error}\n{told}") from error
    finally:
        made.close()
