"""A server in its own process, until its input ends: `python -m benchmarks.serving WHAT DIRECTORY` gives its port."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

__all__ = ["CONSTANT", "FORCED", "PLAIN", "Server", "serving"]

PLAIN: Final = "plain"
"""BlockDB as it comes."""
FORCED: Final = "forced"
"""BlockDB, each record on the disk before it is acknowledged."""
CONSTANT: Final = "constant"
"""The same framework and server with an endpoint that does nothing."""

ANSWER: Final = bytes(20)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """The processor time that it has taken so far, in seconds (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(what: str, directory: Path) -> Iterator[Server]:
    """A server that runs until the end of the block, with a database of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", what, tempfile.mkdtemp(dir=directory)]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.stdin.close()
            process.wait(60)


def _constant() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        return Response(ANSWER)

    return Starlette(routes=[Route("/api/v1/collections/default/records", answer, methods=["POST"])])


async def _serve(application: Any) -> None:
    import uvicorn

    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.buffer.read)
    ended.add_done_callback(lambda _: setattr(server, "should_exit", True))
    print(listening.getsockname()[1], flush=True)
    await server.serve([listening])


def main(what: str, directory: str) -> None:
    """Serve until standard input ends."""
    import uvloop

    if what == CONSTANT:
        uvloop.run(_serve(_constant()))
        return
    import blockdb
    from blockdb.server.http.application import Application
    from blockdb.server.service import Service

    settings: dict[str, Any] = {"wal_sync_interval": 0} if what == FORCED else {}
    with blockdb.open(Path(directory) / what, **settings) as database:
        service = Service(database)
        application = Application(service)
        uvloop.run(_serve(application))
        application.close()
        service.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
