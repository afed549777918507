"""The client against witnesses that do not keep to the protocol, or do not answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest

from blockdb.errors import AnchorFailed, HistoryConflict, InvalidData
from blockdb.ledger.cosignature import Cosigner
from blockdb.witness.client import WitnessClient
from blockdb.witness.witness import Witness, create
from tests.witness.family import NAME, SIGNER, Log

LOG = Log()
COSIGNER = Cosigner(NAME, b"w" * 32)
GOOD = COSIGNER.cosign(LOG.note(3).partition("\n\n")[0] + "\n", 1).encode().encode()
SIZE = b"Content-Type: text/x.tlog.size\r\n"


def answer(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Word\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


@contextmanager
def answering(*answers: bytes, drip: bool = False) -> Iterator[str]:
    """A server that gives these answers, one for each connection; with `drip` it goes on for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            for words in answers:
                with suppress(OSError), server.accept()[0] as connection:
                    connection.recv(100_000)
                    connection.sendall(words)
                    connection.settimeout(0.02)
                    while drip:
                        connection.sendall(b"x")
                        with suppress(TimeoutError):
                            if not connection.recv(1000):
                                break

        thread = Thread(target=work)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/prefix/"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def submit(url: str, timeout_s: float = 5.0) -> None:
    WitnessClient(url, COSIGNER.key, timeout_s).submit(LOG.note(3), lambda old: LOG.proof(old, 3))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([answer(200, b"")], "not signed by witness.example/w1"),
        ([answer(200, b"nonsense\n")], "malformed"),
        ([answer(200, b"\xff\n")], "malformed"),
        ([answer(200, Cosigner(NAME, b"v" * 32).cosign("x\n", 1).encode().encode())], "check the key"),
        ([answer(200, GOOD[:-9] + b"AAAAAAA=\n")], "malformed|not signed"),
        ([answer(200, b"x" * 70_000)], "more than 65536 bytes"),
        ([answer(404, b"unknown\nmore")], "it answers 404: unknown"),
        ([answer(500)], "it answers 500: nothing"),
        ([answer(302, headers=b"Location: http://127.0.0.1:1/\r\n")], "give the URL it moved to"),
        ([answer(409, b"2\n")], "a conflict without the size"),
        ([answer(409, b"2", SIZE)], "a conflict without the size"),
        ([answer(409, b"02\n", SIZE)], "a conflict without the size"),
        ([answer(409, b"2\n", SIZE), answer(409, b"x\n", SIZE)], "a conflict without the size"),
        ([b"nonsense\r\n\r\n"], "no answer"),
        ([b""], "no answer"),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200], "no answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + GOOD[:50]], "cut short|no answer|reset"),
    ],
)
def test_who_does_not_keep_to_the_protocol_is_told(answers: list[bytes], message: str) -> None:
    with answering(*answers) as url, pytest.raises(AnchorFailed, match=message):
        submit(url)


@pytest.mark.parametrize(
    ("answers", "size", "message"),
    [
        ([answer(409, b"4\n", SIZE)], 4, "it has seen 4 records, and here are only 3"),
        ([answer(409, b"2\n", SIZE), answer(422)], 2, "the 2 records that it has seen are not those that are here"),
        ([answer(409, b"3\n", SIZE), answer(409, b"3\n", SIZE)], 3, "another tree of as many records"),
        ([answer(409, b"1\n", SIZE), answer(409, b"2\n", SIZE)], 2, "more records in the meantime"),
        ([answer(409, b"0\n", SIZE)], 0, "more records in the meantime"),
    ],
)
def test_a_conflict_names_the_size(answers: list[bytes], size: int, message: str) -> None:
    with answering(*answers) as url, pytest.raises(HistoryConflict, match=message) as error:
        submit(url)
    assert error.value.size == size


def test_it_asks_again_from_the_size_that_the_witness_has() -> None:
    with answering(answer(409, b"2\n", SIZE), answer(200, GOOD)) as url:
        submit(url)


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"])
def test_a_slow_witness_is_not_waited_for(words: bytes) -> None:
    started = monotonic()
    with answering(words, drip=True) as url, pytest.raises(AnchorFailed, match="no answer within"):
        submit(url, 0.2)
    assert monotonic() - started < 10


def test_a_slow_handshake_is_not_waited_for() -> None:
    """A TLS record is announced, and comes byte by byte."""
    started = monotonic()
    with answering(b"\x16\x03\x03\x40\x00", drip=True) as url, pytest.raises(AnchorFailed, match="no answer within"):
        submit(url.replace("http:", "https:"), 0.2)
    assert monotonic() - started < 10


def test_who_does_not_speak_tls_is_told() -> None:
    with answering(answer(200, GOOD)) as url, pytest.raises(AnchorFailed, match=r"no answer: .*SSL"):
        submit(url.replace("http:", "https:"))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(AnchorFailed, match="refused"):
        submit(url)
    with pytest.raises(AnchorFailed, match="no answer"):
        submit("http://nowhere.invalid")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "witness.example",
        "ftp://witness.example",
        "http://",
        "http://a:b",
        "http://a:99999",
        "http://[::1",
        "http://user@a",
        "http://a/?b",
        "http://a/#b",
        "http://a b",
        "http://a/\r\nX: y",
        "http://ä",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidData):
        WitnessClient(url, COSIGNER.key)


def test_a_log_is_no_witness(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="key of a log"):
        WitnessClient("http://a", SIGNER.key)
    create(tmp_path / "w", NAME)
    assert WitnessClient("http://a", Witness(tmp_path / "w").key).url == "http://a"
