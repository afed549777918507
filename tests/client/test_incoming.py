"""What comes from a server, cut into pieces anywhere: what h11 makes of it, and where it is no answer, an error."""

from __future__ import annotations

import gzip
from itertools import pairwise
from random import Random

import h11
import httpcore
import pytest

from blockdb.client.body import BadBody, Collector
from blockdb.client.exchange import Reply
from blockdb.client.incoming import MAX_HEAD_BYTES, Incoming, headers_of

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\nx: a: b \r\ncontent-length: 4\r\n\r\nfour"
GOOD = {
    "plain": PLAIN,
    "nothing in it": b"HTTP/1.1 201 \r\ncontent-length: 0\r\n\r\n",
    "no reason": b"HTTP/1.1 404\r\ncontent-length: 1\r\n\r\nn",
    "twice the same": b"HTTP/1.1 200 OK\r\nx: 1\r\nx: 2\r\ncontent-length: 1\r\n\r\nn",
    "compressed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s"
    % (len(gzip.compress(b"a" * 999)), gzip.compress(b"a" * 999)),
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "closing": b"HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
    "said before": b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + PLAIN,
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "older": b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nfour",
}
NOT_KEPT = ("closing", "older")


def by_h11(data: bytes) -> Reply:
    """The same answer, as another library reads it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    events = [connection.next_event()]
    while not isinstance(events[-1], h11.EndOfMessage):
        events.append(connection.next_event())
    (response,) = (event for event in events if isinstance(event, h11.Response))
    headers = headers_of(response.headers)
    body = Collector(headers, 9999)
    for event in events:
        if isinstance(event, h11.Data):
            body.add(bytes(event.data))
    return Reply(response.status_code, headers, body.done())


def whole(pieces: list[bytes], incoming: Incoming) -> Reply:
    """The answer, which has to be whole with the last piece and not before."""
    for piece in pieces[:-1]:
        assert incoming.take(piece) is None
    reply = incoming.take(pieces[-1])
    assert reply is not None
    return reply


@pytest.mark.parametrize("name", GOOD)
def test_pieces_do_not_matter_and_h11_says_the_same(name: str) -> None:
    data = GOOD[name]
    expected = by_h11(data)
    chance = Random(1)
    cuts = [[at] for at in range(1, len(data))] + [sorted(chance.sample(range(1, len(data)), 3)) for _ in range(20)]
    for cut in [[], range(1, len(data)), *cuts]:
        incoming = Incoming(9999)
        reply = whole([data[begin:end] for begin, end in pairwise([0, *cut, len(data)])], incoming)
        assert (reply.status, reply.headers, reply.body) == (expected.status, expected.headers, expected.body)
        assert incoming.is_reusable == (name not in NOT_KEPT)


def test_what_comes_behind_an_answer_is_not_taken_for_another() -> None:
    for data in (PLAIN, GOOD["chunked"]):
        incoming = Incoming(9999)
        reply = incoming.take(data + b"HTTP/1.1")
        assert reply is not None
        assert reply.body in (b"four", b"abcde")
        assert not incoming.is_reusable


def test_what_ends_with_the_connection() -> None:
    incoming = Incoming(9999)
    assert incoming.take(b"HTTP/1.1 200 OK\r\n\r\nall of") is None
    assert incoming.take(b" it") is None
    assert incoming.end().body == b"all of it"
    assert not incoming.is_reusable
    for half in (b"", PLAIN[:30], PLAIN[:-1], GOOD["chunked"][:-2]):
        incoming = Incoming(9999)
        if half:
            assert incoming.take(half) is None
        with pytest.raises(httpcore.RemoteProtocolError):
            incoming.end()
        assert not incoming.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    incoming = Incoming(9999)
    with pytest.raises(httpcore.RemoteProtocolError):
        any(incoming.take(data[at : at + 9999]) for at in range(0, len(data), 9999))
    assert not incoming.is_reusable


def test_no_more_is_taken_than_may_be() -> None:
    for name in ("plain", "compressed", "chunked"):
        with pytest.raises(BadBody, match="larger than the 3 bytes"):
            Incoming(3).take(GOOD[name])
