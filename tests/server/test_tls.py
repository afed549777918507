"""TLS: who gets a connection, and certificates that change while the server runs."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from blockdb.config import SecurityConfig
from blockdb.errors import ConfigError
from blockdb.server.certificates import make
from blockdb.server.peer import client_name
from blockdb.server.tls import LiveTls, TlsFiles

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 10


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, each with a server and a client."""
    root = tmp_path_factory.mktemp("tls")
    for name in ("one", "two"):
        make(root / name, clients=["shop"])
    return root


@pytest.fixture
def files(made: Path, tmp_path: Path) -> TlsFiles:
    """What a server uses at first, in places of its own."""
    found = TlsFiles(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "clients.crt")
    put(files=found, source=made / "one")
    return found


def put(files: TlsFiles, source: Path, *, key: bool = True) -> None:
    """Replace the files, as whoever renews a certificate does."""
    pairs = [("server.crt", files.certificate), ("server.key", files.key), ("ca.crt", files.client_ca)]
    for name, target in pairs if key else pairs[:1]:
        if target is not None:
            shutil.copy(source / name, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)


class Timer:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def serving(tls: LiveTls) -> Iterator[tuple[str, int]]:
    """A server that says back what it is told, or whom it is told by, to each connection in a thread of its own."""

    def talk(connection: socket.socket) -> None:
        with closing(connection):
            try:
                with tls.context.wrap_socket(connection, server_side=True) as secure:
                    while data := secure.recv(100):
                        secure.sendall(str(client_name(secure)).encode() if data == b"Who am I?" else data)
            except OSError:
                pass

    threads: list[Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_S)
            threads.append(Thread(target=talk, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield listening.getsockname()[:2]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(TIMEOUT_S)
            for thread in threads:
                thread.join(TIMEOUT_S)


@contextmanager
def connected(
    address: tuple[str, int], trusts: Path, client: Path | None = None, host: str | None = "localhost"
) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=trusts / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if client is not None:
        context.load_cert_chain(client / "client-shop.crt", client / "client-shop.key")
    plain = socket.create_connection(address, TIMEOUT_S)
    with closing(plain), context.wrap_socket(plain, server_hostname=host) as secure:
        yield secure


def said_back(secure: ssl.SSLSocket) -> bool:
    secure.sendall(b"hello")
    return secure.recv(100) == b"hello"


def is_served(address: tuple[str, int], trusts: Path, client: Path | None, host: str = "localhost") -> bool:
    try:
        with connected(address, trusts, client, host) as secure:
            return said_back(secure)
    except OSError:
        return False


def test_who_gets_a_connection(files: TlsFiles, made: Path) -> None:
    one, two = made / "one", made / "two"
    with serving(LiveTls(files)) as address:
        assert is_served(address, one, one)
        assert is_served(address, one, one, "127.0.0.1")
        assert not is_served(address, one, one, "example.org")
        assert not is_served(address, one, None)
        assert not is_served(address, one, two)
        assert not is_served(address, two, one)
        with connected(address, one, one) as secure:
            secure.sendall(b"Who am I?")
            assert secure.recv(100) == b"shop"
    without = TlsFiles(files.certificate, files.key)
    with serving(LiveTls(without)) as address, connected(address, one, one) as secure:
        secure.sendall(b"Who am I?")
        assert secure.recv(100) == b"None", "a certificate that was not asked for says nothing"


def test_a_server_that_poses_as_a_client_and_the_other_way_round(files: TlsFiles, made: Path, tmp_path: Path) -> None:
    posing = tmp_path / "posing"
    posing.mkdir()
    for suffix in ("crt", "key"):
        shutil.copy(made / "one" / f"server.{suffix}", posing / f"client-shop.{suffix}")
    with serving(LiveTls(files)) as address:
        assert not is_served(address, made / "one", posing)
    client = made / "one" / "client-shop"
    with serving(LiveTls(TlsFiles(client.with_suffix(".crt"), client.with_suffix(".key")))) as address:
        assert not is_served(address, made / "one", None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_certificates_are_taken_up(files: TlsFiles, made: Path, version: ssl.TLSVersion) -> None:
    one, two, timer = made / "one", made / "two", Timer()
    tls = LiveTls(files, timer)
    tls.context.maximum_version = version
    with serving(tls) as address, connected(address, one, one) as old:
        assert said_back(old)
        assert old.version() == str(version.name).replace("_", ".")
        before = old.getpeercert(binary_form=True)
        put(files, two)
        assert is_served(address, one, one), "it is not looked at all the time"
        timer.now_s += 1
        assert is_served(address, two, two)
        assert not is_served(address, one, one)
        assert not is_served(address, two, one), "nor are clients of the old authority let in"
        assert said_back(old), "who was there stays"
        assert old.getpeercert(binary_form=True) == before
    expires = x509.load_pem_x509_certificate((two / "server.crt").read_bytes()).not_valid_after_utc
    assert tls.expires_ms == int(expires.timestamp() * 1000)


def test_what_is_broken_is_not_taken_up(files: TlsFiles, made: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two, timer = made / "one", made / "two", Timer()
    tls = LiveTls(files, timer)
    with caplog.at_level(logging.INFO), serving(tls) as address:
        put(files, two, key=False)  # the certificate is there, and its key is about to come
        for _ in range(3):
            timer.now_s += 1
            assert is_served(address, one, one)
        assert tls.problem is not None
        assert "is not the key of the certificate" in tls.problem
        assert len(caplog.records) == 1, "it is told once"
        put(files, two)
        timer.now_s += 1
        assert is_served(address, two, two)
        assert tls.problem is None
        for damage in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            files.certificate.write_bytes(damage)
            timer.now_s += 1
            assert is_served(address, two, two)
            assert "holds no certificate" in (tls.problem or "")
        files.certificate.unlink()
        timer.now_s += 1
        assert is_served(address, two, two)
        assert "cannot be read" in (tls.problem or "")


def test_settings_that_cannot_be(files: TlsFiles, made: Path, tmp_path: Path) -> None:
    assert TlsFiles.of(SecurityConfig()) is None
    named = SecurityConfig(tls_certificate="a", tls_key="b", tls_client_ca="c")
    assert TlsFiles.of(named) == TlsFiles(Path("a"), Path("b"), Path("c"))
    secret = tmp_path / "secret.key"
    key_bytes = (made / "one" / "server.key").read_bytes()
    secret.write_bytes(
        load_pem_private_key(key_bytes, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        )
    )
    certificate, nothing, nonsense = files.certificate, tmp_path / "nothing", tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    for broken, words in (
        (TlsFiles(nothing, files.key), "tls_certificate: .* cannot be read: No such file"),
        (TlsFiles(nonsense, files.key), "tls_certificate: .* holds no certificate in PEM"),
        (TlsFiles(certificate, nothing), "tls_key: .* cannot be read: No such file"),
        (TlsFiles(certificate, nonsense), "tls_key: .* holds no private key in PEM"),
        (TlsFiles(certificate, secret), "tls_key: .* is kept under a passphrase"),
        (TlsFiles(certificate, made / "two" / "server.key"), "tls_key: .* is not the key of the certificate"),
        (TlsFiles(certificate, files.key, nothing), "tls_client_ca: .* cannot be read"),
        (TlsFiles(certificate, files.key, nonsense), "tls_client_ca: .* holds no certificate"),
    ):
        with pytest.raises(ConfigError, match=rf"^\[security\] {words}"):
            LiveTls(broken)


@pytest.mark.torture
def test_grpc_gets_the_same(files: TlsFiles, made: Path) -> None:
    """Its own process for it: gRPC's threads outlive a test."""
    command = [sys.executable, "-m", "tests.server.grpc_tls", str(made), str(files.certificate.parent)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "one\nkept\ntwo\nrefused\n"), ran.stderr
