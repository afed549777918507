"""Tokens of a cluster: made at any node, they are good at all of them within a second, and so is their end."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from blockdb.errors import Forbidden, InvalidData, Unauthenticated
from blockdb.format.applied import decode_applied
from blockdb.layout import DatabaseFiles
from blockdb.security.roles import Role
from blockdb.server.serving import _has_shared_tokens
from blockdb.server.tokens import TokenFile
from tests.server.cluster.nodes import NodeHere, cluster
from tests.storage.doors import until

pytestmark = pytest.mark.timeout(300)


def status(node: NodeHere, token: str) -> int:
    return node.ask("GET", "/api/v1/whoami", Authorization=f"Bearer {token}").status


@pytest.mark.torture
def test_a_token_of_a_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        one, two, three = nodes
        with blockdb.connect(one.url) as db:
            info, admin = db.tokens.create("root", "admin")
            assert (info.name, info.role, info.collections) == ("root", Role.ADMIN, None)
        until(lambda: {node.ask("GET", "/api/v1/whoami").status for node in nodes} == {401})
        until(lambda: {status(node, admin) for node in nodes} == {200})
        with blockdb.connect(two.url, token=admin) as db:
            reader, token = db.tokens.create("shop", "reader", collections=["default"], prefix=b"u:")
            assert [each.name for each in db.tokens.list()] == ["root", "shop"]
            with pytest.raises(InvalidData, match="named 'shop'"):
                db.tokens.create("shop", "writer")
            with pytest.raises(InvalidData, match="no role"):
                db.tokens.create("other", "king")
        until(lambda: {status(node, token) for node in nodes} == {200})
        with blockdb.connect(three.url, token=token) as db:
            assert db.get(b"u:1") is None
            for refused in (lambda: db.get(b"v:1"), db.tokens.list, lambda: db.tokens.revoke(reader.id)):
                with pytest.raises(Forbidden):
                    refused()
        _, local = TokenFile(three.path).create("rescue", Role.ADMIN)  # good at this node alone
        until(lambda: status(three, local) == 200)
        assert status(one, local) == 401
        with blockdb.connect(three.url, token=local) as db:
            assert db.tokens.revoke(reader.id).name == "shop"
            with pytest.raises(InvalidData, match="no token"):
                db.tokens.revoke(reader.id)
        until(lambda: {status(node, token) for node in nodes} == {401})
        with pytest.raises(Unauthenticated):
            blockdb.connect(one.url, token=token)
        assert status(two, admin) == 200
        for node in nodes:
            node.stop()
        files = DatabaseFiles(two.path).raft
        assert [each["name"] for each in decode_applied(files.applied.read_bytes()).tokens] == ["root"]
        secret = admin.split("_")[2].encode()
        assert not any(secret in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert _has_shared_tokens(two.path)
