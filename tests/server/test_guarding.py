"""What stands before a server, from its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from blockdb.errors import ConfigError, StorageError, Unauthenticated
from blockdb.security.roles import ANONYMOUS, Role
from blockdb.server.certificates import make
from blockdb.server.guarding import guard
from blockdb.server.tokens import TokenFile


@pytest.fixture
def root(tmp_path: Path) -> Path:
    blockdb.open(tmp_path / "db").close()
    return tmp_path / "db"


def test_on_loopback_nothing_is_needed(root: Path) -> None:
    found = guard(root, "127.0.0.1")
    assert found.tls is None
    assert found.authenticator.principal(None) is ANONYMOUS
    assert "may do everything" in found.exposure.words[0]


def test_a_public_address_needs_both(root: Path, tmp_path: Path) -> None:
    make(tmp_path / "tls")
    tls = {"tls_certificate": str(tmp_path / "tls" / "server.crt"), "tls_key": str(tmp_path / "tls" / "server.key")}
    with pytest.raises(ConfigError, match=r"\[security\] tls_certificate"):
        guard(root, "0.0.0.0")
    with pytest.raises(ConfigError, match=r"\[security\] authentication: .* `blockdb token create"):
        guard(root, "0.0.0.0", **tls)
    _, token = TokenFile(root).create("a", Role.READER)
    with pytest.raises(ConfigError, match=r"\[security\] tls_certificate"):
        guard(root, "0.0.0.0")
    with pytest.raises(ConfigError, match=r"\[security\] authentication: it is off"):
        guard(root, "0.0.0.0", authentication="off", **tls)
    found = guard(root, "0.0.0.0", **tls)
    assert found.tls is not None
    assert found.authenticator.principal(token).name == "a"
    with pytest.raises(Unauthenticated):
        found.authenticator.principal(None)


def test_with_the_word_for_it_nothing_is_refused(root: Path) -> None:
    found = guard(root, "0.0.0.0", insecure_public=True)
    with pytest.raises(Unauthenticated):
        found.authenticator.principal(None)
    found = guard(root, "0.0.0.0", insecure_public=True, authentication="off")
    assert found.authenticator.principal(None) is ANONYMOUS
    assert len(found.exposure.words) == 2


def test_what_is_damaged_is_told_at_the_start(root: Path, tmp_path: Path) -> None:
    TokenFile(root).create("a", Role.READER)
    TokenFile(root).path.write_text("")
    with pytest.raises(StorageError, match="Nobody is let in"):
        guard(root, "127.0.0.1")
    with pytest.raises(ConfigError, match="tls_key"):
        guard(tmp_path / "nothing", "127.0.0.1", tls_certificate="x")
