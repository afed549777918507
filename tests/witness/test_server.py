"""A witness as a process: the protocol over HTTP, many clients at once, kills, and its end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest

from blockdb.errors import AnchorFailed, HistoryConflict, InvalidData
from blockdb.ledger.note import Note, VerifierKey
from blockdb.witness.client import WitnessClient
from blockdb.witness.protocol import read_checkpoint
from blockdb.witness.serving import listen, url_of
from blockdb.witness.witness import Witness, create
from tests.witness.family import NAME, ORIGIN, SIGNER, Log, end, start_witness

LOG = Log()


def post(url: str, body: bytes) -> tuple[int, str, bytes]:
    """The status, type and body of the answer to a request."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("POST", "/add-checkpoint", body)
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read()
    finally:
        connection.close()


def made(root: Path) -> VerifierKey:
    key = create(root, NAME)
    Witness(root).trust(str(SIGNER.key))
    return key


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, VerifierKey]]:
    """The URL, the directory and the key of a witness that is served; each test has a log of its own."""
    root = tmp_path_factory.mktemp("served") / "witness"
    key = made(root)
    process, url = start_witness(root)
    yield url, root, key
    assert end(process, lambda: process.send_signal(signal.SIGTERM)) == 0


def log_of(root: Path, origin: str, history: bytes = b"", fork: int = 1 << 30) -> Log:
    """A log of that origin, which the witness trusts from now on."""
    Witness(root).trust(str(SIGNER.key), origin)
    return Log(history, fork, origin=origin)


def test_each_status(served: tuple[str, Path, VerifierKey]) -> None:
    url, root, _ = served
    log = log_of(root, "example.org/log/statuses")
    assert post(url, log.body(0, 4))[0] == 200
    assert post(url, log.body(0, 5)) == (409, "text/x.tlog.size", b"4\n")
    assert post(url, log.body(4, 6).replace(b"old 4\n", b"old 4\n\n"))[0] == 400
    assert post(url, log.body(4, 6).replace(b"\n6\n", b"\n7\n"))[0] == 403
    assert post(url, Log(origin="example.org/unknown").body(0, 3))[0] == 404
    assert post(url, log_of(root, log.origin, b"fork", 2).body(4, 6))[0] == 422
    assert post(url, b"x" * 70_000)[0] == 413
    assert post(url, log.body(4, 6))[0] == 200


def test_many_clients_with_two_histories_get_one(served: tuple[str, Path, VerifierKey]) -> None:
    url, root, key = served
    origin = "example.org/log/race"
    histories = [log_of(root, origin), log_of(root, origin, b"fork", 1)]

    def work(number: int) -> list[tuple[int, int]]:
        cosigned, log = [], histories[number % 2]
        for size in range(number // 2 + 1, 24, 4):
            try:
                WitnessClient(url, key).submit(log.note(size), lambda old, size=size: log.proof(old, size))  # type: ignore[misc]
            except HistoryConflict:
                continue
            cosigned.append((number % 2, size))
        return cosigned

    with ThreadPoolExecutor(8) as pool:
        cosigned = [one for found in pool.map(work, range(8)) for one in found]
    beyond_the_fork = {history for history, size in cosigned if size > 1}
    assert len(beyond_the_fork) == 1
    last = WitnessClient(url, key).last(origin)
    assert last is not None
    assert read_checkpoint(last.text).size == max(size for _, size in cosigned)


def killed_in_work(root: Path, key: VerifierKey, before: dict[int, str]) -> None:
    """Kill a witness while two histories are submitted to it; adds to `before` the notes that it cosigned, by size."""
    process, url = start_witness(root)
    histories = [LOG, Log(b"fork", 1)]
    first = max(before, default=0)

    def work(number: int) -> None:
        log = histories[number % 2]
        for size in range(first + 1 + number // 2, first + 40, 2):
            client = WitnessClient(url, key)
            try:
                client.submit(log.note(size), lambda old, size=size: log.proof(old, size))  # type: ignore[misc]
            except HistoryConflict:
                continue
            except AnchorFailed:
                return
            assert before.setdefault(size, log.note(size)) == log.note(size)
            if len(before) % 7 == 6:
                process.kill()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result(60)
    end(process, process.kill)


def check_after_kills(root: Path, key: VerifierKey, cosigned: dict[int, str]) -> None:
    kept = Witness(root)._last(ORIGIN)
    assert kept is not None
    assert kept.size >= max(cosigned)
    [history] = [log for log in (LOG, Log(b"fork", 1)) if log.root(0, kept.size) == kept.root]
    for size, note in cosigned.items():
        assert size == 1 or note == history.note(size)
    assert Witness(root).key == key


def test_a_killed_witness_never_goes_back(tmp_path: Path) -> None:
    key, cosigned = made(tmp_path / "witness"), dict[int, str]()
    killed_in_work(tmp_path / "witness", key, cosigned)
    check_after_kills(tmp_path / "witness", key, cosigned)


@pytest.mark.torture
def test_a_witness_that_is_killed_again_and_again_never_goes_back(tmp_path: Path) -> None:
    key, cosigned = made(tmp_path / "witness"), dict[int, str]()
    for _ in range(15):
        killed_in_work(tmp_path / "witness", key, cosigned)
        check_after_kills(tmp_path / "witness", key, cosigned)


@pytest.mark.torture
def test_it_hangs_up_on_who_sends_no_request(served: tuple[str, Path, VerifierKey]) -> None:
    """The head has ten seconds, of which no drop is let out of sight; a second head on the same connection, too."""
    address = urlsplit(served[0])
    request = b"GET /checkpoint/x HTTP/1.1\r\nHost: x\r\n\r\n"
    for words in (b"POST /add-check", request + b"GET /check"):
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30) as connection:
            connection.sendall(words)
            while connection.recv(10_000):
                pass


@pytest.mark.torture
def test_whatever_bytes_it_is_sent_it_goes_on(served: tuple[str, Path, VerifierKey]) -> None:
    url, root, _ = served
    log, chance = log_of(root, "example.org/log/noise"), Random(20)
    request = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    address = urlsplit(url)
    for _ in range(300):
        body = log.body(0, 5)
        words = bytearray(request % len(body) + body)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(words))
            words[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        place = str(address.hostname), int(address.port or 0)
        with socket.create_connection(place, timeout=30) as connection, suppress(ConnectionError):
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(10_000):
                pass
    assert post(url, log.body(0, 6))[0] in (200, 409)


def test_listening() -> None:
    with listen("127.0.0.1", 0) as socket:
        assert url_of(socket).startswith("http://127.0.0.1:")
    with listen("localhost", 0):
        pass
    with pytest.raises(InvalidData, match="--insecure-public"):
        listen("0.0.0.0", 0)
    with pytest.raises(InvalidData, match="no address of this machine"):
        listen("nowhere.invalid", 0)
    with listen("0.0.0.0", 0, insecure=True):
        pass


def test_note_of_the_last_one(served: tuple[str, Path, VerifierKey]) -> None:
    url, root, key = served
    log = log_of(root, "example.org/log/last")
    client = WitnessClient(url, key)
    assert client.last(log.origin) is None
    cosignature = client.submit(log.note(3), lambda old: log.proof(old, 3))
    last = client.last(log.origin)
    assert last is not None
    assert last.signatures == (*Note.parse(log.note(3)).signatures, cosignature)
