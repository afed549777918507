"""Makes the golden backups: `python -m tests.golden.make_backups DIRECTORY` writes a whole one, and two that go on.

It is run once for each format of backups, and what it made is kept: every later version must make databases of them. No
test runs it. Those in `v1` were made by an earlier version, whose backups were always whole.
"""

import json
import sys
import tempfile
from pathlib import Path
from time import time_ns
from typing import Any

import blockdb
from blockdb import Database

MASTER_KEY = bytes(range(32))
KINDS: dict[str, dict[str, Any]] = {"plain": {}, "sealed": {"encryption_enabled": True, "master_key": MASTER_KEY}}


def make(db: Database, directory: Path) -> None:
    """Three backups, and how many records there were at a moment before each."""
    moments = []
    for number, do in enumerate((_begin, _go_on, _redact)):
        do(db)
        counts = {name: db.collection(name).count() for name in db.collection_names()}
        moments.append({"time_ms": time_ns() // 1_000_000, "records": counts})
        while time_ns() // 1_000_000 <= moments[-1]["time_ms"] + 2:
            pass
        older = directory / f"{number - 1}.tar.zst" if number else None
        (directory / f"{number}.tar.zst").write_bytes(b"".join(db.backup(since=older, signing_key=True)))
        while time_ns() // 1_000_000 <= moments[-1]["time_ms"] + 4:
            pass
    (directory / "moments.json").write_text(json.dumps(moments, indent=1) + "\n")


def _begin(db: Database) -> None:
    db.put_many([(b"k%d" % number, b"value %d" % number) for number in range(7)])
    db.flush()


def _go_on(db: Database) -> None:
    other = db.create_collection("other")
    other.create_index("by_n", "n")
    with db.transaction() as transaction:
        transaction.put(b"t", b"1")
        transaction.put(b"t", {"n": 1}, collection="other")
    db.checkpoint()


def _redact(db: Database) -> None:
    db.redact(b"k1", reason="asked for")
    db.rotate_key()
    db.put(b"last", b"")
    db.checkpoint()


def main(directory: str) -> None:
    """Make those of each kind."""
    for kind, settings in KINDS.items():
        target = Path(directory) / kind
        target.mkdir(parents=True)
        with (
            tempfile.TemporaryDirectory() as work,
            blockdb.open(f"{work}/db", blockchain_batch_size=3, redactable=True, **settings) as db,
        ):
            make(db, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
