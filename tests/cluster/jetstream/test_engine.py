"""The engine over a NATS that is there already: rosters, streams, questions, and what it says when it cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.jetstream.names import Names, escaped
from blockdb.cluster.partitions.engine import ROOT
from blockdb.errors import ConfigError, InvalidData, Unavailable
from blockdb.format.consensus import Member, Members, Role
from tests.cluster.conformance import until
from tests.cluster.jetstream.nodes import Outside, engine, member, outside, settings_for, started
from tests.ports import free_port

MIB = 1 << 20


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def two(nats: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JetStreamEngine, JetStreamEngine]]:
    root, (a, b) = tmp_path_factory.mktemp("nodes"), (member("a"), member("b.2"))
    both = Members((a, b))
    with (
        started(settings_for(root, a, nats.url, bootstrap=both)) as first,
        started(settings_for(root, b, nats.url, bootstrap=both)) as second,
    ):
        yield first, second


@pytest.fixture
def partition(two: tuple[JetStreamEngine, JetStreamEngine]) -> str:
    """One that was made by the first, and that the second knows."""
    name = f"{uuid4().hex}-0"
    two[0].create(name, Members((two[0].own,)), 3)
    until(lambda: name in two[1].rosters(), "the roster is known everywhere")
    return name


def test_root_is_there_once_the_engine_is_started(two: tuple[JetStreamEngine, JetStreamEngine]) -> None:
    for each in two:
        assert [member.id for member in each.rosters()[ROOT].all] == ["a", "b.2"]
    state = two[0].shared.streams.state(ROOT)
    assert state is not None
    assert (state.replicas, state.wanted, state.last_sequence) == (1, 3, 0)


def test_names_stay_apart() -> None:
    assert len({escaped(name) for name in ("a.b", "a_b", "a_db", "a__b", "a_.b")}) == 5
    assert not Names("a").is_ours(Names("a-b").stream(ROOT))
    assert Names("a-b").is_ours(Names("a-b").stream(ROOT))


def test_a_partition_is_made_once_and_goes_for_good(
    two: tuple[JetStreamEngine, JetStreamEngine], partition: str
) -> None:
    first, second = two
    holders = first.rosters()[partition]
    second.create(partition, Members((second.own,)), 1)
    assert second.rosters()[partition] == holders, "a roster that is there stays"
    second.remove(partition)
    until(lambda: partition not in first.rosters(), "the others know that it is gone")
    assert first.shared.streams.state(partition) is None
    first.remove(partition)
    first.create(partition, Members((first.own,)), 1)
    assert partition in first.rosters()


def test_changes_at_once_are_all_kept(two: tuple[JetStreamEngine, JetStreamEngine], partition: str) -> None:
    together = Barrier(8)

    def join(number: int) -> None:
        together.wait()
        rosters = two[number % 2].shared.rosters
        rosters.change(partition, lambda old: (old or Members()).with_member(Member(f"node{number}")))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(join, range(8)))
    joined = {f"node{number}" for number in range(8)} | {"a"}
    for each in two:
        until(lambda each=each: each.rosters()[partition].voters == joined, "all are in it, for everybody")


def test_a_change_that_changes_nothing_is_not_written(
    two: tuple[JetStreamEngine, JetStreamEngine], partition: str
) -> None:
    told: list[None] = []
    end = two[0].watch(lambda: told.append(None))
    assert two[0].shared.rosters.change(partition, lambda old: old) == two[0].rosters()[partition]
    assert not told
    two[1].shared.rosters.change(partition, lambda _: Members((Member("x", role=Role.LEARNER),)))
    until(lambda: bool(told), "who watches is told")
    assert two[0].rosters()[partition].get("x") == Member("x", role=Role.LEARNER)
    end()


def test_notes_are_everybodys(two: tuple[JetStreamEngine, JetStreamEngine], partition: str) -> None:
    first, second = (each.shared.rosters for each in two)
    first.note("durable", partition, "a", 7)
    second.note("durable", partition, "b.2", 8)
    second.note("durable", partition, "b.2", 9)
    for each in (first, second):
        until(lambda each=each: each.noted("durable", partition) == {"a": 7, "b.2": 9}, "the newest are known")
    assert first.noted("other", partition) == {}
    two[0].remove(partition)
    until(lambda: not second.noted("durable", partition), "they go with the partition")


def test_a_question_is_answered_by_a_holder(two: tuple[JetStreamEngine, JetStreamEngine], partition: str) -> None:
    first, second = two
    with pytest.raises(Unavailable, match="No node answers"):
        first.ask(partition, b"anybody?", 1).result(30)  # a machine that is busy says so late
    asked = first.ask(partition, b"anybody?", 20)
    end = second.answer(partition, lambda question: question[::-1])
    assert asked.result(20) == b"?ydobyna", "who asks waits for somebody to be there"
    for size in (0, 1, MIB - 4_096, MIB, 3 * MIB):
        question = os.urandom(size)
        assert first.ask(partition, question, 20).result(20) == question[::-1]
    end()


def test_a_handler_that_fails_is_silence(two: tuple[JetStreamEngine, JetStreamEngine], partition: str) -> None:
    asked: list[bytes] = []

    def fail(question: bytes) -> bytes:
        asked.append(question)
        raise InvalidData("no")

    two[1].answer(partition, fail)
    with pytest.raises(Unavailable, match="gave no answer"):
        two[0].ask(partition, b"?", 0.3).result(5)
    assert asked == [b"?"], "it is asked once"


def test_messages_before_a_place_are_trimmed(two: tuple[JetStreamEngine, JetStreamEngine], partition: str) -> None:
    shared = two[0].shared
    for number in range(5):
        shared.connection.wait(
            shared.connection.client.request(shared.names.subject("log", partition), b"%d" % number), 5
        )
    shared.streams.trim(partition, 4)
    state = shared.streams.state(partition)
    assert state is not None
    assert (state.first_sequence, state.last_sequence, state.messages) == (4, 5, 2)
    group = next(group for group in two[0].look() if group.partition == partition)
    assert (group.first_sequence, group.last_sequence, group.mirror_lag) == (4, 5, None)


def test_clusters_that_share_a_nats_do_not_meet(
    nats: Outside, two: tuple[JetStreamEngine, JetStreamEngine], tmp_path: Path
) -> None:
    with started(settings_for(tmp_path, member("a"), nats.url, cluster_id="another")) as other:
        assert list(other.rosters()) == [ROOT]
        assert other.rosters()[ROOT] != two[0].rosters()[ROOT]
        assert {group.partition for group in other.look()} == {ROOT, "rosters"}


def test_who_joins_is_a_learner_until_it_has_caught_up(
    nats: Outside, two: tuple[JetStreamEngine, JetStreamEngine], tmp_path: Path
) -> None:
    own = member("late")
    with started(settings_for(tmp_path, own, nats.url, join=("127.0.0.1:1",))) as late:
        assert late.rosters()[ROOT].get("late") == Member("late", own.address, own.peer_address, Role.LEARNER)
    two[0].shared.rosters.change(ROOT, lambda roster: roster and roster.without("late"))
    (tmp_path / "late" / "global_metadata").mkdir()
    (tmp_path / "late" / "global_metadata" / "collections.toml").touch()
    with started(settings_for(tmp_path, own, nats.url, join=("127.0.0.1:1",))) as late:
        assert "late" not in late.rosters()[ROOT], "who was removed does not come back by itself"


def test_rosters_are_followed_through_a_restart_of_nats(tmp_path: Path) -> None:
    own = member("a")
    with outside(tmp_path) as server, started(settings_for(tmp_path, own, server.url)) as running:
        events = []
        running.subscribe(events.append)
        changed: list[None] = []
        server.stop()
        until(lambda: bool(events), "it is told that the connection is lost")
        with pytest.raises(Unavailable):
            running.shared.connection.wait(running.shared.connection.api("INFO", timeout_s=0.2), 1)
        server.start()
        until(lambda: len(events) == 2, "it is told that there is one again")
        with started(settings_for(tmp_path, member("b"), server.url)) as other:
            running.watch(lambda: changed.append(None))
            other.create("later", Members((own,)), 1)
            until(lambda: "later" in running.rosters(), "what is changed afterwards is known", 8)
        assert [event.kind for event in events] == ["contact", "contact"]
        assert changed


@pytest.mark.parametrize(
    ("settings", "user", "words"),
    [
        ({"authorization": {"user": "u", "password": "right"}}, "u:wrong@", "refuses this node.*nats_credentials"),
        ({"jetstream": False}, "", "no JetStream"),
    ],
)
def test_a_nats_that_does_not_do(tmp_path: Path, settings: dict[str, object], user: str, words: str) -> None:
    with outside(tmp_path, **settings) as server:
        url = server.url.replace("nats://", f"nats://{user}")
        with pytest.raises(ConfigError, match=words):
            engine(settings_for(tmp_path, member("a"), url)).start()


def test_a_nats_that_is_not_there(tmp_path: Path) -> None:
    url = f"nats://user:secret@127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match="No NATS server answers at nats://127") as caught:
        engine(settings_for(tmp_path, member("a"), url, start_timeout_s=0.3)).start()
    assert "secret" not in str(caught.value)


def test_a_cluster_that_nobody_began(nats: Outside, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, member("a"), nats.url, cluster_id="nowhere", join=("127.0.0.1:1",), start_timeout_s=0.5
    )
    with pytest.raises(Unavailable, match="no cluster nowhere"):
        engine(settings).start()
