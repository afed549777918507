"""Mutual TLS of nodes: each shows a certificate that says which node of which cluster it is."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any, Final, NamedTuple

from blockdb.errors import ConfigError
from blockdb.serving.files import Identity, identity_of
from blockdb.storage.door import Door

__all__ = ["LiveTls", "PeerTls", "node_uri", "uris_of"]

LOOK_EVERY_S: Final = 1.0

_log = logging.getLogger("blockdb.cluster.peers")


@dataclass(frozen=True, slots=True)
class PeerTls:
    """The files of a node, in PEM. They are looked at again for new connections, once a second at most."""

    certificate: Path
    """Its certificate, with the URI `blockdb://<cluster>/<node>` (`blockdb cert DIR --cluster NAME --node ID`)."""
    key: Path
    authority: Path
    """Whose certificates are believed."""

    def identity(self) -> tuple[Identity | None, ...]:
        """What changes when one of them is replaced or changed."""
        return tuple(map(identity_of, (self.certificate, self.key, self.authority)))


def node_uri(cluster: str, node: str) -> str:
    """What the certificate of a node says it is."""
    return f"blockdb://{cluster}/{node}"


def uris_of(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """What a certificate that was verified says its owner is, as the `ssl` module gives it."""
    names: Iterable[tuple[str, str]] = (certificate or {}).get("subjectAltName", ())
    return frozenset(value for kind, value in names if kind == "URI")


class _Contexts(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext


class LiveTls:
    """The certificate that new connections show. Files that were replaced are taken up; what is broken is not."""

    def __init__(self, files: PeerTls, cluster: str, node: str, timer: Callable[[], float] = monotonic) -> None:
        """Read them. `cluster` is empty where it is not known yet. Raises ConfigError."""
        self._files = files
        self._cluster, self._node = cluster, node
        self._timer = timer
        self._seen = files.identity()
        self._contexts = self._load()
        self._look_at = timer() + LOOK_EVERY_S

    @property
    def server(self) -> ssl.SSLContext:
        """For connections that others make."""
        return self._newest().server

    @property
    def client(self) -> ssl.SSLContext:
        """For connections to others."""
        return self._newest().client

    def _newest(self) -> _Contexts:
        if self._timer() >= self._look_at:
            self._look_at = self._timer() + LOOK_EVERY_S
            self._look()
        return self._contexts

    def _look(self) -> None:
        identity = self._files.identity()
        if identity == self._seen:
            return
        self._seen = identity
        try:
            self._contexts = self._load()
        except ConfigError as error:  # perhaps one of two files was replaced, and the other one is about to be
            _log.warning("%s The certificate that was in use stays in use.", error)
            return
        _log.info("The certificate in %s is in use between nodes now.", self._files.certificate)

    def _load(self) -> _Contexts:
        _check_own(self._files.certificate, self._cluster, self._node)
        return _Contexts(_context(self._files, ssl.PROTOCOL_TLS_SERVER), _context(self._files, ssl.PROTOCOL_TLS_CLIENT))


def _context(files: PeerTls, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # who it is stands in the URI, wherever it runs
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # an authority that is taken away is not to live on in sessions that are resumed
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{files.certificate} with {files.key} cannot be used: {error}.") from None
    try:
        context.load_verify_locations(files.authority)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{files.authority} cannot be used as an authority: {error}.") from None
    return context


def _no_passphrase() -> str:
    raise ValueError("its key is kept under a passphrase")


def _check_own(path: Path, cluster: str, node: str) -> None:
    """See that a certificate is this node's, so that it is told here and not by all others."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(Door().read(path))[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, x509.ExtensionNotFound):
        uris = []
    end = f"/{node}"
    if not any(uri == node_uri(cluster, node) if cluster else uri.endswith(end) for uri in uris):
        wanted = node_uri(cluster or "CLUSTER", node)
        raise ConfigError(
            f"{path} is not the certificate of this node: it names {', '.join(uris) or 'no node'}, not {wanted}. "
            f"`blockdb cert DIR --cluster {cluster or 'CLUSTER'} --node {node}` makes one."
        )
    if certificate.not_valid_after_utc.timestamp() < time():
        _log.warning("%s has expired: other nodes will refuse it.", path)
