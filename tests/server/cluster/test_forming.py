"""What a node answers before there is anything to ask it."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from blockdb.server.certificates import make
from blockdb.server.forming import Forming
from blockdb.server.tls import LiveTls, TlsFiles
from blockdb.serving.listening import listen
from tests.server.running import ask

pytestmark = pytest.mark.timeout(300)


def test_it_says_what_it_waits_for() -> None:
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with Forming([listening], None):
            answer = ask(address, "POST", "/api/v1/put", b'{"key": "k", "value": "v"}')
            assert (answer.status, answer.headers["Retry-After"], answer.json["error"]) == (503, "1", "Unavailable")
            assert "waits for the other nodes" in answer.json["message"]
            assert ask(address, "GET", "/health/ready").status == 503
            assert ask(address, "GET", "/health/live").json == {"status": "live"}


def test_it_says_so_over_tls_and_waits_for_nobody_who_does_not_speak_it(tmp_path: Path) -> None:
    make(tmp_path)
    tls = LiveTls(TlsFiles(tmp_path / "server.crt", tmp_path / "server.key"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    with listen("127.0.0.1", 0) as listening, Forming([listening], tls.context):
        host, port = listening.getsockname()
        with socket.create_connection((host, port)) as plain:
            plain.sendall(b"GET /health/live HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert not plain.recv(1_000).startswith(b"HTTP"), "nothing is said in the clear"
        for path, status in (("/health/live", 200), ("/health/ready", 503)):
            connection = HTTPSConnection("localhost", port, timeout=20, context=trusting)
            connection.request("GET", path)
            assert connection.getresponse().status == status
            connection.close()
