"""A connection and its limits: heads, pipelines, idleness, clients that do not read, bytes that are not HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from random import Random
from typing import Any

import pytest

from blockdb.serving import connection as connections
from blockdb.serving.connection import Waiting
from blockdb.serving.limits import Limits
from tests.serving.family import answers, connected, said, served, statuses

LIMITS = Limits(max_connections=8, max_header_bytes=2048, max_headers=20, max_pipelined=16)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
left = asyncio.Event()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says back what it was sent; /flood never stops, /wait waits until its client is gone."""
    if scope["path"] == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()
        return
    body = bytearray()
    more = scope["path"] != "/flood"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/flood":
        await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        if (await asyncio.wait_for(asyncio.shield(_soon(receive)), 5)) == "http.disconnect":
            left.set()
            return
    await send({"type": "http.response.body", "body": bytes(body)})


async def _soon(receive: Any) -> str:
    """What there is for the application, without waiting for it."""
    task = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if task.done():
        return str(task.result()["type"])
    task.cancel()
    return ""


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with served(application, LIMITS) as (_, found):
        yield found


def still_serves(address: tuple[str, int]) -> None:
    assert statuses(answers(address, CLOSE)) == [200]


def test_requests_one_after_the_other_and_at_once(address: tuple[str, int]) -> None:
    assert statuses(answers(address, GET * 9 + CLOSE)) == [200] * 10
    with connected(address) as connection:
        for _ in range(3):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            received = b""
            while not received.endswith(b"hello\r\n0\r\n\r\n"):
                received += connection.recv(1000)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n" % (b"x" * 3000), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %s" % (b"x" * 3000), 431),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 3000), 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 21 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\rGET / HTTP/1.1\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
    ids=range(15),
)
def test_what_is_refused_is_told_why(address: tuple[str, int], words: bytes, status: int) -> None:
    answer = answers(address, words)
    assert statuses(answer) == [status], answer
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["success"] is False
    still_serves(address)


def test_a_head_that_comes_in_pieces_has_its_limit(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(40):
                connection.sendall(b"x" * 100)
                answers(address, CLOSE)  # so that the piece is read alone
        assert statuses(said(connection)) == [431]


def test_a_slow_head_has_its_time() -> None:
    """Also a second head on the same connection, and whoever says nothing at all."""
    with served(application, Limits(head_timeout_s=0.5)) as (_, address), ExitStack() as stack:
        slow = {words: stack.enter_context(connected(address)) for words in (b"", b"GET / HT", GET + b"GET /")}
        for words, connection in slow.items():
            connection.sendall(words)
        for words, connection in slow.items():
            assert statuses(said(connection)) == [200] * words.count(GET)


def test_a_pipeline_has_an_end(address: tuple[str, int]) -> None:
    answer = answers(address, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 100)
    assert answer == b""  # nothing may fall into the answer to the first one
    still_serves(address)


def test_other_protocols_are_answered_in_this_one(address: tuple[str, int]) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
    for name in (b"websocket", b"h2c"):
        assert statuses(answers(address, upgrade % name)) == [200]


def test_where_all_is_taken_the_idle_make_room_and_else_one_is_refused(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LEAST_WAIT_S", 1000.0)  # however slow this machine is
    with ExitStack() as stack:
        idle = []
        for _ in range(LIMITS.max_connections):
            connection = stack.enter_context(connected(address))
            connection.sendall(GET)
            assert connection.recv(1000)
            idle.append(connection)
        for _ in range(LIMITS.max_connections):
            busy = stack.enter_context(connected(address))
            busy.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert busy.recv(1000).startswith(b"HTTP/1.1 100")
        for connection in idle:
            said(connection)  # until it is closed
        answer = answers(address, CLOSE)
        assert statuses(answer) == [503]
        busy.sendall(b"hello")
        assert b"hello" in busy.recv(1000)
    still_serves(address)


def test_a_body_has_its_time_for_each_piece() -> None:
    half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal"
    with served(application, Limits(body_timeout_s=0.1)) as (_, address):
        assert statuses(answers(address, half)) == [408]
        assert statuses(answers(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == [200]


def test_who_does_not_read_is_hung_up_on() -> None:
    left.clear()
    limits = Limits(write_timeout_s=0.1)
    with served(application, limits) as (server, address), connected(address) as connection:
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        still_serves(address)
        with suppress(ConnectionError):
            while connection.recv(1, socket.MSG_PEEK) and server.connections:
                pass
        assert not server.connections
        still_serves(address)


def test_a_client_that_goes_ends_every_request_of_its(address: tuple[str, int]) -> None:
    left.clear()
    with connected(address) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 2)
    deadline = 2_000
    while not left.is_set() and deadline:
        still_serves(address)
        deadline -= 1
    assert left.is_set()


@pytest.mark.parametrize("rounds", [40, pytest.param(3_000, marks=pytest.mark.torture)])
def test_whatever_bytes_it_is_sent_it_goes_on(address: tuple[str, int], rounds: int) -> None:
    chance = Random(rounds)
    for _ in range(rounds):
        words = bytearray(GET + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + CLOSE)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(words))
            words[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        with connected(address) as connection, suppress(ConnectionError):
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            said(connection)
    still_serves(address)


def test_times_are_kept_without_a_clock() -> None:
    class Silent:
        def __init__(self) -> None:
            self.hung_up = 0

        def hang_up(self) -> None:
            self.hung_up += 1

    now = [0.0]
    waiting = Waiting(Limits(head_timeout_s=10, idle_timeout_s=60, write_timeout_s=30), lambda: now[0])
    head, idle, stalled = (Silent() for _ in range(3))
    queues: list[Any] = [waiting.heads, waiting.idle, waiting.stalled]
    for queue, one in zip(queues, (head, idle, stalled), strict=True):
        queue[one] = 0.0
    seen = []
    for now[0] in (9.9, 10.0, 29.9, 30.0, 59.9, 60.0):
        waiting.sweep()
        seen.append((head.hung_up, idle.hung_up, stalled.hung_up))
    assert seen == [(0, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 1), (1, 0, 1), (1, 1, 1)]
    assert not waiting.make_room()
