"""The witness over HTTP: an ASGI application."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from blockdb.errors import BlockDBError
from blockdb.witness.protocol import ADD_CHECKPOINT, CHECKPOINT, MAX_BODY_BYTES
from blockdb.witness.witness import TEXT_TYPE, Answer, Witness

BODY_TIMEOUT_S: Final = 10.0
_LOG_ID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def application(witness: Witness, body_timeout_s: float = BODY_TIMEOUT_S) -> Starlette:
    """The application that lets the world speak to a witness."""

    async def add(request: Request) -> Response:
        try:
            async with asyncio.timeout(body_timeout_s):
                body = await _body(request)
        except TimeoutError:
            return _response(Answer(408, f"the request did not come within {body_timeout_s:g} seconds\n"), close=True)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        if body is None:
            return _response(Answer(413, f"the request has more than {MAX_BODY_BYTES} bytes\n"), close=True)
        return await _answered(lambda: witness.add(body))

    async def last(request: Request) -> Response:
        name = request.path_params["name"]
        return await _answered(lambda: _last(witness, name))

    return Starlette(
        routes=[Route(ADD_CHECKPOINT, add, methods=["POST"]), Route(CHECKPOINT + "{name}", last, methods=["GET"])]
    )


async def _body(request: Request) -> bytes | None:
    """The body; None as soon as there is too much of it."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


async def _answered(work: Callable[[], Answer]) -> Response:
    """The answer of work that waits for the disk. Why there is none is told to the operator alone."""
    try:
        return _response(await run_in_threadpool(work))
    except BlockDBError as error:
        sys.stderr.write(f"Error: {type(error).__name__}: {error}\n")
        return _response(Answer(500, "the witness cannot answer; its operator was told why\n"))


def _last(witness: Witness, name: str) -> Answer:
    note = witness.last_note(name) if _LOG_ID.fullmatch(name) else None
    return Answer(404, "no checkpoint is kept under this name\n") if note is None else Answer(200, note)


def _response(answer: Answer, *, close: bool = False) -> Response:
    headers = {"content-type": answer.content_type or TEXT_TYPE, **({"connection": "close"} if close else {})}
    return Response(answer.body, answer.status, headers)
