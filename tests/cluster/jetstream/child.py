"""A node of a cluster over streams in a process of its own: it does what lines on its standard input say.

`python -m tests.cluster.jetstream.child DIRECTORY OWN MEMBERS`, the last two as JSON. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from blockdb.cluster.database.context import reading
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.jetstream.log import JetStreamLog
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.partitions.engine import ROOT
from blockdb.config import from_settings
from blockdb.errors import BlockDBError, DuplicateKey
from blockdb.format.consensus import Member, Members
from blockdb.layout import DatabaseFiles

THREADS = 16


def main(directory: str, own: str, members: str) -> None:
    """Open the node, say so, and do what is asked."""
    member = msgspec.json.decode(own, type=Member)
    settings = JetStreamSettings(
        member,
        Path(directory),
        "test",
        bootstrap=msgspec.json.decode(members, type=Members),
        pulse_s=0.5,
        compact_entries=500,
        keep_entries=4_096,
    )
    engine = JetStreamEngine(settings, JetStreamLog)
    engine.start()
    files = DatabaseFiles(Path(directory))
    database = open_replicated(from_settings({"data_dir": directory}), engine.log_of(ROOT, files), patience_s=10.0)
    writing = Lock()

    def do(line: str) -> None:
        asked = json.loads(line)
        try:
            answer = {"value": done(database, **asked["do"])}
        except DuplicateKey:
            answer = {"refused": True}
        except BlockDBError as error:
            answer = {"error": str(error), "kind": type(error).__name__}
        with writing:
            print(json.dumps({"n": asked["n"], **answer}), flush=True)

    with ThreadPoolExecutor(THREADS) as pool:
        print(json.dumps({"n": 0, "value": os.getpid()}), flush=True)
        for line in sys.stdin:
            pool.submit(do, line)
    database.close()
    engine.close()


def done(database: ReplicatedDatabase, what: str, key: str = "", value: str = "", level: str = "Linearizable") -> Any:
    """The result of one request."""
    with reading(level):
        return _done(database, what, key, value)


def _done(database: ReplicatedDatabase, what: str, key: str, value: str) -> Any:
    if what == "put":
        return database.put(b64decode(key), b64decode(value))
    if what == "get":
        found = database.get(b64decode(key))
        return None if found is None else b64encode(bytes(found)).decode()
    if what == "records":
        return [(b64encode(each.key).decode(), b64encode(bytes(each.value)).decode()) for each in database.records()]
    if what == "chain":
        return [block.hash.hex() for block in database.blocks()]
    if what == "status":
        status = database.log.status()
        return {"state": status.state, "leader": status.leader, "stopped": status.stopped, "first": status.first_index}
    if what == "transfer":
        return database.log.transfer().result(30)
    raise AssertionError(what)


if __name__ == "__main__":
    main(*sys.argv[1:])
