"""A collection of several partitions through HTTP and clients: pages, numbers, streams and proofs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import blockdb
from blockdb import AsOf, InvalidData
from tests.server.partitions.nodes import NodeHere, connected, servers

pytestmark = pytest.mark.timeout(300)

KEYS = [b"%03d" % number for number in range(60)]
USERS = "/api/v1/collections/users"


@pytest.fixture(scope="module", params=[1, pytest.param(3, marks=pytest.mark.torture)])
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodeHere]]:
    with servers(tmp_path_factory.mktemp("nodes"), request.param) as nodes, connected(nodes[:1]) as db:
        users = db.create_collection("users", settings={"partitions": 3, "replication_factor": 1})
        stored = [users.put(key, {"n": int(key) // 7}) for key in KEYS]
        assert {record.sequence: record.key for record in users.records()} == dict(zip(stored, KEYS, strict=True))
        yield nodes


def test_pages_are_of_the_moment_of_the_first(nodes: list[NodeHere]) -> None:
    node = nodes[-1]
    with connected([node]) as db:
        users = db.collection("users")
        page = node.ask("GET", f"{USERS}/scan?limit=7&prefix=0").json
        keys = [item["key"] for item in page["items"]]
        query = {"where": "n >= 0", "order": "n desc", "limit": 11}
        found = node.ask("POST", f"{USERS}/find", json.dumps(query).encode()).json
        documents = [document["key"] for document in found["documents"]]
        users.put_many([(b"0later %d" % number, {"n": number}) for number in range(9)])
        while page.get("cursor"):
            page = node.ask("GET", f"{USERS}/scan?limit=7&prefix=0&cursor={page['cursor']}").json
            keys += [item["key"] for item in page["items"]]
        assert keys == [key.decode() for key in KEYS]
        while found.get("cursor"):
            again = json.dumps(query | {"after": found["cursor"]}).encode()
            found = node.ask("POST", f"{USERS}/find", again).json
            documents += [document["key"] for document in found["documents"]]
        by_number = {record.key: record.sequence for record in users.records()}
        assert documents == [
            key.decode() for key in sorted(KEYS, key=lambda key: (int(key) // 7, by_number[key]), reverse=True)
        ]


def test_a_batch_tells_all_its_numbers(nodes: list[NodeHere]) -> None:
    with connected(nodes) as db:
        users = db.collection("users")
        keys = [b"batch %d" % number for number in range(12)]
        numbers = users.put_many([(key, {"n": -1}) for key in keys])
        assert [users.record(key).sequence for key in keys] == list(numbers)  # type: ignore[union-attr]
        assert max(users.record_counts()) * 3 >= users.next_sequence > max(numbers)
        body = json.dumps({"items": [{"key": f"more {n}", "value": '{"n": -1}'} for n in range(6)]}).encode()
        told = nodes[0].ask("POST", f"{USERS}/batch", body).json
        assert told["count"] == 6
        assert told["sequences"] == [users.record(b"more %d" % n).sequence for n in range(6)]  # type: ignore[union-attr]


def test_blocks_and_records_are_listed_over_gaps(nodes: list[NodeHere]) -> None:
    with connected(nodes) as db:
        users = db.collection("users")
        blocks = list(users.blocks())
        assert [block.number for block in users.blocks(reverse=True)] == [block.number for block in blocks][::-1]
        for block in (blocks[0], blocks[-1]):
            own = db.collection(f"users:{block.number % 3}").block(block.number // 3)
            assert (own.hash, own.size) == (block.hash, block.size)
            numbers = [record.sequence for record in users.block_records(block.number)]
            assert numbers == list(range(block.first_sequence, block.last_sequence + 1, 3))
        numbers = [record.sequence for record in users.records()]
        assert [record.sequence for record in users.records(numbers[5], 9)] == numbers[5:14]
        with pytest.raises(blockdb.BlockNotFound):
            users.block(3 * 10_000)


def test_a_change_stream_goes_on_after_an_event(nodes: list[NodeHere]) -> None:
    with connected(nodes) as db:
        users = db.collection("users")
        feed = users.watch(after=-1, timeout_s=10)
        seen = [next(feed).record.key for _ in range(25)]
        position = feed.position
        feed.stop()
        assert isinstance(position, str)
        rest = users.count() - 25
        for ask in (f"after=-1&timeout_s=2&token={position}", "after=-1&timeout_s=2"):
            lines = (
                nodes[0]
                .ask("GET", f"{USERS}/watch?{ask}", accept="text/event-stream", **{"Last-Event-ID": position})
                .body.decode()
            )
            changes = [
                json.loads(line.removeprefix("data: ")) for line in lines.splitlines() if line.startswith("data: ")
            ]
            keys = [each["change"]["record"]["key"].encode() for each in changes if each.get("change")]
            assert sorted(seen + keys) == sorted(users.keys())
            assert len(keys) == rest
        with pytest.raises(InvalidData, match="users:0"):
            users.watch(after=5)


def test_what_one_key_proves_is_checked_offline(nodes: list[NodeHere]) -> None:
    with connected(nodes) as db:
        users = db.collection("users")
        for key in KEYS[:5]:
            verified = blockdb.verify_receipt(users.prove(key).text, db.verifier_key())
            assert [record.key for record in verified.records] == [key]
            assert not blockdb.verify_receipt(users.prove_absent(b"not " + key).text, db.verifier_key()).records


def test_the_past_is_read_by_number_and_time(nodes: list[NodeHere]) -> None:
    with connected(nodes[-1:]) as db:
        users = db.collection("users")
        record = users.record(KEYS[30])
        assert record is not None
        there = set(users.keys(as_of=AsOf(sequence=record.sequence)))
        own = {
            r.key for r in users.records() if r.sequence % 3 == record.sequence % 3 and r.sequence <= record.sequence
        }
        assert own <= there
        assert set(users.keys(as_of=AsOf(time_ms=record.time_ms))) >= there
        assert users.count(where="n >= 0", as_of=AsOf(sequence=record.sequence)) <= len(there)
        assert users.verify().valid
        assert users.stats().partitions == 3


def test_a_client_that_believes_nothing_is_told_why_it_cannot_follow(nodes: list[NodeHere]) -> None:
    with pytest.raises(blockdb.InvalidProof, match=r"of a partition.*verify_receipt"):
        connected(nodes, verified=True)
