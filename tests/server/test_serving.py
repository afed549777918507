"""A server with all that stands around it: who gets in, what is too much, and settings that change while it runs."""

from __future__ import annotations

import gzip
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from blockdb.config import LoggingConfig, ServerConfig
from blockdb.server import serving
from blockdb.server.http.gate import Gate
from blockdb.server.serving import Served
from tests.server.running import Address, ask, served_here
from tests.serving.family import connected, said, statuses

PUT = "/api/v1/put"
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "blockdb.toml"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, file: Path) -> Iterator[tuple[Served, Address]]:
    file.write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "configure", lambda _: None)  # the log is the tests'
        with served_here(tmp_path_factory.mktemp("served") / "db", file) as found:
            yield found


@pytest.fixture
def address(running: tuple[Served, Address]) -> Address:
    return running[1]


@pytest.fixture
def settings(running: tuple[Served, Address], file: Path) -> Iterator[Path]:
    """The file of the settings; what a test writes there is in force once it has called `reload`."""
    yield file
    file.write_text("")
    running[0].reload()


def body(key: str, value: str = "1") -> bytes:
    return json.dumps({"key": key, "value": value}).encode()


def until(connection: socket.socket, words: bytes) -> None:
    """Wait for these words."""
    received = b""
    while words not in received:
        piece = connection.recv(10_000)
        assert piece, received
        assert len(received) < 10_000, received
        received += piece


def test_names_under_which_it_is_asked_for(running: tuple[Served, Address], settings: Path) -> None:
    served, address = running
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8080", "192.0.2.7:1"):
        assert ask(address, "GET", "/health", Host=host).status == 200, host
    for host in ("page.example", "localhost.page.example", "127.0.0.1.page.example:8080", "", "x]", "db.example.org"):
        answer = ask(address, "GET", "/health", Host=host)
        assert (answer.status, answer.json["error"]) == (421, "Forbidden"), host
    assert "`allowed_hosts` in [server]" in answer.json["message"]
    settings.write_text('[server]\nallowed_hosts = ["db.example.org"]\n')
    served.reload()
    assert ask(address, "GET", "/health", Host="DB.example.org:8080").status == 200
    assert ask(address, "GET", "/health", Host="page.example").status == 421


async def nothing(*_: object) -> None:
    """An application that does not answer."""


def test_with_tls_the_certificate_says_the_name() -> None:
    scope = {"method": "GET", "scheme": "https", "http_version": "1.1", "headers": [(b"host", b"db.example.org")]}
    for has_tls in (False, True):
        gate = Gate(nothing, ServerConfig(), bool, has_tls=has_tls)
        assert (gate._refusal(scope, b"db.example.org", None) is None) is has_tls


def test_a_request_has_one_host(address: Address) -> None:
    for hosts in ("", "Host: localhost\r\nHost: localhost\r\n"):
        with connected(address) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\n{hosts}\r\n".encode())
            assert statuses(said(connection)) == [400]


def test_pages_of_other_origins(running: tuple[Served, Address], settings: Path) -> None:
    served, address = running
    own = f"http://127.0.0.1:{address[1]}"
    assert ask(address, "POST", PUT, body("own"), Origin=own).status == 200
    for origin in (PAGE, "null", own + "0", own.replace("http", "https")):
        answer = ask(address, "POST", PUT, body("forged"), Origin=origin, Content_Type="text/plain")
        assert (answer.status, answer.json["error"]) == (403, "Forbidden")
        seen = ask(address, "GET", "/health", Origin=origin)
        assert "access-control-allow-origin" not in seen.headers
    assert ask(address, "GET", "/api/v1/get/forged").status == 404
    assert ask(address, "OPTIONS", PUT, Origin=PAGE, Access_Control_Request_Method="POST").status != 204

    settings.write_text("[server]\nenable_cors = true\n")
    served.reload()
    assert ask(address, "POST", PUT, body("forged"), Origin=PAGE).status == 403  # everybody may write here

    settings.write_text(f'[server]\nenable_cors = true\ncors_origins = ["{PAGE}"]\n')
    served.reload()
    asked = ask(address, "OPTIONS", PUT, Origin=PAGE, Access_Control_Request_Method="POST")
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, PAGE)
    assert "authorization" in asked.headers["access-control-allow-headers"]
    answer = ask(address, "POST", PUT, body("let in"), Origin=PAGE)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "access-control-allow-credentials" not in answer.headers
    assert ask(address, "POST", PUT, body("x"), Origin="https://other.example").status == 403


def test_bodies_that_come_compressed(address: Address) -> None:
    for number, pack in enumerate((gzip.compress, zstandard.compress)):
        name = "gzip" if number == 0 else "zstd"
        sent = pack(body(f"packed {name}", "v" * 10_000))
        assert ask(address, "POST", PUT, sent, Content_Encoding=name).status == 200
    answer = ask(address, "GET", "/api/v1/get/packed%20zstd", Accept_Encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["value"] == "v" * 10_000
    assert "content-encoding" not in ask(address, "GET", "/health", Accept_Encoding="gzip").headers
    for sent, name in (
        (b"not packed", "gzip"),
        (gzip.compress(body("x"))[:-5], "gzip"),
        (b"x", "br"),
        (b"", "gzip, gzip"),
    ):
        answer = ask(address, "POST", PUT, sent, Content_Encoding=name)
        assert (answer.status, answer.json["error"]) == (400, "InvalidData"), name


def test_what_is_too_much(running: tuple[Served, Address], settings: Path) -> None:
    served, address = running
    settings.write_text("[server]\nmax_body_bytes = 100_000\nmax_batch_operations = 3\nenable_compression = false\n")
    served.reload()
    bomb = gzip.compress(b" " * 50_000_000)
    answer = ask(address, "POST", PUT, bomb, Content_Encoding="gzip")
    assert (answer.status, answer.json["error"]) == (413, "RequestTooLarge")
    assert ask(address, "POST", PUT, body("large", "x" * 5_000_000)).status == 413  # all is sent before it is read
    with connected(address) as connection:
        connection.sendall(f"POST {PUT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(40):
            connection.sendall(b"4000\r\n" + bytes(0x4000) + b"\r\n")
        assert statuses(said(connection)) == [413]
    many = {"operations": [{"type": "put", "key": f"b{number}", "value": "1"} for number in range(4)]}
    answer = ask(address, "POST", "/api/v1/batch", json.dumps(many).encode())
    assert (answer.status, answer.json["error"]) == (413, "RequestTooLarge")
    assert ask(address, "GET", "/api/v1/get/b0").status == 404
    assert "content-encoding" not in ask(address, "GET", "/openapi.json", Accept_Encoding="gzip").headers


def test_requests_a_second(running: tuple[Served, Address], settings: Path) -> None:
    served, address = running
    settings.write_text("[server]\nrate_limit = 1\n")
    served.reload()
    answers = [ask(address, "GET", "/api/v1/get/nothing") for _ in range(4)]
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.json["error"] == "RateLimited"
    assert int(refused.headers["retry-after"]) >= 1
    assert [ask(address, "GET", "/health").status for _ in range(3)] == [200] * 3


def test_settings_that_change(
    running: tuple[Served, Address], settings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served, address = running
    with caplog.at_level(logging.INFO, "blockdb.server"):
        settings.write_text("[server]\nrate_limit = 77\nport = 1\n[alerts]\ninterval = 99\n")
        served.reload()
        assert (served.config.server.rate_limit, served.config.alerts.interval) == (77, 99)
        assert served.config.server.port == 8080
        assert "[server] port has changed; it is taken over when the server is started again" in caplog.messages
        settings.write_text("[server]\nrate_limit = -1\n")
        served.reload()
    assert any("the configuration stays as it was: " in told and "rate_limit" in told for told in caplog.messages)
    assert served.config.server.rate_limit == 77
    assert ask(address, "GET", "/health").status == 200


def test_calls_are_told_where_somebody_debugs(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "blockdb.server.access"):
        ask(address, "GET", "/api/v1/get/nothing", X_Request_Id="this one")
    told = next(record for record in caplog.records if getattr(record, "request_id", "") == "this one")
    assert (told.levelno, told.status) == (logging.DEBUG, 404)  # type: ignore[attr-defined]
    assert LoggingConfig().level == "info"


def test_transactions_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "configure", lambda _: None)
    with served_here(tmp_path / "db", **{"cluster.enable_transactions": False}) as (_, address):
        answer = ask(address, "POST", "/api/v1/transactions", b"{}")
    assert (answer.status, answer.json["error"]) == (403, "Forbidden")
    assert "`enable_transactions` in [cluster]" in answer.json["message"]


def test_a_stream_ends_when_the_server_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "configure", lambda _: None)
    watch = b"GET /api/v1/collections/default/watch?after=-1 HTTP/1.1\r\nHost: localhost\r\n"
    with served_here(tmp_path / "db") as (served, address), connected(address) as connection:
        with connected(address) as packed:
            packed.sendall(watch + b"Accept-Encoding: gzip\r\n\r\n")
            until(packed, b"content-encoding: gzip\r\n")  # before there is anything to watch
        connection.sendall(watch + b"\r\n")
        ask(address, "POST", PUT, body("a key"))
        until(connection, b'"a key"')
        served.stop()
        assert said(connection).endswith(b"0\r\n\r\n")
