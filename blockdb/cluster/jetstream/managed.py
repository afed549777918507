"""The NATS server of a node: started and watched, started again when it dies, and ended with the node."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from secrets import token_hex
from shutil import disk_usage
from subprocess import Popen
from threading import Condition, Event, Thread
from typing import Any, Final

from blockdb.cluster.jetstream.companions import accompany
from blockdb.cluster.jetstream.exposure import check_exposure
from blockdb.cluster.jetstream.process import end, find_server, lines_of, start_server
from blockdb.cluster.jetstream.serverconfig import Ports, ServerConfig, config_of
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.errors import BlockDBError, StorageError
from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame
from blockdb.storage.door import Door, guarded

__all__ = ["ManagedServer"]

PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Before it is started again: the first, the second time and so on."""
STEADY_S: Final = 60.0
"""A server that ran so long begins anew with the pauses."""
LOG_BYTES: Final = 4 << 20
CONNECTING: Final = "Error trying to connect"
"""What it says again and again while another node is not there."""
NOT_WRITTEN: Final = ("resources, will be DISABLED", "ritical write error")
"""What it says when a write fails: it does without that stream, or all, until it is started again."""
ROOM_BYTES: Final = 64 << 20
REST_S: Final = 5.0
"""How long it is left alone after that."""
READY: Final = ("Server is ready", "Listening for route connections")
"""What it says last when it begins, without others and with others."""
ALONE: Final = "Waiting for routing to be established"
"""What it says where no other server is connected to it."""

_log = logging.getLogger("blockdb.cluster.jetstream.server")


class ManagedServer:
    """Of one node. Safe for threads."""

    def __init__(self, settings: JetStreamSettings, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` is told in words when it has ended by itself, and when it was started again. Raises ConfigError."""
        check_exposure(settings)
        self._settings = settings
        self._tell = tell
        self._program = find_server()
        self._root = settings.data_dir / "nats"
        self._secret = token_hex(16)
        self._door = Door()
        self._ports = self._kept_ports()
        self._process: Popen[bytes] | None = None
        self._last = ""  # error that it told
        self._is_ready = False
        self._failed_s = 0.0  # when it could not write, unless it was started since
        self._changed = Condition()
        self._starts = 0
        self._failure: Exception | None = None
        self._ending = Event()
        self._identity = settings.tls.identity() if settings.tls is not None else ()
        self._company = Thread()
        self._thread = Thread(target=self._watch, name="nats-server", daemon=True)

    @property
    def url(self) -> str:
        """Where the node itself connects to it. It has a secret."""
        return f"nats://node:{self._secret}@127.0.0.1:{self._ports.client}"

    @property
    def system_url(self) -> str:
        """The same, for what is about the servers themselves."""
        return f"nats://system:{self._secret}@127.0.0.1:{self._ports.client}"

    @property
    def monitor(self) -> tuple[str, int]:
        """Host and port where it tells of itself by HTTP."""
        return "127.0.0.1", self._ports.monitor

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._starts

    def start(self, timeout_s: float) -> None:
        """Start it, and return when it listens. Raises StorageError where it does not."""
        with guarded("starting nats-server"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready or self._starts > 2 or self._failure is not None, timeout_s)
            is_ready, failure = self._is_ready, self._failure
        if is_ready:
            return
        self.close()
        if failure is not None:
            raise failure
        raise StorageError(f"The NATS server of this node does not start: {self._reason()} ({self._root / 'log'}).")

    def remember(self, addresses: Sequence[str]) -> None:
        """Keep the peer addresses of the nodes that there are, for the next time that it is started."""
        peers = sorted(set(addresses) - {self._settings.own.peer_address})
        if peers and peers != self._remembered():
            self._keep("peers.toml", {"peers": peers})

    def _remembered(self) -> list[str]:
        return [str(each) for each in self._kept("peers.toml").get("peers", ())]

    def _kept(self, name: str) -> dict[str, Any]:
        """What was kept there; nothing where it is gone or damaged, since all of it can be found anew."""
        with suppress(OSError, BadFrame):
            return checked_toml.decode(self._door.read(self._root / name))
        return {}

    def _keep(self, name: str, values: dict[str, Any]) -> None:
        with guarded(f"writing {name}"):
            self._door.replace(self._root / name, checked_toml.encode(values))

    def _watch(self) -> None:
        """On a thread of its own, which lives as long as the node does: the kernel ends the server with it."""
        tries = 0
        while not self._ending.is_set():
            started = time.monotonic()
            try:
                code = self._run()
            except Exception as error:
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            if self._ending.is_set():
                return
            tries = 0 if time.monotonic() - started > STEADY_S else tries + 1
            pause_s = PAUSES_S[min(tries, len(PAUSES_S)) - 1] if tries else 0
            self._say(f"nats-server ended ({code}): {self._reason()}; it is started again in {pause_s:g} s")
            self._ending.wait(pause_s)

    def _run(self) -> int:
        """Start it, and be there until it has ended; gives its status."""
        self._ports = self._free_ports()
        config = self._root / "server.conf"
        with guarded("starting nats-server"):
            self._door.replace(config, self._config().text().encode())
            process = start_server(self._program, config, self._root / "lock")
        with self._changed:
            self._process = process
            self._starts += 1
            self._changed.notify_all()
        if self._ending.is_set():  # it was closed just before there was a process
            process.terminate()
        if self._starts > 1:
            self._say("nats-server was started again")
        self._keep_log(process)
        return process.wait()

    def _say(self, what: str) -> None:
        _log.warning("%s", what)
        with suppress(Exception):
            self._tell(what)

    def _keep_log(self, process: Popen[bytes]) -> None:
        file = RotatingFileHandler(self._root / "log", maxBytes=LOG_BYTES, backupCount=1, delay=True)
        try:
            with lines_of(process) as lines:
                for line in lines:
                    self._keep_line(file, line.decode(errors="replace").rstrip())
        finally:
            file.close()

    def _keep_line(self, file: RotatingFileHandler, line: str) -> None:
        file.emit(logging.makeLogRecord({"msg": line}))
        if READY[not self._settings.mirror_of] in line:
            with self._changed:
                self._is_ready = True
                self._changed.notify_all()
        if any(each in line for each in NOT_WRITTEN):
            if not self._failed_s:
                self._say(
                    f"nats-server cannot write: it is started anew once {ROOM_BYTES >> 20} MiB of the disk are free"
                )
            self._failed_s = time.monotonic()
        if ALONE in line and not self._company.is_alive():
            self._company = Thread(target=self._accompany, name="nats-company", daemon=True)
            self._company.start()
        if "[ERR]" in line or "[FTL]" in line:
            what = line.partition("] ")[2] if line.startswith("[") else line
            what = what.partition("] ")[2] or what
            is_usual = CONNECTING in line
            _log.log(logging.DEBUG if is_usual else logging.WARNING, "nats-server: %s", what)
            self._last = self._last if is_usual else what

    def _accompany(self) -> None:
        try:
            accompany(self._settings, lambda: self.monitor, self._ending)
        except BlockDBError as error:
            _log.warning("nats-server is alone: %s", error)

    def look(self) -> None:
        """Have it take up certificates that were replaced, and a disk that has room again.

        Cheap; to be called now and then.
        """
        identity = self._settings.tls.identity() if self._settings.tls is not None else ()
        if identity != self._identity and self.pid:
            self._identity = identity
            os.kill(self.pid, signal.SIGHUP)
            _log.info("nats-server reads its certificate anew")
        is_rested = self._failed_s and time.monotonic() - self._failed_s > REST_S
        if is_rested and self.pid and disk_usage(self._root).free >= ROOM_BYTES:
            self._failed_s = 0.0
            self._say("the disk has room: nats-server is started anew")
            os.kill(self.pid, signal.SIGTERM)

    def _reason(self) -> str:
        return self._last or "it does not say why"

    def _config(self) -> ServerConfig:
        settings = self._settings
        first = [member.peer_address for member in settings.bootstrap.all]
        return config_of(settings, self._ports, self._secret, [*first, *settings.join, *self._remembered()])

    def _kept_ports(self) -> Ports:
        kept = self._kept("ports.toml")
        return Ports(int(kept.get("client", 0)), int(kept.get("monitor", 0)))

    def _free_ports(self) -> Ports:
        """Those that it had, unless somebody else has them now."""
        ports = Ports(_free(self._ports.client), _free(self._ports.monitor))
        self._keep("ports.toml", asdict(ports))
        return ports

    def close(self) -> None:
        """End it, and wait for that. Idempotent."""
        self._ending.set()
        process = self._process
        if process is not None:
            end(process)
        for thread in (self._thread, self._company):
            if thread.is_alive():
                thread.join(5.0)


def _free(port: int) -> int:
    """That port of loopback, or another one if it is taken."""
    for wanted in (port, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", wanted)) as listening:
            return int(listening.getsockname()[1])
    raise StorageError("This machine has no free port left on loopback.")
