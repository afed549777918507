"""TLS of a server: files of certificates, and contexts that follow them while the server runs.

Whoever renews a certificate replaces the files; connections that begin later than a second after that get the new one,
and those that there are live on. What is broken is not taken up: the old certificate stays in use, and a line in the
log says why.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from blockdb.config import SecurityConfig
from blockdb.errors import ConfigError
from blockdb.serving.files import Identity, identity_of
from blockdb.storage.door import Door

if TYPE_CHECKING:
    import grpc

__all__ = ["LiveTls", "Pem", "TlsFiles", "grpc_credentials"]

LOOK_EVERY_S: Final = 1.0
PROTOCOLS: Final = ["http/1.1"]

_log = logging.getLogger("blockdb.server")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files that `[security]` names, in PEM."""

    certificate: Path
    """The server's certificate, and after it those between it and its authority."""
    key: Path
    client_ca: Path | None = None
    """The authorities of clients; if given, a client without a certificate by one of them cannot connect."""

    @classmethod
    def of(cls, security: SecurityConfig) -> TlsFiles | None:
        """What settings name; None: no TLS."""
        if not security.tls_certificate:
            return None
        client_ca = Path(security.tls_client_ca) if security.tls_client_ca else None
        return cls(Path(security.tls_certificate), Path(security.tls_key), client_ca)

    def identity(self) -> tuple[Identity | None, ...]:
        """What changes when one of them is replaced or changed."""
        return tuple(map(identity_of, filter(None, (self.certificate, self.key, self.client_ca))))


class Pem(NamedTuple):
    """What the files hold."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None


class _Loaded(NamedTuple):
    identity: tuple[Identity | None, ...]
    pem: Pem
    context: ssl.SSLContext
    expires_ms: int


class LiveTls:
    """The certificate that new connections are given. Safe for threads.

    The files are looked at once a second at most, when somebody connects.
    """

    def __init__(self, files: TlsFiles, timer: Callable[[], float] = monotonic) -> None:
        """Read them. Raises ConfigError, which names the setting whose file cannot be used."""
        self.files = files
        self.problem: str | None = None
        """Why files that were changed are not used; None where they are."""
        self._timer = timer
        self._lock = Lock()
        self._loaded = _load(files)
        self._seen = self._loaded.identity
        self._look_at = timer() + LOOK_EVERY_S
        self.context: ssl.SSLContext = _context(files)
        """What a server listens with, from its start to its end; it hands each connection on to the newest one."""
        self.context.sni_callback = self._hand_on
        if self.expires_ms < time() * 1000:
            _log.warning("[security] tls_certificate: %s has expired.", files.certificate)

    @property
    def is_mutual(self) -> bool:
        """Whether clients need a certificate."""
        return self.files.client_ca is not None

    @property
    def pem(self) -> Pem:
        """What the files held when they were last taken up: the same object until then."""
        return self._loaded.pem

    @property
    def expires_ms(self) -> int:
        """When the certificate that is in use ceases to be good: Unix time in milliseconds."""
        return self._loaded.expires_ms

    def refresh(self) -> None:
        """Take up files that were changed, if it is time to look. Raises nothing."""
        if self._timer() >= self._look_at:
            with self._lock:
                if self._timer() >= self._look_at:
                    self._look()

    def _look(self) -> None:
        self._look_at = self._timer() + LOOK_EVERY_S
        identity = self.files.identity()
        if identity == self._seen:
            return
        self._seen = identity
        try:
            self._loaded = _load(self.files)
        except ConfigError as error:  # perhaps one of two files was replaced, and the other one is about to be
            self.problem = f"{error} The certificate that was in use stays in use."
            _log.warning("%s", self.problem)
            return
        self.problem, self._seen = None, self._loaded.identity
        _log.info("The certificate in %s is in use now.", self.files.certificate)

    def _hand_on(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        self.refresh()
        connection.context = self._loaded.context


def grpc_credentials(tls: LiveTls) -> grpc.ServerCredentials:
    """What a gRPC server listens with: it asks for the newest certificate whenever somebody connects."""
    import grpc

    given = tls.pem

    def configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.client_ca)

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        tls.refresh()
        if tls.pem is given:
            return None
        given = tls.pem
        return configuration(given)

    return grpc.dynamic_ssl_server_credentials(configuration(given), changed, tls.is_mutual)


def _load(files: TlsFiles) -> _Loaded:
    """What is in the files now. Raises ConfigError."""
    identity = files.identity()
    client_ca = None if files.client_ca is None else _read("tls_client_ca", files.client_ca)
    pem = Pem(_read("tls_key", files.key), _read("tls_certificate", files.certificate), client_ca)
    certificate = _certificate("tls_certificate", files.certificate, pem.certificate)
    if files.client_ca is not None and pem.client_ca is not None:
        _certificate("tls_client_ca", files.client_ca, pem.client_ca)
    _check_key(files.key, pem.key, certificate)
    expires_ms = int(certificate.not_valid_after_utc.timestamp() * 1000)
    return _Loaded(identity, pem, _context(files), expires_ms)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            # An authority that is taken off the list is not to live on in sessions that are resumed.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
    except (OSError, ValueError) as error:
        raise ConfigError(f"[security] tls_certificate: {files.certificate} cannot be used: {error}.") from None
    return context


def _no_passphrase() -> str:
    raise ValueError("its key is kept under a passphrase")


def _read(setting: str, path: Path) -> bytes:
    try:
        return Door().read(path)
    except OSError as error:
        raise ConfigError(f"[security] {setting}: {path} cannot be read: {error.strerror}.") from None


def _certificate(setting: str, path: Path, pem: bytes) -> x509.Certificate:
    """The first certificate of a file."""
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise ConfigError(f"[security] {setting}: {path} holds no certificate in PEM.") from None


def _check_key(path: Path, pem: bytes, certificate: x509.Certificate) -> None:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        public = load_pem_private_key(pem, None).public_key()
    except TypeError:
        raise ConfigError(
            f"[security] tls_key: {path} is kept under a passphrase, which a server cannot ask for. Keep it without."
        ) from None
    except ValueError:
        raise ConfigError(f"[security] tls_key: {path} holds no private key in PEM.") from None
    if public.public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ConfigError(f"[security] tls_key: {path} is not the key of the certificate.")
