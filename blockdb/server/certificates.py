"""Certificates to try TLS with: an authority of one's own, and what it signs. ECDSA on P-256, as RFC 5280 has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from blockdb.cluster.peers.addresses import check_name
from blockdb.cluster.peers.tls import node_uri
from blockdb.errors import InvalidData, StorageError
from blockdb.storage.door import Door, guarded

__all__ = ["make"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""The names that the certificate of a server always has."""
MOST_DAYS: Final = 3_650
SLOW_CLOCKS: Final = timedelta(minutes=5)
"""By how much a certificate is good before it was made, for clocks that are slow."""
_CLIENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}")


@dataclass(frozen=True)
class _Wanted:
    """A certificate that is to be made."""

    pair: _Pair
    subject: x509.Name
    uses: tuple[ObjectIdentifier, ...]
    alternative: tuple[x509.GeneralName, ...] = ()


@dataclass(frozen=True)
class _Pair:
    """A certificate and its key, and the files that have them."""

    root: Path
    stem: str

    @property
    def certificate(self) -> Path:
        return self.root / f"{self.stem}.crt"

    @property
    def key(self) -> Path:
        return self.root / f"{self.stem}.key"

    @property
    def is_there(self) -> bool:
        """Whether one of them is there."""
        return self.certificate.exists() or self.key.exists()


def make(
    root: Path,
    hosts: Iterable[str] = (),
    clients: Iterable[str] = (),
    days: int = 365,
    *,
    cluster: str = "",
    nodes: Iterable[str] = (),
) -> list[Path]:
    """Make the certificates that are not there yet: of an authority, of a server, of clients and nodes by their names.

    `hosts` are names and addresses of the server, besides those of this machine; `nodes` are ids of nodes of `cluster`,
    whose certificates have these names too, so that a node can show its own to its users.
    Gives the files that were made. Raises InvalidData and ConfigError for names that cannot be, InvalidData rather than
    replace anything; StorageError.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InvalidData(f"A certificate is good for 1 to {MOST_DAYS} days, not {days}.")
    server, hosts = _Pair(root, "server"), list(hosts)
    names = [_host(host) for host in dict.fromkeys((*LOOPBACK, *hosts))]
    wanted = [_client(root, name) for name in dict.fromkeys(clients)]
    members = [_node(root, cluster, node, names) for node in dict.fromkeys(nodes)]
    wanted += members
    _refuse_to_replace([*(each.pair for each in wanted), *([server] if (hosts and not members) or not wanted else [])])
    with guarded(f"writing certificates to {root}"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, made = _authority(_Pair(root, "ca"))
        if not server.is_there:
            subject = _name(hosts[0] if hosts else LOOPBACK[0])
            authority.sign(_Wanted(server, subject, (ExtendedKeyUsageOID.SERVER_AUTH,), tuple(names)), days)
            made.append(server)
        for each in wanted:
            authority.sign(each, days)
            made.append(each.pair)
    return [file for pair in made for file in (pair.certificate, pair.key)]


def _refuse_to_replace(pairs: Iterable[_Pair]) -> None:
    taken = next((pair for pair in pairs if pair.is_there), None)
    if taken is not None:
        there = f"{taken.certificate} or its key is there already"
        raise InvalidData(f"{there}, and nothing is replaced. Remove both, or choose another directory.")


def _authority(pair: _Pair) -> tuple[_Authority, list[_Pair]]:
    """The authority that is there, or a new one; and what was made for that."""
    return (_Authority.load(pair), []) if pair.is_there else (_Authority.create(pair), [pair])


def _client(root: Path, name: str) -> _Wanted:
    if not _CLIENT.fullmatch(name):
        raise InvalidData(f"{name!r} cannot be a client: a name has 1 to 64 letters, digits, and . _ @ -.")
    return _Wanted(_Pair(root, f"client-{name}"), _name(name), (ExtendedKeyUsageOID.CLIENT_AUTH,))


def _node(root: Path, cluster: str, node: str, names: Iterable[x509.GeneralName]) -> _Wanted:
    """Of a node, which calls others and is called by them. It has no common name, which could be that of a token."""
    check_name(cluster, "name of a cluster")
    check_name(node, "id of a node")
    uses = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    uri = x509.UniformResourceIdentifier(node_uri(cluster, node))
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"node {node} of {cluster}"[:64])])
    return _Wanted(_Pair(root, f"node-{node}"), subject, uses, (uri, *names))


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise InvalidData(f"{name!r} is neither the name of a host (in ASCII) nor an address.")
    return x509.DNSName(name.lower())


@dataclass(frozen=True)
class _Authority:
    """Who signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, pair: _Pair) -> _Authority:
        """A new one, kept in its files."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = _name(f"BlockDB development authority {now:%Y-%m-%d}")
        builder = (
            _builder(name, name, key, MOST_DAYS + 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        certificate = builder.sign(key, SHA256())
        _write(pair, certificate, key)
        return cls(certificate, key)

    @classmethod
    def load(cls, pair: _Pair) -> _Authority:
        """The one in these files. Raises StorageError."""
        door = Door()
        try:
            certificate = x509.load_pem_x509_certificate(door.read(pair.certificate))
            key = load_pem_private_key(door.read(pair.key), None)
        except (ValueError, TypeError) as error:
            raise StorageError(f"{pair.certificate} and {pair.key} cannot be read: {error}.") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or _public(key) != _public(certificate):
            raise StorageError(f"{pair.key} is not the key of {pair.certificate}. Put the right one there.")
        if certificate.not_valid_after_utc <= datetime.now(UTC):
            raise StorageError(f"{pair.certificate} has expired. Make everything anew in another directory.")
        return cls(certificate, key)

    def sign(self, wanted: _Wanted, days: int) -> None:
        """Make a certificate and its key. It is good no longer than the authority is."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(wanted.subject, self.certificate.subject, key, days, self.certificate.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(wanted.uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        )
        if wanted.alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(wanted.alternative), critical=False)
        _write(wanted.pair, builder.sign(self.key, SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, last: datetime | None = None
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLOW_CLOCKS)
        .not_valid_after(end if last is None else min(end, last))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _public(holder: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _write(pair: _Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write both files, or none; what is there already is never replaced."""
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(pair.key, secret, 0o600)
    try:
        _write_new(pair.certificate, certificate.public_bytes(Encoding.PEM), 0o644)
    except BaseException:
        Door().remove(pair.key)
        raise


def _write_new(path: Path, data: bytes, mode: int) -> None:
    door = Door()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        door.write_all(descriptor, data)
        door.force(descriptor)
    finally:
        door.close(descriptor)
