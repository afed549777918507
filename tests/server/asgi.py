"""Asking an ASGI application without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from blockdb.wire.operation import Operation


class Asker:
    """Asks an application, one request at a time, in a loop of its own."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self._application = application
        self._runner = asyncio.Runner()

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, bytes | str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        tls: object = None,
    ) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query or {}).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
            + [(b"content-length", b"%d" % len(body)), (b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "state": {} if tls is None else {"tls": tls},
        }
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def whole() -> None:
            await self._application(scope, receive, send)

        self._runner.run(whole())
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def close(self) -> None:
        self._runner.close()


def path_of(operation: Operation, parameters: Mapping[str, str | bytes]) -> str:
    """The path of an operation with its parameters filled in."""
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", quote(parameters[name], safe=""))
    return path
