"""A server as `blockdb server` makes it: in a thread of this process, or as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import blockdb
from blockdb.config import Sources
from blockdb.security.exposure import check_exposure
from blockdb.server.serving import Served
from blockdb.serving.listening import listen
from tests.server.harness import Answer

Address = tuple[str, int]


def ask(address: Address, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """One request on a connection of its own."""
    connection = HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@contextmanager
def served_here(path: Path, file: Path | None = None, **flags: Any) -> Iterator[tuple[Served, Address]]:
    """A server in a thread of this process, until the block ends; settings as flags (`server.port`)."""
    sources = Sources(file, {}, {"data_dir": str(path), **flags})
    config = sources.config()
    with blockdb.open(path) as database, listen("127.0.0.1", 0) as listening:
        exposure = check_exposure("127.0.0.1", has_tokens=False, has_tls=False)
        with Served.around(database, sources, config, exposure) as served:
            ready = SimpleQueue[str]()
            thread = Thread(target=served.run, args=([listening], ready.put))
            address = listening.getsockname()
            thread.start()
            ready.get(timeout=20)
            try:
                yield served, address
            finally:
                served.stop()
                thread.join(30)
                assert not thread.is_alive()


@contextmanager
def serving(path: Path, *words: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], Address]]:
    """A process that serves the database at a path, and its address; it is gone after the block."""
    command = [sys.executable, "-m", "blockdb.commands.main", "server", "-d", str(path), "--port", "0", *words]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environ}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            assert line.startswith("BlockDB listens on http"), line
            url = urlsplit(line.split()[3])
            yield process, (str(url.hostname), int(url.port or 0))
        finally:
            process.kill()


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """End it in order: its exit code, and what its log says."""
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    return process.returncode, told.decode()
