"""The same commands make the same of every machine: whatever the batches, flushes, restarts and crashes were."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blockdb.cluster.machine.machine import Machine
from tests.cluster.machine.histories import random_log
from tests.cluster.machine.world import Killer, apply_all, check_whole, cut_power, machine_at, state_of
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


@pytest.mark.parametrize("seed", tiers(range(4), range(4, 150)))
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


@pytest.mark.parametrize("seed", tiers(range(6), range(6, 400)))
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
