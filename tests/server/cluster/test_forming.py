"""What a node answers before there is anything to ask it."""

from __future__ import annotations

import socket

import pytest

from blockdb.server.forming import Forming
from blockdb.serving.listening import listen
from tests.server.running import ask

pytestmark = pytest.mark.timeout(300)


def test_it_says_what_it_waits_for() -> None:
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with Forming([listening], has_tls=False):
            answer = ask(address, "POST", "/api/v1/put", b'{"key": "k", "value": "v"}')
            assert (answer.status, answer.headers["Retry-After"], answer.json["error"]) == (503, "1", "Unavailable")
            assert "waits for the other nodes" in answer.json["message"]
            assert ask(address, "GET", "/health/ready").status == 503
            assert ask(address, "GET", "/health/live").json == {"status": "live"}
        with Forming([listening], has_tls=True), socket.create_connection(address) as connection:
            assert connection.recv(1) == b""
