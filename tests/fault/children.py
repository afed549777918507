"""A server that forks child processes which work on databases until they are killed. Run as a program.

It imports the engine once, so that a child costs a fork and no more. A line of JSON on its standard input asks for a
child: {"job": name, ...}. Children tell what they do in lines on the common standard output; when one has ended the
server adds the line `dead`, after everything that the child said.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import blockdb.audit.auditor  # loaded now: another user may not be able to read the interpreter's own modules
import blockdb.storage.log
from tests.fault.support import items, key_of, open_database, value_of

SEGMENT_BYTES = 96 * 1024
"""So small here that the chain rolls over to new files all the time."""


def tell(*words: object) -> None:
    """Say a line that survives this process."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def write(path: str, seed: int, wal_sync_interval: int, blockchain_batch_size: int) -> None:
    """Open, write, flush, merge and close again and again, telling what is issued and what was acknowledged."""
    rng = Random(seed)
    settings = {"wal_sync_interval": wal_sync_interval, "blockchain_batch_size": blockchain_batch_size}
    while True:
        tell("opening")
        with open_database(Path(path), compaction_threshold=rng.choice((2, 3)), **settings) as db:
            number = db.stats().records
            tell("opened", number)
            for _ in range(rng.randrange(300)):
                number = _write_some(db, rng, number)
            tell("closing")
        tell("closed", number)


def _write_some(db: blockdb.Database, rng: Random, number: int) -> int:
    choice = rng.random()
    if choice < 0.004:
        db.compact()
    elif choice < 0.02:
        db.flush()
    if choice > 0.85:
        size = rng.randrange(1, 80)
        tell("batch", number, size)
        db.put_many(items(number, size))
        number += size
    else:
        db.put(key_of(number), value_of(number))
        number += 1
    tell("stored", number)
    return number


def hold(path: str) -> None:
    """Open a database and keep it until killed."""
    with open_database(Path(path)) as db:
        db.put(b"held", b"%d" % os.getpid())
        tell("holding", os.getpid())
        sys.stdin.readline()


def serve(path: str, records: int, flush_every: int) -> None:
    """Go on where the database ends, `records` of them, one whenever a line comes in."""
    with open_database(Path(path), compaction_threshold=2) as db:
        first = number = db.stats().records
        tell("serving", first)
        for number in range(first, first + records):
            db.put(key_of(number), value_of(number))
            if flush_every and number % flush_every == flush_every - 1:
                db.flush()
            tell("stored", number + 1)
    tell("closed", number + 1)


def attach(path: str, user: int) -> None:
    """Attach with another user's permissions, in a directory where nothing can be written."""
    os.chdir(Path(path).parent)
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    with open_database(Path(Path(path).name), read_only=True) as db:
        tell("records", len(list(db.records())), db.stats().records, db.verify().valid)
    try:
        open_database(Path(Path(path).name)).close()
    except blockdb.BlockDBError as error:
        tell("writing", type(error).__name__)
    else:
        tell("writing", "allowed")


def watch(path: str, records: int) -> None:
    """Attach and look until there are so many records."""
    with open_database(Path(path), read_only=True) as db:
        tell("attached")
        for _ in count():
            if db.stats().records >= records:
                break
        tell("seen", len(list(db.records())), db.verify().valid)


JOBS: dict[str, Callable[..., None]] = {job.__name__: job for job in (write, hold, serve, attach, watch)}


def main() -> None:
    """Fork a child for each line until there are no more."""
    log: Any = blockdb.storage.log
    assert log.SEGMENT_SOFT_BYTES
    for line in sys.stdin:
        asked = json.loads(line)
        log.SEGMENT_SOFT_BYTES = asked.pop("segment_bytes", SEGMENT_BYTES)
        child = os.fork()
        if not child:
            _become(asked)
        tell("pid", child)
        os.waitpid(child, 0)
        tell("dead")


def _become(asked: dict[str, Any]) -> None:
    try:
        JOBS[asked.pop("job")](**asked)
    except BaseException as error:
        traceback.print_exc()
        tell("failed", type(error).__name__, str(error).replace("\n", " "))
    os._exit(0)


if __name__ == "__main__":
    main()
