"""What single commands do, what is refused, and what a machine says when it cannot go on."""

from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.machine.outcomes import Outcomes
from blockdb.cluster.replicated_log import Command
from blockdb.errors import (
    Corruption,
    DatabaseClosed,
    DatabaseNotFound,
    DuplicateKey,
    IdempotencyConflict,
    InvalidData,
    StorageError,
    Unavailable,
    UnsupportedFormat,
)
from tests.cluster.machine.world import SCHEMA, Log, apply_all, machine_at, state_of
from tests.storage.doors import TroubledDoor


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = machine_at(tmp_path / "db")
    yield machine
    machine.close()


def outcome(machine: Machine, log: Log) -> Any:
    """What became of the last command of the log."""
    apply_all(machine, log.commands)
    envelope, content = commands.decode(log.commands[-1].data)
    digest = commands.digest_of(commands.lasting(content, bytes(envelope.content)))
    return machine.outcomes.expect(envelope.id, digest).result(0)


def test_before_there_is_a_database_nothing_is_found(machine: Machine, log: Log) -> None:
    log.commands.clear()
    log.put(b"key", b"value")
    apply_all(machine, log.commands)
    assert (machine.has_database, machine.applied_index, len(machine.outcomes)) == (False, 1, 0)
    with pytest.raises(Unavailable, match="no database yet"):
        _ = machine.database


def test_only_the_first_beginning_counts(machine: Machine, log: Log) -> None:
    apply_all(machine, log.commands)
    before = state_of(machine)["default"]
    log.add(commands.Genesis(7, redactable=True, encrypted=False))
    with pytest.raises(InvalidData, match="already"):
        outcome(machine, log)
    assert state_of(machine)["default"] == before


def test_what_comes_again_has_its_first_outcome(machine: Machine, log: Log) -> None:
    log.put(b"key", b"value")
    assert outcome(machine, log) == 0
    log.put(b"other", b"value")
    log.again(1)
    assert outcome(machine, log) == 0
    log.put(b"key", b"value")
    with pytest.raises(DuplicateKey):
        outcome(machine, log)
    log.again(4)
    with pytest.raises(DuplicateKey):
        outcome(machine, log)
    assert machine.database.next_sequence == 2


def test_another_command_under_an_id_is_a_conflict_and_does_nothing(machine: Machine, log: Log) -> None:
    id_ = log.put(b"key", b"value")
    log.add(commands.Put(log.collections["default"], b"another", b""), id_)
    with pytest.raises(IdempotencyConflict):
        outcome(machine, log)
    assert not machine.database.exists(b"another")


def test_an_outcome_costs_no_more_where_the_oldest_have_to_go() -> None:
    outcomes = Outcomes(60_000)
    outcomes.are_kept = True

    def took_s(first: int, count: int) -> float:
        began_s = process_time()
        for number in range(first, first + count):
            outcomes.add(number.to_bytes(16, "big"), b"digest..", number)
        return process_time() - began_s

    into_an_empty_one, into_a_full_one = took_s(0, 60_000), took_s(60_000, 60_000)
    assert len(outcomes) == 60_000
    assert [each.value for each in outcomes.all()[::59_999]] == [60_000, 119_999]
    assert into_a_full_one < 4 * into_an_empty_one  # where they are looked for it is ten times as much


def test_the_oldest_outcomes_go_whatever_the_batches_are(tmp_path: Path, log: Log) -> None:
    for number in range(8):
        log.put(b"key%d" % number, b"")
    log.again(3)
    log.again(8)
    one, other = (machine_at(tmp_path / name, most_outcomes=4) for name in ("one", "other"))
    one.apply(log.commands[:5])
    one.apply(log.commands[5:])
    for command in log.commands:
        other.apply([command])
    assert len(one.outcomes) == 4
    assert state_of(one) == state_of(other)
    one.close()
    other.close()


def test_what_comes_twice_in_a_command_is_stored_once(machine: Machine, log: Log) -> None:
    items = [(b"a" * 16, b"one", b""), (b"b" * 16, b"two", b""), (b"a" * 16, b"three", b""), (b"c" * 16, b"two", b"")]
    log.add(commands.PutEach(log.collections["default"], tuple(items)))
    apply_all(machine, log.commands)
    assert [record.key for record in machine.database.records()] == [b"one", b"two"]
    assert [bool(each.failure) for each in machine.outcomes.all()] == [False, False, False, True]


def test_time_never_goes_back(machine: Machine, log: Log) -> None:
    log.put(b"a", b"")
    log.now_ms -= 1_000_000
    log.put(b"b", b"")
    apply_all(machine, log.commands)
    first, second = machine.database.records()
    assert first.time_ms == second.time_ms


def test_who_waits_is_told_once_it_is_applied(machine: Machine, log: Log) -> None:
    id_ = log.put(b"key", b"value")
    digest = commands.digest_of(commands.encode_content(commands.Put(log.collections["default"], b"key", b"value")))
    waiting, forgotten = (machine.outcomes.expect(id_, digest) for _ in range(2))
    machine.outcomes.forget(id_, forgotten)
    apply_all(machine, log.commands)
    assert waiting.result(0) == 0
    assert not forgotten.done()
    assert machine.outcomes.expect(id_, digest).result(0) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        commands.encode(bytes(16), 0, b"", commands.RecordState())[:-1],
        commands.encode(bytes(15), 0, b"", commands.RecordState()),
        b"\x95\x02" + commands.encode(bytes(16), 0, b"", commands.RecordState())[2:],
        commands.encode(bytes(16), 0, b"", commands.RecordState()).replace(b"\x92\x0b\x90", b"\x92\x7f\x90"),
    ],
)
def test_a_command_that_is_not_understood_stops_the_node(machine: Machine, log: Log, data: bytes) -> None:
    apply_all(machine, log.commands)
    with pytest.raises(UnsupportedFormat, match="upgrade this node"):
        machine.apply([Command(2, 1, data)])
    with pytest.raises(UnsupportedFormat):
        machine.apply([Command(2, 1, log.commands[0].data)])
    assert machine.applied_index == 1
    assert machine.database.get(b"key") is None  # what there is can be read


def test_a_disk_that_fails_stops_the_node_and_what_it_has_can_be_read(tmp_path: Path, log: Log) -> None:
    door = TroubledDoor()
    machine = machine_at(tmp_path / "db", door=door)
    log.put(b"a", b"value")
    apply_all(machine, log.commands)
    log.put(b"b", b"value")
    door.failing["write"] = 28
    waiting = machine.outcomes.expect(b"b" * 16, b"")
    with pytest.raises(StorageError):
        apply_all(machine, log.commands)
    with pytest.raises(StorageError):
        waiting.result(0)
    assert not machine.needs_copy
    assert machine.database.get(b"a") == b"value"
    door.failing.clear()
    machine.close()
    again = machine_at(tmp_path / "db")
    apply_all(again, log.commands)
    assert again.database.get(b"b") == b"value"
    again.close()


def test_after_its_end_it_serves_nothing(machine: Machine, log: Log) -> None:
    apply_all(machine, log.commands)
    machine.close()
    machine.close()
    with pytest.raises(DatabaseClosed):
        _ = machine.database
    with pytest.raises(DatabaseClosed):
        machine.apply(log.commands)


def test_a_database_that_belongs_to_no_cluster_is_not_touched(tmp_path: Path) -> None:
    import blockdb

    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
    with pytest.raises(DatabaseNotFound, match="--bootstrap"):
        machine_at(tmp_path / "db")
    adopted = machine_at(tmp_path / "db", adopt=True)
    assert (adopted.applied_index, adopted.database.get(b"key")) == (1, b"value")
    adopted.close()
    again = machine_at(tmp_path / "db")
    assert (again.applied_index, again.is_ahead) == (1, False)
    again.close()


def test_records_that_the_log_does_not_tell_of_are_found(tmp_path: Path, log: Log) -> None:
    machine = machine_at(tmp_path / "db")
    log.put(b"a", b"")
    apply_all(machine, log.commands)
    machine.database._store.put(b"b", b"")  # type: ignore[union-attr]  # a bug, or somebody else
    machine._holding.abandon()
    machine = machine_at(tmp_path / "db")
    assert machine.is_ahead
    log.put(b"c", b"")
    with pytest.raises(Corruption, match="not the one that the log"):
        apply_all(machine, log.commands)
    assert machine.needs_copy
    machine.close()


def test_what_was_redacted_is_to_leave_the_log_too(tmp_path: Path) -> None:
    log = Log(redactable=True)
    log.put(b"key", b"value")
    log.add(commands.Redact(log.collections["default"], "me", (b"key",), "asked for"))
    machine = machine_at(tmp_path / "db")
    assert outcome(machine, log) == [0]
    assert machine.erased_index == 3
    log.add(commands.Redact(log.collections["default"], "me", (b"nothing",), "asked for"))
    apply_all(machine, log.commands)
    assert machine.erased_index == 3
    machine.close()
    machine = machine_at(tmp_path / "db")
    assert machine.erased_index == 3
    machine.close()


def test_salts_and_ids_follow_from_the_chance_of_commands(tmp_path: Path) -> None:
    log = Log(redactable=True)
    for number in range(3):
        log.put(b"key%d" % number, b"the same")
    items = tuple((bytes([number]) * 16, b"each%d" % number, b"the same") for number in range(2))
    log.add(commands.PutEach(log.collections["default"], items))
    log.add(commands.PutMany(log.collections["default"], ((b"m1", b"the same"), (b"m2", b"the same"))))
    machine = machine_at(tmp_path / "db")
    apply_all(machine, log.commands)
    reader = machine.core.catalog.reader(machine.database.id)
    salts = {body[-24:-8] for body in reader.history().bodies(0, 10)}
    assert len(salts) == 7
    data = commands.encode(bytes(16), 0, b"", commands.Put(log.collections["default"], b"x", b""))
    machine.apply([Command(len(log.commands) + 1, 1, data)])
    assert not machine.database.exists(b"x")
    machine.close()


def test_a_schema_and_its_indexes_come_with_the_collection(machine: Machine, log: Log) -> None:
    log.create("users", SCHEMA)
    apply_all(machine, log.commands)
    users = machine.database.collection("users")
    assert [index.name for index in users.indexes()] == ["by_n"]
    journal = machine._holding.journal()
    assert [event["event"] for _, event in journal.events()] == ["create", "index created", "schema set"]
    assert machine.database.verify().valid


def token(number: int, name: str, **more: Any) -> commands.CreateToken:
    return commands.CreateToken(f"{number:016x}", name, "writer", bytes([number]) * 32, **more)


def test_tokens_are_kept_and_revoked(tmp_path: Path, log: Log) -> None:
    machine = machine_at(tmp_path / "db")
    log.add(token(1, "one", collections=("users",), prefix=b"u:", expires_ms=1 << 50))
    made = outcome(machine, log)
    assert (made["name"], made["sha256"]) == ("one", "01" * 32)
    log.add(token(2, "two"))
    apply_all(machine, log.commands)
    first, second = machine.tokens
    assert (first.collections, first.prefix, first.expires_ms) == (frozenset({"users"}), b"u:", 1 << 50)
    assert second.created_ms == machine._holding.time_ms
    machine.close()
    machine = machine_at(tmp_path / "db")
    assert machine.tokens == (first, second)
    log.add(commands.RevokeToken(first.id))
    assert outcome(machine, log)["id"] == first.id
    assert machine.tokens == (second,)
    machine.close()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (token(1, "two"), "named 'two'"),
        (token(2, "three"), "with the id"),
        (token(1, "one", expires_ms=1), "expired already"),
        (token(1, ""), "cannot be called"),
        (token(1, "one", collections=("../x",)), "name"),
        (commands.CreateToken("x", "one", "writer", bytes(32)), "hexadecimal"),
        (commands.CreateToken("0" * 16, "one", "writer", b"plain"), "SHA-256"),
        (commands.RevokeToken("0" * 16), "no token with the id"),
    ],
)
def test_tokens_that_cannot_be(machine: Machine, log: Log, content: Any, why: str) -> None:
    log.add(token(2, "two"))
    apply_all(machine, log.commands)
    before = machine.tokens
    log.add(content)
    with pytest.raises(InvalidData, match=why):
        outcome(machine, log)
    assert machine.tokens is before
