"""Logs of commands, machines that apply them, what came of that, and what a crash leaves of a machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.machine.surroundings import CommandSurroundings
from blockdb.cluster.replicated_log import Command, Snapshot
from blockdb.config import from_settings
from blockdb.format import mark as mark_format
from blockdb.format.place import split_place
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from tests.storage.doors import StillDoor

BLOCK = 4
START_MS = 1_700_000_000_000
SETTINGS: dict[str, Any] = {"blockchain_batch_size": BLOCK, "memtable_size_limit": 65_536, "compaction_threshold": 2}
SCHEMA = (
    b'{"fields":{"n":{"field_type":"Integer"}},"indexes":[{"name":"by_n","fields":["n"],"unique":true,"sparse":true}]}'
)
WIDER = b'{"fields":{"n":{"field_type":"Integer"},"m":{"field_type":"Integer","default_value":7}}}'

MASTER = b"m" * 32


def uuid_in(seed: bytes, name: str) -> bytes:
    """The UUID of the collection that a command with this seed makes."""
    surroundings = CommandSurroundings()
    surroundings.enter(0, seed)
    return surroundings.new_id(f"collection {name}").bytes


@dataclass
class Log:
    """Commands, one after the other, each with an id, a time and a seed of its own."""

    redactable: bool = False
    encrypted: bool = False
    commands: list[Command] = field(default_factory=list)
    collections: dict[str, bytes] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.add(commands.Genesis(BLOCK, self.redactable, self.encrypted))
        self.collections["default"] = uuid_in(seed_of(1), "default")

    def add(self, content: commands.Content, id_: bytes | None = None, step_ms: int = 1) -> bytes:
        """Append a command; its id."""
        index = len(self.commands) + 1
        self.now_ms += step_ms
        found = id_ or index.to_bytes(16, "big")
        data = commands.encode(found, self.now_ms, seed_of(index), content)
        self.commands.append(Command(index, 1, data))
        return found

    def again(self, index: int) -> None:
        """Send a command again: at another time, with other chance."""
        envelope, content = commands.decode(self.commands[index].data)
        self.add(content, envelope.id)

    def create(self, name: str, schema: bytes | None = None, **settings: Any) -> None:
        """Have a collection made."""
        self.add(commands.CreateCollection(name, "me", BLOCK, self.redactable, settings, "", schema))
        self.collections.setdefault(name, uuid_in(seed_of(len(self.commands)), name))

    def put(self, key: bytes, value: bytes, name: str = "default") -> bytes:
        """Have a record stored."""
        return self.add(commands.Put(self.collections[name], key, value))


def seed_of(index: int) -> bytes:
    """The chance that the command at an index brings along."""
    return index.to_bytes(32, "big")


def machine_at(path: Path, **changed: Any) -> Machine:
    """A machine over a directory."""
    door, most = changed.pop("door", None), changed.pop("most_outcomes", 50)
    adopt = changed.pop("adopt", False)
    settings = {"data_dir": str(path), **SETTINGS, **changed}
    source = MasterKeySource(key=MASTER) if settings.get("encryption_enabled") else None
    return Machine(from_settings(settings), source, door=door or StillDoor(), adopt=adopt, most_outcomes=most)


def apply_all(machine: Machine, log: Sequence[Command], chance: Random | None = None) -> None:
    """Apply what a machine lacks of a log, in batches of any size."""
    while machine.applied_index < len(log):
        left = log[machine.applied_index :]
        machine.apply(left[: chance.randint(1, len(left)) if chance else len(left)])


def state_of(machine: Machine) -> dict[str, Any]:
    """All that nodes have to agree on."""
    core = machine.core
    found: dict[str, Any] = {
        "time": machine._holding.time_ms,
        "counts": {key: count for key, count in machine._holding.counts().items() if count},
        "tokens": machine.tokens,
        "key": machine.database.verifier_key(),
        "outcomes": [(each.id, each.value, each.failure) for each in machine.outcomes.all()],
        "unfinished": machine.pending.all(),
    }
    for name, id_ in sorted(core.catalog.ids().items()):
        reader = core.catalog.reader(id_)
        reader.refresh()
        history = reader.history()
        prover = core.notary.prover(reader)
        found[name] = {
            "id": id_,
            "blocks": [history.block(number).hash for number in range(history.blocks)],
            "signatures": [history.block(number).signature for number in range(history.blocks)],
            "root": prover.trusted_root(history, history.records_count),
            "records": list(history.records(0, None)),
            "metadata": core.catalog.metadata(id_),
            "indexes": sorted((each.definition for each in reader.indexes.by_name.values()), key=lambda one: one.name),
        }
    return found


def check_whole(machine: Machine) -> None:
    """Nothing is wrong with the database, by its own audit."""
    report = machine.database.verify()
    assert report.valid, report.problems


class Killer(StillDoor):
    """A system on which a copy of the directory is made before the operation of a given number."""

    def __init__(self, path: Path, image: Path, at: int) -> None:
        super().__init__()
        self._path, self._image, self._left = path, image, at
        self.operations = 0

    def _pass(self) -> None:
        with self.still:
            self.operations += 1
            self._left -= 1
            if not self._left and self._path.exists() and not self._image.exists():
                shutil.copytree(self._path, self._image, ignore_dangling_symlinks=True)

    def write(self, descriptor: int, data: Any) -> int:
        self._pass()
        return super().write(descriptor, data)

    def create(self, path: Path, data: bytes) -> None:
        self._pass()
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._pass()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._pass()
        super().remove(path)

    def make_directory(self, path: Path) -> None:
        self._pass()
        super().make_directory(path)

    def remove_directory(self, path: Path) -> None:
        self._pass()
        super().remove_directory(path)


def cut_power(path: Path, chance: Random) -> None:
    """Have a directory be as after a power cut: of each chain, any part of what was not forced is gone."""
    for collection in DatabaseFiles(path).collections.glob("col_*"):
        file = collection / "log.mark"
        if not file.exists() or collection.name.endswith(".dropped"):
            continue
        mark = mark_format.decode(file.read_bytes())
        if mark.clean:
            continue
        (number, forced), (last, written) = split_place(mark.forced), split_place(mark.written)
        chain = collection / "chain" / f"{number:08d}.chain"
        if number == last and chain.exists() and forced < chain.stat().st_size:
            with chain.open("r+b") as opened:
                opened.truncate(chance.randint(forced, max(forced, min(written, chain.stat().st_size))))
        file.write_bytes(mark_format.encode(mark._replace(boot_id=b"another boot!!!!")))


def transferred(source: Machine, target: Machine, change: Callable[[bytes], bytes] = bytes) -> Snapshot:
    """Have one machine become what another one is."""
    snapshot = source.snapshot()
    data = change(b"".join(snapshot.chunks))
    target.restore(Snapshot(snapshot.index, iter([data[at : at + 1000] for at in range(0, len(data), 1000)])))
    return snapshot
