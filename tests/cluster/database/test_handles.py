"""The handles of a cluster's database, on two nodes that share a log."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from os import urandom
from pathlib import Path
from threading import Thread

import pytest

import blockdb
from blockdb.cluster.database.collection import schema_text
from blockdb.cluster.database.context import already_confirmed, as_request, reading
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.lone import LoneLog
from blockdb.cluster.machine.commands import SetSchema, encode
from blockdb.cluster.machine.holding import key_of
from blockdb.cluster.replicated_log import Snapshot
from blockdb.config import from_settings
from blockdb.errors import (
    CollectionNotFound,
    ConfigError,
    DatabaseClosed,
    DatabaseLocked,
    DatabaseNotFound,
    DuplicateKey,
    IdempotencyConflict,
    InvalidData,
    Unavailable,
)
from blockdb.format.consensus import Member
from tests.cluster.shared_log import SharedLog, SharedLogMember

Nodes = tuple[ReplicatedDatabase, ReplicatedDatabase]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes of a cluster. Each test has keys and collections of its own."""
    root, shared, found = tmp_path_factory.mktemp("nodes"), SharedLog(), []
    with ExitStack() as stack:
        for number in range(2):
            config = from_settings(
                {"data_dir": str(root / f"{number}"), "blockchain_batch_size": 5, "redactable": True}
            )
            log = SharedLogMember(shared, f"node{number}")
            found.append(stack.enter_context(open_replicated(config, log, patience_s=10)))
        yield found[0], found[1]


@pytest.fixture
def key(request: pytest.FixtureRequest) -> bytes:
    """A key that no other test has."""
    return str(request.node.name).encode()


def member(db: ReplicatedDatabase) -> SharedLogMember:
    log = db.log
    assert isinstance(log, SharedLogMember)
    return log


def test_what_one_node_stores_the_other_one_has(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    assert one.id == two.id
    sequence = one.put(key, b"value")
    assert two.record(key) == one.record(key)
    with pytest.raises(DuplicateKey):
        two.put(key, b"other")
    assert two.put_many([(key + b"1", b""), (key + b"2", b"")]) == range(sequence + 1, sequence + 3)
    assert one.put_many([]) == range(sequence + 3, sequence + 3)
    stored = one.put_each([(key + b"3", b""), (key, b""), (b"", b"")])
    assert stored[0] == sequence + 3
    assert [type(each) for each in stored[1:]] == [DuplicateKey, InvalidData]
    assert two.next_sequence == sequence + 4


def test_collections_come_and_go_on_both(nodes: Nodes) -> None:
    one, two = nodes
    schema = {"fields": {"n": {"field_type": "Integer"}}}
    made = one.create_collection("things", schema=schema, settings={"ttl_seconds": 1000}, created_by="me")
    assert not two.has_collection("nothing")
    other = two.collection("things")
    assert (other.id, other.describe().created_by) == (made.id, "me")
    assert made.put(b"a", {"n": 1}) == 0
    other.create_index("by_n", "n", unique=True, by="her")
    assert [document.key for document in made.find("n = 1")] == [b"a"]
    with pytest.raises(blockdb.UniqueViolation):
        made.put(b"b", {"n": 1})
    wider = {"fields": {"n": {"field_type": "Integer"}, "m": {"field_type": "Integer"}}}
    assert other.set_schema(wider).version == 2
    assert made.schemas()[-1].version == 2
    made.drop_index("by_n")
    assert other.indexes() == ()
    assert two.drop_collection("things").stats.document_count == 1
    for handle in (made, other):
        with pytest.raises(CollectionNotFound):
            handle.get(b"a")
    with pytest.raises(CollectionNotFound):
        one.collection("things")
    with pytest.raises(ConfigError):
        one.create_collection("things", settings={"encryption_enabled": True})


def test_a_value_is_erased_on_both(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    one.put(key, b"secret")
    redaction = two.redact(key, reason="asked for", by="me")
    assert redaction.files == 1
    for db in nodes:
        with pytest.raises(blockdb.Redacted, match="asked for"):
            db.get(key)
    with pytest.raises(blockdb.Redacted):
        one.redact(key, reason="again")


def test_both_sign_the_same(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    one.put(key, b"value")
    assert one.verifier_key() == two.verifier_key()
    assert one.checkpoint() == two.checkpoint()
    assert one.prove_range(prefix=key).text == two.prove_range(prefix=key).text
    assert two.prove_absent(key + b"!")
    for db in nodes:
        [proven] = blockdb.verify_receipt(db.prove(key).text, two.verifier_key()).records
        assert proven.value == b"value"
    assert all(db.verify().valid for db in nodes)


def test_what_nobody_can_tell_is_asked_for_again_and_done_once(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    before = two.next_sequence
    member(one).uncertain = 3
    assert one.put(key, b"value") == before
    assert two.next_sequence == before + 1


def test_a_request_that_comes_again_at_another_node_gets_its_first_answer(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    sequences = []
    for db in (one, two, one):
        with as_request(key):
            sequences.append((db.put(key, b"value"), db.put(key + b"2", b"value")))
    assert len(set(sequences)) == 1
    with as_request(key), pytest.raises(IdempotencyConflict):
        two.put(key, b"another value")
    with pytest.raises(DuplicateKey):
        two.put(key, b"value")


def test_reads_wait_for_what_was_acknowledged_unless_they_may_be_local(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    seen: list[bytes | None] = []
    reader = Thread(target=lambda: seen.append(two.get(key)))
    with member(two).held_up():
        one.put(key, b"value")
        for context in (reading("Local"), already_confirmed()):
            with context:
                assert two.get(key) is None
        two.stats()
        reader.start()
        reader.join(0.05)
        assert not seen
    reader.join()
    assert seen == [b"value"]
    with pytest.raises(InvalidData, match="read_concern"), reading("Sometimes"):
        pass


def test_a_node_that_gets_no_answer_says_that_nobody_can_tell(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    two._front.patience_s, before = 0.05, two._front.patience_s
    try:
        with member(two).held_up():
            with pytest.raises(Unavailable, match="nobody can tell"):
                two.put(key, b"value")
            one.put(key + b"2", b"value")
            with pytest.raises(Unavailable):
                two.get(key)
    finally:
        two._front.patience_s = before
    assert one.get(key) == b"value", "it was decided all the same"


def test_a_transaction_is_on_both(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    with two.transaction() as transaction:
        assert transaction.get(key) is None
        transaction.put(key, b"value")
    assert one.get(key) == b"value"


def test_handles_survive_a_copy_that_takes_the_place_of_the_database(nodes: Nodes, key: bytes) -> None:
    one, two = nodes
    collection = two.create_collection("survivors")
    collection.put(key, b"value")
    assert one.collection("survivors").get(key) == b"value"
    with member(two).held_up():
        snapshot = one._front.machine.snapshot()
        data = b"".join(snapshot.chunks)
        two._front.machine.restore(Snapshot(snapshot.index, iter([data])))
        with reading("Local"):
            assert collection.get(key) == b"value"
    assert collection.get(key) == b"value"
    assert two.checkpoint() == one.checkpoint()
    collection.put(key + b"2", b"value")
    assert one.collection("survivors").exists(key + b"2")


def test_what_is_about_one_node(nodes: Nodes) -> None:
    one, two = nodes
    assert (one.is_leader(), two.is_leader(), two.get_leader()) == (True, False, "node0")
    two.audit_log()
    two.record_act("looked")
    two.journal_audit_log()
    assert [act.operation for act in two.acts()] == ["looked"]
    assert list(one.acts()) == []
    two.flush()
    two.compact()
    with two.backup() as backup:
        assert sum(map(len, backup))
    assert two.verify().valid
    assert set(two.open_collections()) >= {"default", "_journal"}


def test_all_nodes_sign_with_another_key(nodes: Nodes) -> None:
    one, two = nodes
    old, receipt = one.verifier_key(), one.prove(stored(one))
    new = two.rotate_key()
    assert new != old
    later = stored(two)
    assert (one.get(later), one.verifier_key(), two.verifier_key()) == (b"value", new, new)
    assert blockdb.verify_receipt(receipt.text, old).records
    for node in nodes:
        assert blockdb.verify_receipt(node.prove(later).text, new).records
        assert len(list(node.earlier_keys())) == 1
        assert node.verify().valid


SCHEMA = {"fields": {"n": {"field_type": "Integer"}}}


def test_old_records_are_held_against_a_schema_before_it_is_proposed(nodes: Nodes) -> None:
    one, two = nodes
    wrong, right = one.create_collection("wrong"), one.create_collection("right")
    wrong.put(b"a", b'{"n": "x"}')
    right.put(b"a", b'{"n": 1}')
    before = one.applied_index
    with pytest.raises(InvalidData, match="record 0, of key 'a', is not valid"):
        wrong.set_schema(SCHEMA)
    assert one.applied_index == before
    assert right.set_schema(SCHEMA).version == 1
    with pytest.raises(InvalidData):
        two.collection("right").put(b"b", b'{"n": "x"}')
    data = encode(bytes(16), 0, bytes(32), SetSchema(key_of(wrong.id), "me", schema_text(SCHEMA), known=1))
    one.log.append([data]).result(10)
    assert [each.version for each in two.collection("wrong").schemas()] == [1], "what was looked at counts"


def stored(node: ReplicatedDatabase) -> bytes:
    """The key of a new record."""
    key = urandom(8).hex().encode()
    node.put(key, b"value")
    return key


def test_after_the_end_nothing_is_answered(tmp_path: Path) -> None:
    config = from_settings({"data_dir": str(tmp_path / "db")})
    with open_replicated(config, LoneLog(Member("one")), adopt=True) as db:
        db.put(b"key", b"value")
    db.close()
    for use in (lambda: db.get(b"key"), lambda: db.put(b"other", b""), db.stats):
        with pytest.raises((DatabaseClosed, Unavailable)):
            use()
    with pytest.raises(DatabaseLocked, match="node of a cluster"):
        blockdb.open(tmp_path / "db")
    with blockdb.open(tmp_path / "db", read_only=True) as attached:
        assert attached.get(b"key") == b"value"
    shutil.rmtree(tmp_path / "db" / "raft")
    with blockdb.open(tmp_path / "db") as plain:
        plain.put(b"other", b"value")


def test_what_cannot_be_a_node(tmp_path: Path) -> None:
    log = LoneLog(Member("one"))
    with pytest.raises(ConfigError, match="key_file"):
        open_replicated(from_settings({"data_dir": str(tmp_path / "a"), "key_file": str(tmp_path / "key")}), log)
    blockdb.open(tmp_path / "b").close()
    with pytest.raises(DatabaseNotFound, match="--bootstrap"):
        open_replicated(from_settings({"data_dir": str(tmp_path / "b")}), log)
    follower = SharedLogMember(SharedLog(), "node1")
    with pytest.raises(Unavailable, match="not formed"):
        open_replicated(from_settings({"data_dir": str(tmp_path / "c")}), follower, formation_s=0.05)
