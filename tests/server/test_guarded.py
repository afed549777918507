"""A server as it runs, guarded: TLS, client certificates, and tokens that come and go, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import httpx
import pytest

import blockdb
from blockdb.config import SecurityConfig
from blockdb.security.exposure import Exposure
from blockdb.security.roles import Role
from blockdb.server.authentication import Authenticator
from blockdb.server.certificates import make
from blockdb.server.http.application import Application
from blockdb.server.service import Service
from blockdb.server.tls import LiveTls, TlsFiles
from blockdb.server.tokens import TokenFile
from blockdb.serving.limits import Limits
from blockdb.serving.listening import listen
from blockdb.serving.process import Server, loop_factory
from tests.storage.doors import until

TIMEOUT_S = 20
KEY = "/api/v1/collections/default/values/k"


@dataclass
class Guarded:
    """A server that runs."""

    url: str
    live: LiveTls
    tls: Path
    """The directory of its certificates."""
    tokens: TokenFile

    def client(self, certificate: str | None = None, tls: Path | None = None) -> httpx.Client:
        """A client that trusts the authority, with a certificate."""
        root = tls or self.tls
        context = ssl.create_default_context(cafile=str(root / "ca.crt"))
        if certificate is not None:
            context.load_cert_chain(root / f"client-{certificate}.crt", root / f"client-{certificate}.key")
        return httpx.Client(base_url=self.url, verify=context, timeout=TIMEOUT_S)


@contextmanager
def served(application: Application, tls: ssl.SSLContext) -> Iterator[int]:
    """Serve on a free port, in a thread."""
    ready = Event()
    found: list[tuple[Server, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        server = Server(application, [listening], Limits(stop_timeout_s=1), tls=tls)
        found.append((server, asyncio.get_running_loop()))
        await server.serve(ready.set)

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve())

    with listen("127.0.0.1", 0) as listening:
        thread = Thread(target=run)
        thread.start()
        try:
            assert ready.wait(TIMEOUT_S)
            yield listening.getsockname()[1]
        finally:
            [(server, loop)] = found
            loop.call_soon_threadsafe(server.stop)
            thread.join(TIMEOUT_S)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    root = tmp_path_factory.mktemp("guarded")
    make(root / "tls", clients=["shop", "stranger"])
    tls = root / "tls"
    security = SecurityConfig(
        tls_certificate=str(tls / "server.crt"), tls_key=str(tls / "server.key"), tls_client_ca=str(tls / "ca.crt")
    )
    with blockdb.open(root / "db") as database:
        database.put(b"k", b"v")
        tokens = TokenFile(root / "db")
        tokens.create("shop", Role.WRITER)
        files = TlsFiles.of(security)
        assert files is not None
        live = LiveTls(files)
        service = Service(database, Authenticator(root / "db", Exposure(True, False, ())))
        application = Application(service)
        with served(application, live.context) as port:
            yield Guarded(f"https://localhost:{port}", live, tls, tokens)
        application.close()
        service.close()


def test_a_certificate_opens_the_connection_and_its_name_the_rest(running: Guarded) -> None:
    with running.client() as client, pytest.raises(httpx.TransportError):
        client.get(KEY)
    with running.client("stranger") as client:
        assert client.get("/health").status_code == 200
        answer = client.get(KEY)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="blockdb"')
    with running.client("shop") as client:
        assert client.get(KEY).status_code == 200
        assert client.get("/api/v1/whoami").json()["name"] == "shop"
        assert client.post("/api/v1/flush").status_code == 403


def test_a_token_is_good_until_it_is_revoked(running: Guarded) -> None:
    info, token = running.tokens.create("short", Role.READER)
    with running.client("stranger") as client:
        client.headers["Authorization"] = f"Bearer {token}"
        until(lambda: client.get(KEY).status_code == 200)
        begun = monotonic()
        running.tokens.revoke(info.id)
        until(lambda: client.get(KEY).status_code == 401)
        assert monotonic() - begun < 30, "half a second, and what a busy machine takes"


@pytest.mark.torture
def test_a_renewed_certificate_is_taken_up(running: Guarded, tmp_path: Path) -> None:
    with running.client("shop") as old:
        assert old.get(KEY).status_code == 200
        before = running.live.expires_ms
        for suffix in ("crt", "key"):
            (running.tls / f"server.{suffix}").rename(tmp_path / f"server.{suffix}")
        make(running.tls, days=30)
        until(lambda: is_served(running) and running.live.expires_ms < before)
        assert old.get(KEY).status_code == 200, "the connection that there was lives on"


def is_served(running: Guarded) -> bool:
    with running.client("shop") as client:
        return client.get(KEY).status_code == 200
