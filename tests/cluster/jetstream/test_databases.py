"""Databases over a stream: one that is damaged, or whose history is another one, gets that of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from blockdb.cluster.replicated_log import Command
from blockdb.errors import BlockDBError
from tests.cluster.conformance import settle, until
from tests.cluster.jetstream.databases import BLOCK, Databases
from tests.cluster.jetstream.streamed import Place, needs_nats

pytestmark = [needs_nats, pytest.mark.torture]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"), 3, servers=1)
    yield made
    made.close()


@pytest.fixture
def nodes(place: Place, tmp_path: Path) -> Iterator[Databases]:
    made = Databases(place, tmp_path, compact_entries=20, keep_entries=5)
    yield made
    made.close()


def state_of(nodes: Databases, id_: str) -> list[tuple[bytes, bytes, str]]:
    """Records and blocks of a node."""
    database = nodes.dbs[id_]
    blocks = {number: block.hash.hex() for number, block in enumerate(database.blocks())}
    return [
        (each.key, bytes(each.value), blocks.get(number // BLOCK, "")) for number, each in enumerate(database.records())
    ]


def same(nodes: Databases) -> None:
    """All have the same, and nothing is wrong with it."""
    settle(nodes)  # type: ignore[arg-type]
    first, *rest = (state_of(nodes, id_) for id_ in nodes.dbs)
    assert all(other == first for other in rest)
    assert all(database.verify().valid for database in nodes.dbs.values())


def put(nodes: Databases, first: int, count: int, id_: str = "node1") -> None:
    nodes.dbs[id_].put_many([(b"%06d" % number, b"value %d" % number) for number in range(first, first + count)])


def test_a_database_with_another_history_says_where_and_gets_that_of_the_others(
    nodes: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(nodes, 0, 130)
    settle(nodes)  # type: ignore[arg-type]
    machine = nodes.dbs["node2"]._front.machine
    applied = machine.apply

    def tampering(commands: Sequence[Command]) -> None:
        applied([_tampered(command) for command in commands])

    monkeypatch.setattr(machine, "apply", tampering)
    nodes.dbs["node1"].put(b"one", b"as it should be")
    put(nodes, 200, 100)
    until(lambda: any(event.kind == "mended" for event in nodes.events), "it gets a copy")
    told = [event.what for event in nodes.events if event.kind == "diverged" and event.node_id == "node2"]
    assert any("block 1 of the collection default" in what and what.endswith("record 130") for what in told), told
    put(nodes, 400, 120, "node3")
    same(nodes)
    assert nodes.dbs["node2"].get(b"one") == b"as it should be"
    assert list((nodes.root / "node2" / "quarantine").iterdir())


def _tampered(command: Command) -> Command:
    return Command(command.index, command.term, command.data.replace(b"as it should be", b"as it shall not"))


@pytest.mark.parametrize("what", ["manifest", "mark"])
def test_a_database_that_is_damaged_gets_a_copy(nodes: Databases, what: str) -> None:
    put(nodes, 0, 150)
    settle(nodes)  # type: ignore[arg-type]
    nodes.stop("node2")
    root = nodes.root / "node2"
    largest = max(root.glob("collections/*/chain/*"), key=lambda path: path.stat().st_size)
    path = root / "raft" / "applied" if what == "mark" else largest.parent.parent / "manifest.toml"
    path.write_bytes(path.read_bytes()[:-5] + b"?????")
    put(nodes, 200, 50)
    nodes.start("node2")
    until(lambda: is_there(nodes, b"000249"), "it serves again")
    put(nodes, 300, 50, "node2")
    same(nodes)


def is_there(nodes: Databases, key: bytes) -> bool:
    try:
        return nodes.dbs["node2"].get(key) is not None
    except BlockDBError:
        return False


def test_who_comes_when_the_stream_was_trimmed_gets_a_copy(nodes: Databases) -> None:
    for number in range(60):
        put(nodes, 1_000 * number, 20)
    until(lambda: nodes.logs["node1"].status().first_index > 20_000, "the stream was trimmed")
    nodes.stop("node3")
    for part in ("collections", "global_metadata", "raft", "keys"):
        (nodes.root / "node3" / part).rename(nodes.root / f"gone-{part}")
    nodes.start("node3")
    put(nodes, 100_000, 5, "node3")
    same(nodes)
