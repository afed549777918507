"""Certificates to try TLS with: what they say, who trusts them, and that nothing is ever replaced."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from blockdb.errors import ConfigError, InvalidData, StorageError
from blockdb.server.certificates import make


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> list[str]:
    found = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_what_they_say(tmp_path: Path) -> None:
    root = tmp_path / "new" / "tls"
    made = make(root, ["db.example.org", "*.example.org", "10.1.2.3", "localhost"], ["shop"], 30)
    assert [path.name for path in made] == [
        f"{stem}.{suffix}" for stem in ("ca", "server", "client-shop") for suffix in ("crt", "key")
    ]
    assert names_of(root / "server.crt") == [
        "localhost",
        "127.0.0.1",
        "::1",
        "db.example.org",
        "*.example.org",
        "10.1.2.3",
    ]
    uses = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client-shop": ExtendedKeyUsageOID.CLIENT_AUTH}
    authority = read(root / "ca.crt")
    now = datetime.now(UTC)
    for stem, use in uses.items():
        certificate = read(root / f"{stem}.crt")
        certificate.verify_directly_issued_by(authority)
        extensions = certificate.extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [use]
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        assert certificate.not_valid_before_utc < now
        assert abs(certificate.not_valid_after_utc - now - timedelta(days=30)) < timedelta(minutes=5)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    [name] = read(root / "client-shop.crt").subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "shop"
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.glob("*.key")} == {0o600}
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_what_those_of_nodes_say(tmp_path: Path) -> None:
    make(tmp_path)
    made = [
        *make(tmp_path, ["db.example.org"], cluster="shop", nodes=["node1", "node1"]),
        *make(tmp_path, cluster="shop", nodes=["node2"]),
    ]
    assert [path.name for path in made] == ["node-node1.crt", "node-node1.key", "node-node2.crt", "node-node2.key"]
    certificate = read(tmp_path / "node-node1.crt")
    certificate.verify_directly_issued_by(read(tmp_path / "ca.crt"))
    assert names_of(tmp_path / "node-node1.crt") == [
        "blockdb://shop/node1",
        "localhost",
        "127.0.0.1",
        "::1",
        "db.example.org",
    ]
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME), "it stands for no token"
    with pytest.raises(InvalidData, match=r"node-node2\.crt"):
        make(tmp_path, cluster="shop", nodes=["node2"])
    for cluster, node, words in (("", "a", "name of a cluster"), ("shop", "a/b", "id of a node"), ("a b", "c", "name")):
        with pytest.raises(ConfigError, match=f"cannot be the {words}"):
            make(tmp_path / "other", cluster=cluster, nodes=[node])
    assert not (tmp_path / "other").exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for hosts, clients in (([], []), (["other"], []), (["other"], ["new"])):
        with pytest.raises(InvalidData, match=r"server\.crt or its key is there already"):
            make(tmp_path, hosts, clients)
    assert [path.name for path in make(tmp_path, clients=["a"])] == ["client-a.crt", "client-a.key"]
    read(tmp_path / "client-a.crt").verify_directly_issued_by(read(tmp_path / "ca.crt"))
    with pytest.raises(InvalidData, match=r"client-a\.crt"):
        make(tmp_path, clients=["b", "a"])
    assert not (tmp_path / "client-b.crt").exists()
    assert all(path.read_bytes() == data for path, data in before.items())
    for suffix in ("crt", "key"):
        (tmp_path / f"server.{suffix}").unlink()
    assert [path.name for path in make(tmp_path)] == ["server.crt", "server.key"]


@pytest.mark.parametrize(
    ("hosts", "clients", "days", "words"),
    [
        (["a b"], [], 1, "neither the name of a host"),
        (["bücher.example"], [], 1, "neither the name of a host"),
        (["-a.org"], [], 1, "neither"),
        (["a..org"], [], 1, "neither"),
        (["a." * 127 + "org"], [], 1, "neither"),
        ([], ["../x"], 1, "cannot be a client"),
        ([], ["a" * 65], 1, "cannot be a client"),
        ([], [""], 1, "cannot be a client"),
        ([], [], 0, "1 to 3650 days"),
        ([], [], 3651, "1 to 3650 days"),
    ],
)
def test_what_cannot_be(tmp_path: Path, hosts: list[str], clients: list[str], days: int, words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        make(tmp_path / "tls", hosts, clients, days)
    assert not (tmp_path / "tls").exists()


def test_an_authority_that_is_damaged(tmp_path: Path) -> None:
    for root in ("one", "two"):
        make(tmp_path / root)
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(StorageError, match="is not the key of"):
        make(tmp_path / "one", clients=["a"])
    (tmp_path / "one" / "ca.key").write_text("nonsense")
    with pytest.raises(StorageError, match="cannot be read"):
        make(tmp_path / "one", clients=["a"])
    (tmp_path / "one" / "ca.key").unlink()
    with pytest.raises(StorageError, match=r"ca\.key"):
        make(tmp_path / "one", clients=["a"])
    assert not list((tmp_path / "one").glob("client*"))


def test_no_key_without_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from blockdb.server import certificates

    make(tmp_path)
    write_new = certificates._write_new

    def full(path: Path, data: bytes, mode: int) -> None:
        if path.suffix == ".crt":
            raise OSError(28, "No space left on device")
        write_new(path, data, mode)

    monkeypatch.setattr(certificates, "_write_new", full)
    with pytest.raises(StorageError, match="free some space"):
        make(tmp_path, clients=["a"])
    assert not list(tmp_path.glob("client*"))
