"""Copies for other nodes: they make a node what another one is, or change nothing, at whatever moment it dies."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.machine import Machine
from blockdb.errors import InvalidData, StorageError, Unavailable
from blockdb.layout import DatabaseFiles
from tests.cluster.machine.histories import random_log
from tests.cluster.machine.world import SETTINGS, Killer, Log, apply_all, check_whole, machine_at, state_of, transferred
from tests.tiers import tiers


def some_log(**kind: Any) -> Log:
    log = Log(**kind)
    log.create("users")
    log.create("empty")
    log.create("gone")
    log.put(b"key", b"", "gone")
    log.add(commands.DropCollection(log.collections["gone"], "me"))
    for number in range(10):
        log.put(b"key%d" % number, b"value")
        log.put(b"user%d" % number, b"{}", "users")
    return log


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Machine]:
    machine = machine_at(tmp_path / "source")
    apply_all(machine, some_log().commands)
    yield machine
    machine.close()


@pytest.mark.parametrize(("kind", "lacks"), [({}, 22), ({}, 9), ({"redactable": True, "encrypted": True}, 22)])
def test_an_empty_or_a_lagging_node_becomes_what_another_one_is(
    tmp_path: Path, kind: dict[str, Any], lacks: int
) -> None:
    settings = {"encryption_enabled": True} if kind else {}
    one, other = machine_at(tmp_path / "one", **settings), machine_at(tmp_path / "other", **settings)
    log = some_log(**kind)
    apply_all(one, log.commands)
    apply_all(other, log.commands[: len(log.commands) - lacks])
    told: list[object] = []
    other.on_database = told.append
    transferred(one, other)
    assert told == [other.database]
    assert other.applied_index == one.applied_index
    for number in range(5):
        log.put(b"more%d" % number, b"value")
    log.again(5)
    for machine in (one, other):
        apply_all(machine, log.commands)
    assert state_of(one) == state_of(other)
    check_whole(other)
    other.close()
    again = machine_at(tmp_path / "other", **settings)
    assert state_of(one) == state_of(again)
    again.close()
    one.close()


def test_commands_go_on_being_applied_while_a_copy_is_read(tmp_path: Path, source: Machine) -> None:
    before = state_of(source)
    snapshot = source.snapshot()
    log = some_log()
    log.put(b"later", b"value")
    apply_all(source, log.commands)
    target = machine_at(tmp_path / "target")
    target.restore(snapshot)
    assert target.applied_index == len(log.commands) - 1
    assert state_of(target) == before
    target.close()


def test_a_node_keeps_what_is_its_own(tmp_path: Path, source: Machine) -> None:
    log = some_log()
    log.add(commands.RecordState())
    apply_all(source, log.commands)
    source.database.audit_log()
    source.database.record_act("elsewhere")
    target = machine_at(tmp_path / "target")
    apply_all(target, log.commands)
    target.database.audit_log()
    target.database.record_act("here")
    target.database.add_anchor(tmp_path / "anchor")
    transferred(source, target)
    assert [act.operation for act in target.database.acts()] == ["here"]
    assert [anchor.where for anchor in target.database.anchors()] == [str(tmp_path / "anchor")]
    check_whole(target)
    target.close()


def damaged(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data))
    kind = chance.randrange(3)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    return data + b"more"


@pytest.mark.parametrize("seed", tiers(range(3), range(3, 300)))
def test_a_damaged_copy_changes_nothing(tmp_path: Path, source: Machine, seed: int) -> None:
    chance = Random(seed)
    target = machine_at(tmp_path / "target")
    apply_all(target, some_log().commands[:8])
    before = state_of(target)
    with pytest.raises((InvalidData, StorageError)):
        transferred(source, target, lambda data: damaged(data, chance))
    assert state_of(target) == before
    assert not list(DatabaseFiles(tmp_path / "target").raft.root.glob("incoming*"))
    transferred(source, target)
    assert state_of(target) == state_of(source)
    target.close()


def test_a_copy_of_another_database_is_refused(tmp_path: Path, source: Machine) -> None:
    other = Log()
    other.commands.clear()
    other.commands.append(some_log().commands[0])
    stranger = machine_at(tmp_path / "stranger")
    data = commands.encode(bytes(16), 5, b"\7" * 32, commands.Genesis(4, redactable=False, encrypted=False))
    stranger.apply([other.commands[0].__class__(1, 1, data)])
    with pytest.raises(InvalidData, match="another database"):
        transferred(source, stranger)
    assert stranger.applied_index == 1
    stranger.close()


def test_a_node_without_a_database_has_nothing_to_copy(tmp_path: Path) -> None:
    machine = machine_at(tmp_path / "empty")
    with pytest.raises(Unavailable):
        machine.snapshot()
    machine.close()


@pytest.mark.parametrize("operation", tiers([61, 75], range(1, 140)))
def test_death_while_it_is_taken_over_leaves_the_old_one_or_the_new(
    tmp_path: Path, source: Machine, operation: int
) -> None:
    path, image = tmp_path / "target", tmp_path / "image"
    target = machine_at(path)
    apply_all(target, some_log().commands[:8])
    before = state_of(target)
    target.close()
    target = machine_at(path, door=Killer(path, image, operation))
    transferred(source, target)
    if not image.exists():
        shutil.copytree(path, image)
    assert state_of(target) == state_of(source)
    target.close()
    recovered = machine_at(image)
    assert state_of(recovered) in (before, state_of(source))
    apply_all(recovered, some_log().commands)
    assert state_of(recovered) == state_of(source)
    check_whole(recovered)
    assert not list(DatabaseFiles(image).raft.root.glob("[ir]*"))
    recovered.close()


def test_what_was_damaged_stays_in_quarantine(tmp_path: Path, source: Machine) -> None:
    path = tmp_path / "target"
    target = machine_at(path)
    apply_all(target, some_log().commands)
    target.close()
    for chain in DatabaseFiles(path).collections.glob("*/chain/*.chain"):
        data = bytearray(chain.read_bytes())
        data[-5] ^= 1
        chain.write_bytes(data)
    target = machine_at(path)
    assert (target.needs_copy, target.has_database, target.applied_index) == (True, False, 0)
    for refused in (lambda: target.database, lambda: target.apply(some_log().commands)):
        with pytest.raises(Unavailable, match="is damaged"):
            refused()
    transferred(source, target)
    assert not target.needs_copy
    assert state_of(target) == state_of(source)
    [kept] = DatabaseFiles(path).quarantine.glob("replaced-*")
    assert (kept / "collections").is_dir()
    target.close()


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(40))
def test_copies_of_random_histories(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    log = random_log(chance, 60, redactable=True)
    one, other = machine_at(tmp_path / "one", **SETTINGS), machine_at(tmp_path / "other")
    apply_all(one, log.commands[: chance.randint(1, 60)], chance)
    apply_all(other, log.commands[: chance.randint(0, one.applied_index)], chance)
    transferred(one, other)
    for machine in (one, other):
        apply_all(machine, log.commands, chance)
    assert state_of(one) == state_of(other)
    one.close()
    other.close()
