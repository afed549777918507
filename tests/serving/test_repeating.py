"""Requests that are like the one before: only what is byte for byte the same is answered without its head."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from blockdb.serving.limits import Limits
from blockdb.serving.process import Server
from blockdb.serving.repeating import AGAIN, MOST_HEADS, Answered, Head
from tests.serving.family import connected, said, served, statuses
from tests.storage.doors import until

HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX: y\r\n\r\n%s"
waiting: list[Callable[[], None]] = []
heads: list[str] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says back what it was sent; offers to do so without the head, where `wait` waits and `long` is not taken."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    heads.append(scope["path"])
    if scope["path"] != "/never":
        scope["extensions"][AGAIN](again)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def again(body: bytes, key: bytes | None, answered: Answered) -> bool:
    def answer() -> None:
        answered(201, b"content-length: %d\r\n" % len(body), body)

    if body == b"long":
        return False
    if body == b"wait":
        waiting.append(answer)
    else:
        asyncio.get_running_loop().call_soon(answer)
    return True


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Server, tuple[str, int]]]:
    with served(application) as found:
        yield found


def ask(connection: socket.socket, request: bytes, count: int = 1) -> list[int]:
    """The statuses of the answers to what is sent at once."""
    connection.sendall(request)
    received = b""
    while received.count(b"\r\n\r\n") < count or not received.endswith(request[-1:]):
        piece = connection.recv(10_000)
        assert piece, received
        received += piece
    return statuses(received)


def of(body: bytes) -> bytes:
    return HEAD % (len(body), body)


def test_what_is_the_same_and_nothing_else(running: tuple[Server, tuple[str, int]]) -> None:
    server, address = running
    with connected(address) as one:
        assert ask(one, of(b"first")) == [200]
        assert [ask(one, of(body)) for body in (b"second", b"x" * 5000, b"e")] == [[201]] * 3
        for other in (b"POST /b", b"PUT /a"):
            assert ask(one, of(b"other").replace(b"POST /a", other)) == [200]
            assert ask(one, of(b"back")) == [201]
        for number in range(MOST_HEADS):  # more than are known at a time
            assert ask(one, of(b"other").replace(b"X: y", b"X: %d" % number)) == [200]
        assert ask(one, of(b"other").replace(b"X: y", b"X: 0")) == [201]
        assert ask(one, of(b"back")) == [200]
        assert ask(one, of(b"back")) == [201]
        assert ask(one, of(b"z") + of(b"zz") + of(b"z"), 3) == [200] * 3, "what comes at once is parsed"
        one.sendall(of(b"halves")[:-3])
        with connected(address) as other:
            assert ask(other, of(b"after it")) == [200]  # so the first half was read alone
        assert ask(one, b"ves") == [200]
        assert ask(one, of(b"long")) == [200]
        assert ask(one, of(b"again")) == [201]
        server.look_anew()
        assert ask(one, of(b"again")) == [200]
    with connected(address) as other:
        assert ask(other, of(b"of another connection")) == [200]
        other.sendall(of(b"x").replace(b": 1\r\n", b": +1\r\n"))
        assert statuses(said(other)) == [400]


def test_what_comes_before_the_answer_waits(running: tuple[Server, tuple[str, int]]) -> None:
    _, address = running
    with connected(address) as one:
        assert ask(one, of(b"first")) == [200]
        one.sendall(of(b"wait"))
        until(lambda: bool(waiting))
        one.sendall(of(b"then") + of(b"last").replace(b"X: y", b"Connection: close"))
        with connected(address) as other:
            assert ask(other, of(b"not held up")) == [200]
        loop_of(running[0]).call_soon_threadsafe(waiting.pop())
        assert statuses(said(one)) == [201, 200, 200]


def test_who_is_gone_is_not_answered_and_the_end_waits_for_an_answer() -> None:
    with served(application) as (server, address):
        for is_gone in (True, False):
            with connected(address) as one:
                assert ask(one, of(b"first")) == [200]
                one.sendall(of(b"wait"))
                until(lambda: bool(waiting))
                if is_gone:
                    one.close()
                    until(lambda: server.connections == 0)
                else:
                    server.stop()
                    until(server._stopping.is_set)
                loop_of(server).call_soon_threadsafe(waiting.pop())
                if not is_gone:
                    assert statuses(said(one)) == [201]


def loop_of(server: Server) -> asyncio.AbstractEventLoop:
    assert server._loop is not None
    return server._loop


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nX-Content-Length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na",
        b"POST / HTTP/1.1\r\nA: b\r\n\r\nContent-Length: 0\r\n",
    ],
)
def test_what_tells_no_length_has_no_such_head(request_: bytes) -> None:
    assert Head.of(request_) is None


def test_lengths_are_digits_and_true() -> None:
    head = Head.of(of(b"four"))
    assert head is not None
    assert head.found_in(of(b"")) == (b"", None)
    assert head.found_in(of(b"\r\n\r\n" * 99)) == (b"\r\n\r\n" * 99, None)
    for length in (b"", b"-4", b"+4", b" 4", b"0x4", b"3", b"5", b"4,4", b"4" * 20):
        assert head.found_in(HEAD.replace(b"%d", b"%s") % (length, b"four")) is None, length
    assert head.found_in(of(b"four")[:-1]) is None
    assert head.found_in(of(b"four") + b"G") is None


def test_what_stands_behind_the_length_is_the_same() -> None:
    head = Head.of(of(b"four"))
    assert head is not None
    assert head.found_in(of(b"four").replace(b"X: y", b"X: z")) is None
    assert head.found_in(of(b"four").replace(b"X: y", b"x: y")) is None


KEYED = b"POST /a HTTP/1.1\r\nHost: x\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\nX: y\r\n\r\n%s"
BEHIND = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nidempotency-key:%s\r\n\r\n%s"


def test_a_key_may_be_another_one() -> None:
    head = Head.of(KEYED % (b"k", 4, b"four"))
    assert head is not None
    for key in (b"k", b"another", b"!~:;", b"k" * 255):
        assert head.found_in(KEYED % (key, 5, b"fives")) == (b"fives", key)
    for key in (b"", b" k", b"k ", b"two words", b"k\r\nX: z", b"k\n", b"k\x80", b"k\0", b"k\t", b"k" * 256):
        assert head.found_in(KEYED % (key, 5, b"fives")) is None, key
    assert head.found_in(of(b"four")) is None
    behind = Head.of(BEHIND % (4, b"k", b"four"))
    assert behind is not None
    assert behind.found_in(BEHIND % (5, b"other", b"fives")) == (b"fives", b"other")
    assert behind.found_in(BEHIND % (6, b"other", b"fives")) is None


def test_what_is_no_plain_key_is_not_known() -> None:
    for key in (b"", b"two words", b"k" * 256, b"k\r\nIdempotency-Key: l", b"k\r\nidempotency-key-of: l", b"\xff"):
        assert Head.of(KEYED % (key, 4, b"four")) is None, key


def test_a_key_makes_no_head_longer_than_it_may_be() -> None:
    with served(application, Limits(max_header_bytes=200)) as (_, address), connected(address) as one:
        assert [ask(one, KEYED % (b"k" * length, 1, b"x")) for length in (9, 99)] == [[200], [201]]
        one.sendall(KEYED % (b"k" * 250, 1, b"x"))
        assert statuses(said(one)) == [431]
