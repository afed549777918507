"""The same commands make the same of every machine: whatever the batches, flushes, restarts and crashes were."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.machine import Machine
from tests.cluster.machine.histories import random_log
from tests.cluster.machine.world import (
    SCHEMA,
    WIDER,
    Killer,
    Log,
    apply_all,
    check_whole,
    cut_power,
    machine_at,
    state_of,
)
from tests.tiers import tiers

KINDS: list[dict[str, Any]] = [{}, {"redactable": True}, {"redactable": True, "encrypted": True}]
SIZE = 60


def settings_of(kind: dict[str, Any]) -> dict[str, Any]:
    return {"encryption_enabled": True} if kind.get("encrypted") else {}


def disturb(machine: Machine, chance: Random, path: Path, **settings: Any) -> Machine:
    how = chance.choice(["", "", "", "flush", "compact", "durable", "reopen"])
    if how == "flush":
        machine.database.flush()
    elif how == "compact":
        machine.database.compact()
    elif how == "durable":
        assert machine.make_durable() == machine.applied_index
    elif how == "reopen":
        machine.close()
        return machine_at(path, **settings)
    return machine


@pytest.mark.parametrize("seed", tiers(range(2), range(2, 150)))
def test_batches_flushes_and_restarts_make_no_difference(tmp_path: Path, seed: int) -> None:
    chance, kind = Random(seed), KINDS[seed % len(KINDS)]
    log, settings = random_log(chance, SIZE, **kind), settings_of(kind)
    one, other = machine_at(tmp_path / "one", **settings), machine_at(tmp_path / "other", **settings)
    apply_all(one, log.commands)
    while other.applied_index < len(log.commands):
        stop = min(other.applied_index + chance.randint(1, 20), len(log.commands))
        apply_all(other, log.commands[:stop], chance)
        other = disturb(other, chance, tmp_path / "other", **settings)
    assert state_of(one) == state_of(other)
    check_whole(other)
    one.close()
    other.close()


def crashed(path: Path, image: Path, log: Any, chance: Random, operation: int, **settings: Any) -> None:
    """An image of a machine that dies before an operation, or, if there are not so many, at the end."""
    machine = machine_at(path, door=Killer(path, image, operation), **settings)
    while machine.applied_index < len(log.commands) and not image.exists():
        stop = min(machine.applied_index + chance.randint(1, 20), len(log.commands))
        apply_all(machine, log.commands[:stop], chance)
        if chance.random() < 0.2:
            chance.choice([machine.make_durable, machine.database.flush])()
    if not image.exists():
        shutil.copytree(path, image)
    machine.close()


@pytest.mark.parametrize("seed", tiers(range(3), range(3, 400)))
def test_a_crash_at_any_operation_is_replayed_from_the_mark(tmp_path: Path, seed: int) -> None:
    chance, kind = Random(seed), KINDS[seed % len(KINDS)]
    log, settings = random_log(chance, SIZE, **kind), settings_of(kind)
    image = tmp_path / "image"
    crashed(tmp_path / "first", image, log, chance, chance.randint(1, 500), **settings)
    if not kind.get("encrypted") and chance.random() < 0.6:
        cut_power(image, chance)
    if chance.random() < 0.3:  # and it dies again in the middle of that
        second = tmp_path / "second"
        crashed(image, second, log, chance, chance.randint(1, 200), **settings)
        image = second
    recovered, reference = machine_at(image, **settings), machine_at(tmp_path / "reference", **settings)
    apply_all(recovered, log.commands, chance)
    apply_all(reference, log.commands)
    assert not recovered.is_ahead
    assert state_of(recovered) == state_of(reference)
    check_whole(recovered)
    recovered.close()
    reference.close()


def short_log() -> Log:
    """A log with every command that changes more than records."""
    log = Log(redactable=True)
    log.put(b"a", b"value")
    log.create("users", SCHEMA)
    users = log.collections["users"]
    log.put(b"u", b'{"n":1}', "users")
    log.add(commands.CreateIndex(users, "me", "one", ("n",), unique=True))
    log.add(commands.DropIndex(users, "me", "by_n"))
    log.add(commands.SetSchema(users, "me", WIDER))
    log.add(commands.Redact(users, "me", (b"u",), "asked for"))
    log.add(commands.RecordState())
    log.add(commands.RotateKey())
    log.put(b"b", b"value")
    log.add(commands.DropCollection(users, "me"))
    return log


OPERATIONS = 250


@pytest.mark.parametrize("operation", tiers([104, 132, 146, 161, 196, 240], range(2, OPERATIONS)))
def test_a_command_that_was_cut_short_anywhere_is_finished(tmp_path: Path, operation: int) -> None:
    path, image, log = tmp_path / "db", tmp_path / "image", short_log()
    machine = machine_at(path, door=Killer(path, image, operation))
    apply_all(machine, log.commands)
    whole = state_of(machine)
    machine.close()
    if image.exists():
        recovered = machine_at(image)
        apply_all(recovered, log.commands)
        assert state_of(recovered) == whole
        check_whole(recovered)
        recovered.close()
    else:
        assert operation > OPERATIONS - 20, "there are operations enough"


def test_what_is_there_already_is_not_stored_again(tmp_path: Path) -> None:
    """A machine that dies long after its last mark: what follows in the log does not exist yet for what comes first."""
    log = Log()
    for key in (b"a", b"b", b"a", b"c"):
        log.put(key, b"value")
    log.add(commands.PutMany(log.collections["default"], ((b"d", b""), (b"c", b""))))
    log.add(commands.PutMany(log.collections["default"], ((b"d", b""), (b"e", b""))))
    machine = machine_at(tmp_path / "db")
    apply_all(machine, log.commands)
    shutil.copytree(tmp_path / "db", tmp_path / "image")
    again = machine_at(tmp_path / "image")
    assert (again.applied_index, again.is_ahead) == (1, True)
    apply_all(again, log.commands)
    assert not again.is_ahead
    assert state_of(again) == state_of(machine)
    again.close()
    machine.close()
