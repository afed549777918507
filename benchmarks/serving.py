"""A server in a process of its own, until its input ends: `python -m benchmarks.serving WHAT DIRECTORY` gives its port."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

__all__ = ["CONSTANT", "FORCED", "PLAIN", "serving"]

PLAIN: Final = "plain"
"""BlockDB as it comes."""
FORCED: Final = "forced"
"""BlockDB, each record on the disk before it is acknowledged."""
CONSTANT: Final = "constant"
"""The same framework and server with an endpoint that does nothing."""

ANSWER: Final = bytes(20)


@contextmanager
def serving(what: str, directory: Path) -> Iterator[int]:
    """A server that runs until the end of the block. Gives its port."""
    with Popen([sys.executable, "-m", "benchmarks.serving", what, str(directory)], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
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
