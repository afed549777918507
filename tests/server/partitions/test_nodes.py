"""Three servers whose collections are spread over them: whichever is asked, the answer is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import blockdb
from blockdb.commands.main import main
from blockdb.errors import InvalidData
from tests.server.partitions.nodes import NodeHere, connected, servers

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodeHere]]:
    with servers(tmp_path_factory.mktemp("nodes")) as nodes, connected(nodes[:1]) as db:
        db.create_collection("users", settings={"partitions": 4, "replication_factor": 1})
        yield nodes


def test_whoever_is_asked_has_everything(nodes: list[NodeHere]) -> None:
    keys = [f"u{number}".encode() for number in range(9)]
    for number, key in enumerate(keys):
        with connected([nodes[number % 3]]) as db:
            db.collection("users").put(key, b"v%d" % number)
    for node in nodes:
        with connected([node]) as db:
            users = db.collection("users")
            assert [key for key, _ in users.scan(prefix=b"u")] == sorted(keys)
            assert users.get(b"u7") == b"v7"
            assert db.collection("users:1").name == "users:1"
            assert sum(db.collection(f"users:{number}").count(prefix=b"u") for number in range(4)) == 9
            assert blockdb.verify_receipt(users.prove(b"u3").text, db.verifier_key()).records[0].key == b"u3"
            with pytest.raises(InvalidData, match="users:0 to users:3"):
                users.checkpoint()
            assert db.collection("users:3").checkpoint().startswith("blockdb/")
            with pytest.raises(blockdb.CollectionNotFound):
                db.collection("users:4")


def test_a_request_that_comes_again_elsewhere_is_done_once(nodes: list[NodeHere]) -> None:
    for number in range(4):
        body = b'{"key": "again-%d", "value": "v"}' % number
        path = "/api/v1/collections/users/records"
        answers = [node.ask("POST", path, body, **{"Idempotency-Key": f"k{number}"}) for node in (*nodes, nodes[0])]
        assert [answer.status for answer in answers] == [201] * 4, answers[1].body
        assert len({answer.json["first_sequence"] for answer in answers}) == 1


def test_everybody_is_told_who_keeps_what(nodes: list[NodeHere]) -> None:
    told = nodes[0].ask("GET", "/cluster/status").json
    assert [each["collection"] for each in told["partitions"]] == ["", "default", "users", "users", "users", "users"]
    held = [each for each in told["partitions"] if each["is_held"]]
    assert {each["leader"] for each in held if each["collection"] == "users"} <= {"n1"}
    assert told["nodes"][2]["id"] == "n3"
    with connected(nodes[:1]) as db:
        everywhere = db.cluster.partitions()
        assert [each.label for each in everywhere][1:] == ["default:0", "users:0", "users:1", "users:2", "users:3"]
        assert {each.leader for each in everywhere} == {"n1", "n2", "n3"}
        assert all(each.leader in [node.id for node in each.nodes] for each in everywhere)
    metrics = nodes[0].ask("GET", "/metrics", accept="text/plain").body.decode()
    assert 'blockdb_cluster_partition_holders{partition="root"} 3.0' in metrics


def test_commands_about_partitions(nodes: list[NodeHere], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "partitions", "--url", nodes[1].url]) == 0
    assert "users:3" in capsys.readouterr().out
    assert main(["cluster", "rebalance", "--dry-run", "--url", nodes[1].url]) == 0
    assert "nothing has to move" in capsys.readouterr().out
