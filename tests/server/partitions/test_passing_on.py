"""How nodes know each other when they pass requests on, and how they reach each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from blockdb.cluster.belonging import claim, engine_of
from blockdb.cluster.database.context import (
    as_request,
    first_id,
    new_command_id,
    passed_on,
    request_key,
    request_of_key,
)
from blockdb.config import Sources
from blockdb.errors import ConfigError, Forbidden, InvalidData, Unauthenticated, Unavailable
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.security.exposure import check_exposure
from blockdb.security.roles import ANONYMOUS, Principal, Reach, Right, Role, authorize
from blockdb.server.authentication import Authenticator
from blockdb.server.clustering import node_of
from blockdb.server.concerns import name_of
from blockdb.server.node_tokens import NodeTokens
from blockdb.server.reaching import Reaching
from blockdb.server.tokens import TokenFile
from blockdb.storage.door import Door
from blockdb.wire.table import BY_NAME

TOKENS = NodeTokens(lambda: bytes(32))


def test_a_node_shows_a_token_that_follows_from_the_key_of_the_cluster(tmp_path: Path) -> None:
    file = TokenFile(tmp_path)
    file.create("ann", Role.READER)
    authenticator = Authenticator(tmp_path, check_exposure("127.0.0.1", has_tokens=True, has_tls=False))
    token = TOKENS.token_of("n_1.x")
    with pytest.raises(Unauthenticated, match="no node of this cluster"):
        authenticator.principal(token)
    authenticator.nodes = TOKENS
    found = authenticator.principal(token)
    assert (found.name, found.is_node) == ("node:n_1.x", True)
    authenticator.check(found)
    other = NodeTokens(lambda: b"other key" * 4).token_of("n_1.x")
    for wrong in (other, token.replace("n_1.x", "n2"), "bdbn_", "bdbn_n1", token + "é"):
        with pytest.raises(Unauthenticated):
            authenticator.principal(wrong)
    with pytest.raises(InvalidData, match="those of nodes"):
        file.create("node:n1", Role.ADMIN)


def test_a_right_on_a_collection_is_one_on_its_partitions() -> None:
    ann = Principal("ann", Role.READER, frozenset(("users",)))
    authorize(ann, Right.READ, Reach("users:3", whole="users"))
    with pytest.raises(Forbidden):
        authorize(ann, Right.READ, Reach("users:3"))
    with pytest.raises(Forbidden):
        authorize(ann, Right.READ, Reach("orders:3", whole="orders"))


def test_a_request_keeps_its_name_when_it_is_passed_on() -> None:
    put, node = BY_NAME["put"], Principal("node:n1", Role.ADMIN, token_id="node:n1")
    name = name_of(ANONYMOUS, "k", put)
    with as_request(name):
        key = request_key()
    assert key is not None
    assert (name_of(node, key, put), request_of_key(key)) == (name, (name, 0))
    with as_request(*request_of_key(key)):
        assert new_command_id() == first_id(name)
    assert request_key() is None
    with pytest.raises(InvalidData, match="none that a node gives"):
        name_of(node, "mine", put)


class Connected:
    """Stands for a database over the network."""

    def __init__(self, url: Sequence[str], options: dict[str, Any]) -> None:
        self.url, self.options, self.is_closed = tuple(url), options, False

    def close(self) -> None:
        self.is_closed = True


def reaching(made: list[Connected], **flags: Any) -> Reaching:
    def connect(url: Sequence[str], **options: Any) -> Any:
        made.append(Connected(url, options))
        return made[-1]

    flags = {key.replace("__", "."): value for key, value in flags.items()}
    return Reaching(connect, Sources(None, {}, flags).config(), lambda: "token")


def test_connections_are_kept_and_nothing_is_passed_on_twice() -> None:
    made: list[Connected] = []
    reach = reaching(made)
    first: Any = reach(["h:1", "h:2"], "Local")
    assert first is reach(["h:1", "h:2"], "Local")
    assert (first.url, first.options["token"], first.options["read_concern"]) == (
        ("http://h:1", "http://h:2"), "token", "Local",
    )  # fmt: skip
    keys: Callable[[], str] = first.options["idempotency_keys"]
    with as_request(b"n" * 16):
        assert (keys(), keys()) == ("6e" * 16 + "-0", "6e" * 16 + "-1")
    assert request_of_key(keys())[1] == 0
    assert reach(["h:1", "h:2"], "Linearizable") is not first
    with passed_on(), pytest.raises(Unavailable, match="does not hold"):
        reach(["h:1"], "Local")
    reach.close()
    assert [each.is_closed for each in made] == [True, True]


def test_tls_trusts_the_authority_of_nodes() -> None:
    files = {"security__tls_certificate": "s.crt", "security__tls_key": "s.key"}
    peers = {"cluster__peer_certificate": "n.crt", "cluster__peer_key": "n.key", "cluster__peer_ca": "ca.crt"}
    made: list[Connected] = []
    reaching(made, **files, **peers)(["h:1"], "Local")
    assert made[0].url == ("https://h:1",)
    assert (made[0].options["ca_file"], made[0].options["certificate"]) == ("ca.crt", ("n.crt", "n.key"))
    reaching(made, **files, **peers, cluster__node_ca="users.crt")(["h:1"], "Local")
    assert made[1].options["ca_file"] == "users.crt"


def test_a_directory_keeps_the_engine_that_it_began_with(tmp_path: Path) -> None:
    files = DatabaseFiles(tmp_path)
    assert engine_of(files) is None
    assert claim(Door(), files, "shop", "n1")
    assert not claim(Door(), files, "shop", "n1")
    with pytest.raises(ConfigError, match="belongs to the node 'n1' of the cluster 'shop', and this is 'n2'"):
        claim(Door(), files, "shop", "n2")
    assert engine_of(files) == "jetstream"
    config = Sources(None, {}, {"data_dir": str(tmp_path), "cluster.node_id": "n1"}).config()
    with pytest.raises(ConfigError, match=r"\[cluster\] engine: .* it should be jetstream, not raft"):
        node_of(config, 1, MasterKeySource()).__enter__()
