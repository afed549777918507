"""Servers in processes of their own: that of BlockDB, and the same framework with an endpoint that does nothing."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

__all__ = ["CONSTANT", "FORCED", "PLAIN", "Server", "cpu_s", "serving"]

PLAIN: Final = "plain"
"""BlockDB as it comes."""
FORCED: Final = "forced"
"""BlockDB, each record on the disk before it is acknowledged."""
CONSTANT: Final = "constant"
"""The same framework and server with an endpoint that does nothing."""

ANSWER: Final = bytes(20)
MAX_CONNECTIONS: Final = 4_000


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """The processor time that it has taken so far, in seconds (Linux)."""
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """The processor time that a process has taken so far, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(what: str, directory: Path) -> Iterator[Server]:
    """A server that runs until the end of the block; BlockDB's own, with a database of its own."""
    data_dir = tempfile.mkdtemp(dir=directory)
    ours = ("-m", "blockdb.commands.main", "server", "--port", "0", "--data-dir", data_dir, "--log-level", "error")
    command = ("-m", "benchmarks.serving") if what == CONSTANT else ours
    settings = {"BLOCKDB_WAL_SYNC_INTERVAL": "0"} if what == FORCED else {}
    environment = {**os.environ, **settings, "BLOCKDB_SERVER_MAX_CONNECTIONS": str(MAX_CONNECTIONS)}
    with Popen([sys.executable, *command], stdout=PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().decode()
            found = re.search(r":(\d+)", line)
            assert found is not None, f"the server has said {line!r}"
            yield Server(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _constant() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        return Response(ANSWER)

    return Starlette(routes=[Route("/api/v1/collections/default/records", answer, methods=["POST"])])


def main() -> None:
    """Serve the endpoint that does nothing until the process is told to end."""
    import uvicorn

    config = uvicorn.Config(
        _constant(),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
    )
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
