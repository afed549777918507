"""Bytes that nobody who means well would send: messages, HTTP/2 frames, floods. The server goes on."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from random import Random

import grpc
import pytest

from blockdb.server.grpc.catalogue import SERVICE, catalogue
from tests.server.grpc.conftest import Running
from tests.server.grpc.test_methods import asked
from tests.storage.doors import until
from tests.tiers import tiers

pytestmark = pytest.mark.timeout(300)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_HEADERS, END_STREAM = 4, 1


def goes_on(running: Running) -> bool:
    """Whether another client is answered as ever, and nothing of the others is left."""
    [found] = asked(running, "Exists", {"key": b"never stored"})
    until(lambda: running.door.options.streams == 0)
    return not found.exists


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────


def mutated(chance: Random, data: bytes) -> bytes:
    """Some bytes of a message changed, taken out, or put in; or any bytes."""
    changed = bytearray(data or chance.randbytes(8))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(changed) + 1)
        changed[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return chance.choice([bytes(changed), chance.randbytes(chance.randrange(64))])


HARMLESS = {"RotateKey", "Publish", "CompactCollection", "Compact", "FlushCollection", "Flush", "Audit"}
"""What takes no request, or is slow, is asked no more than it has to."""


@pytest.mark.parametrize("rounds", tiers([2], [60]))
def test_any_bytes_as_messages(running: Running, rounds: int) -> None:
    chance = Random(rounds)
    bugs = []
    for offer in catalogue().offers:
        if offer.method.name in HARMLESS:
            continue
        kind = ("stream" if offer.method.has_requests else "unary") + (
            "_stream" if offer.method.has_answers else "_unary"
        )
        call = getattr(running.channel, kind)(f"/{SERVICE}/{offer.method.name}")
        for _ in range(rounds):
            data = mutated(chance, b"\x0a\x07default\x12\x03key\x1a\x01v")
            try:
                answer = call(iter([data]) if offer.method.has_requests else data, timeout=5)
                if offer.method.has_answers:
                    next(answer, None)
                    answer.cancel()
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                    bugs.append((offer.method.name, data, error))
    assert bugs == []
    assert goes_on(running)


def test_methods_and_services_that_there_are_not(running: Running) -> None:
    for path in (f"/{SERVICE}/Nothing", "/other.Service/Put", f"/{SERVICE}/", "/" * 50):
        with pytest.raises(grpc.RpcError) as caught:
            running.channel.unary_unary(path)(b"", timeout=60)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def any_frame(chance: Random) -> bytes:
    payload = chance.randbytes(chance.randrange(40))
    return frame(chance.randrange(12), chance.randrange(256), chance.randrange(6), payload)


def literal(name: bytes, value: bytes) -> bytes:
    """A header, as HPACK writes it without its tables."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_head(path: str) -> bytes:
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    pairs += [("content-type", "application/grpc"), ("te", "trailers")]
    return b"".join(literal(name.encode(), value.encode()) for name, value in pairs)


def send(running: Running, data: bytes) -> None:
    """Over a connection of its own, until the server has had enough."""
    with socket.create_connection(("127.0.0.1", running.door.port), timeout=60) as connection, suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def test_frames_that_mean_well_are_answered(running: Running) -> None:
    """Else the tests below would try nothing."""
    asking = frame(HEADERS, END_HEADERS, 1, request_head(f"/{SERVICE}/Health")) + frame(DATA, END_STREAM, 1, bytes(5))
    with socket.create_connection(("127.0.0.1", running.door.port), timeout=60) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + asking)
        answer = b""
        while b"healthy" not in answer:
            piece = connection.recv(65536)
            assert piece
            answer += piece


@pytest.mark.parametrize("rounds", tiers([10], [1_000]))
def test_any_frames(running: Running, rounds: int) -> None:
    chance = Random(rounds)
    for _ in range(rounds):
        frames = [any_frame(chance) for _ in range(chance.randrange(1, 20))]
        opening = chance.choice([b"", PREFACE, PREFACE + frame(SETTINGS, 0, 0)])
        send(running, opening + b"".join(frames))
        send(running, chance.randbytes(chance.randrange(200)))
    assert goes_on(running)


@pytest.mark.parametrize("count", tiers([500], [50_000]))
def test_a_flood_of_streams_that_are_reset_at_once(running: Running, count: int) -> None:
    head = request_head(f"/{SERVICE}/Watch")
    pairs = (
        frame(HEADERS, END_HEADERS, number, head)
        + frame(DATA, END_STREAM, number, bytes(5))
        + frame(RST_STREAM, 0, number, struct.pack(">I", 8))
        for number in range(1, 2 * count, 2)
    )
    send(running, PREFACE + frame(SETTINGS, 0, 0) + b"".join(pairs))
    assert goes_on(running)


@pytest.mark.parametrize("count", tiers([200], [20_000]))
def test_floods_of_other_frames(running: Running, count: int) -> None:
    opening = PREFACE + frame(SETTINGS, 0, 0)
    head = request_head(f"/{SERVICE}/Watch")
    send(running, opening + frame(PING, 0, 0, bytes(8)) * count)
    send(running, opening + frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 1)) * count)
    send(running, opening + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * count)
    send(running, opening + frame(DATA, 0, 0) * count)
    send(running, opening + frame(HEADERS, 0, 1, head) + frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 100)) * count)
    assert goes_on(running)
