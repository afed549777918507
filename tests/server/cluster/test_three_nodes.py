"""Three nodes, each with its server: any of them takes any request, and all of them have the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import blockdb
from blockdb.errors import Deadlock, DuplicateKey
from tests.server.cluster.nodes import NodeHere, cluster, connected, leader_of
from tests.storage.doors import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodeHere]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def test_what_one_acknowledged_all_have(nodes: list[NodeHere]) -> None:
    for number, node in enumerate(nodes):
        body = json.dumps({"key": f"all{number}", "value": "v"}).encode()
        assert node.ask("POST", "/api/v1/put", body).status == 200
        for other in nodes:
            answer = other.ask("GET", f"/api/v1/get/all{number}")
            assert (answer.status, answer.headers["Read-Concern"]) == (200, None)
    refused = nodes[1].ask("POST", "/api/v1/put", b'{"key": "all0", "value": "other"}')
    assert (refused.status, refused.json["error"]) == (409, "DuplicateKey")
    states = [node.state for node in nodes]
    assert len({state.leader for state in states}) == 1
    assert [len(state.members) for state in states] == [3, 3, 3]


def test_a_retry_at_another_node_gets_the_first_answer(nodes: list[NodeHere]) -> None:
    body, path = b'{"key": "once", "value": "1"}', "/api/v1/collections/default/records"
    answers = [node.ask("POST", path, body, Idempotency_Key="my-key") for node in (*nodes, nodes[0])]
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    other = nodes[2].ask("POST", path, b'{"key": "once", "value": "2"}', Idempotency_Key="my-key")
    assert (other.status, other.json["error"]) == (422, "IdempotencyConflict")
    assert nodes[1].ask("POST", path, body, Idempotency_Key="x" * 256).status == 400
    batch, path = (
        b'{"items": [{"key": "b1", "value": "1"}, {"key": "b2", "value": "2"}]}',
        "/api/v1/collections/default/batch",
    )
    answers = [node.ask("POST", path, batch, Idempotency_Key="my-batch") for node in nodes]
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    made = [node.ask("POST", "/api/v1/collections", b'{"name": "once"}', Idempotency_Key="made") for node in nodes]
    assert len({(answer.status, answer.body) for answer in made}) == 1


def test_a_collection_is_there_at_once_at_every_node(nodes: list[NodeHere]) -> None:
    with (
        blockdb.connect(nodes[0].url) as one,
        blockdb.connect(nodes[1].url) as two,
        blockdb.connect(nodes[2].url) as three,
    ):
        users = one.create_collection("users", schema={"version": 1, "fields": {"age": {"field_type": "Integer"}}})
        assert two["users"].put(b"u1", {"age": 41}) == 0
        with pytest.raises(blockdb.ValidationError):
            three["users"].put(b"u2", {"age": "old"})
        assert [found.key for found in three["users"].find("age > 40")] == [b"u1"]
        users.create_index("by_age", ["age"])
        assert three["users"].explain("age = 41").access == "index by_age"
        two.drop_collection("users")
        assert not one.has_collection("users")


def test_transactions_of_different_nodes_do_not_cross(nodes: list[NodeHere]) -> None:
    with blockdb.connect(nodes[0].url) as one, blockdb.connect(nodes[1].url) as two:
        with one.transaction() as first:
            assert first.get(b"seat") is None
            first.put(b"seat", b"first")
            two.put(b"elsewhere", b"1")
        assert two.get(b"seat") == b"first"
        a, b = one.transaction(), two.transaction()
        assert a.get(b"last") is b.get(b"last") is None
        a.put(b"last", b"a")
        b.put(b"last", b"b")
        a.commit()
        with pytest.raises((Deadlock, DuplicateKey)):
            b.commit()
        assert two.get(b"last") == b"a"


def test_a_commit_that_is_asked_for_again_elsewhere_is_found(nodes: list[NodeHere]) -> None:
    path = "/api/v1/transactions"
    begun = nodes[0].ask("POST", path, b"{}", Idempotency_Key="t0").json["transaction"]
    assert nodes[0].ask("POST", path, b"{}", Idempotency_Key="t0").json["transaction"] == begun
    put = b'{"items": [{"key": "tx", "value": "1"}]}'
    for _ in range(2):
        assert nodes[0].ask("POST", f"{path}/{begun}/put", put, Idempotency_Key="t1").status == 200
    elsewhere = nodes[1].ask("POST", f"{path}/{begun}/commit", b"{}", Idempotency_Key="t2")
    assert (elsewhere.status, elsewhere.json["error"]) == (504, "RequestTimeout")
    commits = [node.ask("POST", f"{path}/{begun}/commit", b"{}", Idempotency_Key="t2") for node in (nodes[0], *nodes)]
    assert {(answer.status, answer.body) for answer in commits} == {(200, commits[0].body)}
    assert nodes[2].ask("POST", f"{path}/{begun}/put", put).json["error"] == "TransactionClosed"


def test_a_local_read_says_so(nodes: list[NodeHere]) -> None:
    nodes[0].ask("POST", "/api/v1/put", b'{"key": "near", "value": "1"}')
    answer = nodes[0].ask("GET", "/api/v1/get/near", Read_Concern="Local")
    assert (answer.status, answer.headers["Read-Concern"], answer.headers["Blockdb-Lag"]) == (200, "Local", "0")
    assert int(answer.headers["Blockdb-Applied"]) > 0


def test_nodes_sign_alike(nodes: list[NodeHere]) -> None:
    for number in range(4):
        nodes[number % 3].ask("POST", "/api/v1/put", json.dumps({"key": f"s{number}", "value": "v"}).encode())
    keys = {node.ask("GET", "/api/v1/keys").json["verifier_key"] for node in nodes}
    checkpoints = {node.ask("GET", "/api/v1/collections/default/checkpoint").json["checkpoint"] for node in nodes}
    assert (len(keys), len(checkpoints)) == (1, 1)


def test_another_node_leads_when_it_is_asked_to(nodes: list[NodeHere]) -> None:
    before = leader_of(nodes)
    with connected(nodes) as db:
        after = db.cluster.transfer()
        assert after != before.name
        db.put(b"after the transfer", b"1")
        until(lambda: {node.state.leader for node in nodes} == {after})
        assert db.cluster.state().health == "healthy"
    for node in nodes:
        assert node.ask("GET", "/health/ready").status == 200
        metrics = node.ask("GET", "/metrics", Accept="text/plain").body.decode()
        assert "\nblockdb_cluster_nodes 3.0" in metrics


def test_nobody_is_asked_about_what_is_of_one_node(nodes: list[NodeHere]) -> None:
    assert nodes[0].ask("POST", "/verify").json["blockchain_valid"]
    entries = nodes[1].ask("GET", "/api/v1/audit-log?limit=3").json["entries"]
    assert entries
    assert nodes[2].ask("POST", "/api/v1/flush").status == 200


def test_the_signing_key_of_all_nodes_is_exchanged_at_once(nodes: list[NodeHere]) -> None:
    rotated = nodes[0].ask("POST", "/api/v1/keys/rotate")
    assert rotated.status == 200
    keys = {node.ask("GET", "/api/v1/keys").json["verifier_key"] for node in nodes}
    assert keys == {rotated.json["verifier_key"]}
