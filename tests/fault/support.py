"""What the fault tests share: small databases, records that follow from their number, and a judge of what is served."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import blockdb
from blockdb.config import from_settings
from blockdb.database.database import Database
from blockdb.storage.door import Door

MIB = 1 << 20
SMALLEST_MEMTABLE = 65_536


def open_database(path: Path, door: Door | None = None, *, read_only: bool = False, **settings: Any) -> Database:
    """`blockdb.open` with the smallest memtable and blocks of ten, and with a door of the test's own."""
    given = {"memtable_size_limit": SMALLEST_MEMTABLE, "blockchain_batch_size": 10, **settings}
    config = from_settings({"data_dir": str(path), **given})
    return Database(config, read_only=read_only, create=True, door=door)


def key_of(number: int) -> bytes:
    """The key of the record with this sequence number: not in the order of the numbers."""
    return b"key:" + sha256(b"%d" % number).hexdigest()[:12].encode()


def value_of(number: int, size: int | None = None) -> bytes:
    """Its value: of so many bytes, or of 0 to some thousand, most of them short."""
    seed = sha256(b"value %d" % number).digest()
    if size is None:
        size = seed[0] if seed[1] < 250 else seed[0] * 30
    return (seed * (size // len(seed) + 1))[:size]


def items(first: int, count: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of `count` records."""
    return [(key_of(number), value_of(number)) for number in range(first, first + count)]


def one(directory: Path, pattern: str) -> Path:
    """The only file that matches."""
    [path] = directory.glob(pattern)
    return path


def files_of(directory: Path) -> list[str]:
    """The names of all files below a directory, relative to it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def copy_of(directory: Path, to: Path) -> Path:
    """What a process that is killed at this moment leaves behind, if it is the directory of an open database."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(directory, to))


def assert_prefix(db: Database, acknowledged: int) -> int:
    """The records are a prefix of the order of issue with everything that was acknowledged.

    Returns how many there are.
    """
    records = list(db.records())
    found = len(records)
    assert found >= acknowledged, f"{acknowledged} were acknowledged, and {found} are there"
    assert [record.sequence for record in records] == list(range(found))
    assert [(record.key, record.value) for record in records] == items(0, found)
    for number in range(found):
        assert db.get(key_of(number)) == value_of(number), f"record {number}"
    assert db.get(key_of(found)) is None
    assert dict(db.scan()) == dict(items(0, found))
    return found


def assert_whole(batches: Iterable[range], found: int) -> None:
    """Of no batch there is only a part, where the first `found` records are there."""
    for batch in batches:
        assert found <= batch.start or found >= batch.stop, f"{found} records end inside the batch {batch}"


def bounded(work: Callable[[], None], seconds: float = 60) -> None:
    """Do the work in a thread; fail if it does not come to its end. What it raises is raised here."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    if failures:
        raise failures[0]


class Truth:
    """What a database holds, and whether another handle on its files tells the same."""

    def __init__(self, db: Database) -> None:
        self.items = dict(db.scan())
        self.records = list(db.records())
        self.blocks = list(db.blocks())
        self.sealed = [db.block_records(number) for number in range(len(self.blocks) + 1)]

    def lies_of(self, db: Database) -> list[str]:
        """Every wrong answer. A BlockDBError is no answer, and so is right."""
        questions: list[tuple[str, Callable[[], Any], Any]] = [
            ("scan", lambda: dict(db.scan()), self.items),
            ("scan in reverse", lambda: list(db.scan(reverse=True)), sorted(self.items.items(), reverse=True)),
            ("count", db.count, len(self.items)),
            ("records", lambda: list(db.records()), self.records),
            ("blocks", lambda: list(db.blocks()), self.blocks),
            ("stats", lambda: _counted(db), (len(self.records), len(self.blocks))),
        ]
        for number, sealed in enumerate(self.sealed):
            questions.append((f"block {number}", lambda number=number: db.block_records(number), sealed))
        for key, value in self.items.items():
            questions.append((f"get {key!r}", lambda key=key: db.get(key), value))
        for record in self.records[::5]:
            questions.append((f"record {record.key!r}", lambda key=record.key: db.record(key), record))
        return [fault for name, ask, expected in questions if (fault := _fault(name, ask, expected))]


def _counted(db: Database) -> tuple[int, int]:
    stats = db.stats()
    return stats.records, stats.blocks


def _fault(name: str, ask: Callable[[], Any], expected: object) -> str | None:
    try:
        return None if ask() == expected else f"{name}: a wrong answer"
    except blockdb.BlockDBError:
        return None
    except Exception as error:
        return f"{name}: {error!r}, which is none of our errors"
