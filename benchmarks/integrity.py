"""Trust and recovery: verifying everything, against bare hashing; replaying the log; opening."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from os import getpid, kill
from pathlib import Path
from signal import SIGKILL
from statistics import median
from typing import Any, Final

import blockdb
from blockdb.format.record import encode
from blockdb.ledger.merkle import leaf_hashes, root_of

from .data import Data, Pair, batches, varied
from .lines import Finding, Goal, Line, Session, exhaust, rest, takers
from .prepared import all_in_memory, fill, records, scratch
from .stores import Peer, Setup, blockdb_settings

__all__ = ["SESSIONS"]

PROCESSES: Final = 2
OPENINGS: Final = 5
PATIENCE_S: Final = 120

VERIFY: Final = Line("verify on both cores", "k/s", (Goal(0.75, ("hashlib",)),))
VERIFY_VARIED: Final = Line("verify, varied sizes", "k/s", VERIFY.goals)
REPLAY: Final = Line("replay of the log", "k/s", (Goal(1_000),))
REPLAY_VARIED: Final = Line("replay, varied sizes", "k/s", REPLAY.goals)
OPEN: Final = Line("open, empty log", "ms", (Goal(20),))


def verify(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Every hash, link, signature and table, as `db.verify()` does it."""
    yield _verify(VERIFY, records(peer, directory, data), data.pairs)


def verify_varied(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same over records whose sizes differ."""
    pairs = varied(data.pairs)
    with scratch(directory) as path:
        with closing(peer.open(path, Setup())) as store:
            fill(store, pairs)
            store.flush()
        rest()
        yield _verify(VERIFY_VARIED, path, pairs)


def _verify(line: Line, path: Path, pairs: Sequence[Pair]) -> Finding:
    with blockdb.open(path, **blockdb_settings(Setup())) as database:
        before = time.perf_counter()
        report = database.verify()
        elapsed_s = time.perf_counter() - before
    assert report.valid, report.problems
    assert report.records == len(pairs)
    return line.finding(len(pairs), elapsed_s)


def hash_everything(_: Path, data: Data) -> Iterator[Finding]:
    """The leaf and node hashes of RFC 6962 over the same records and nothing else, by two processes at once."""
    yield _hash_all(VERIFY, data.pairs)


def hash_varied(_: Path, data: Data) -> Iterator[Finding]:
    """The same over records whose sizes differ."""
    yield _hash_all(VERIFY_VARIED, varied(data.pairs))


def _hash_all(line: Line, pairs: Sequence[Pair]) -> Finding:
    context = get_context("fork")
    together = context.Barrier(PROCESSES)
    answers: list[Connection] = []
    for n in range(PROCESSES):
        ours, theirs = context.Pipe(duplex=False)
        part = pairs[n * len(pairs) // PROCESSES : (n + 1) * len(pairs) // PROCESSES]
        context.Process(target=_hash, args=(part, together, theirs), daemon=True).start()
        theirs.close()  # so that the end of a process that failed is seen here
        answers.append(ours)
    spans = [answer.recv() for answer in answers]
    return line.finding(len(pairs), max(stop for _, stop in spans) - min(start for start, _ in spans))


def _hash(pairs: Sequence[Pair], together: Barrier, answer: Connection) -> None:
    bodies = [encode(0, key, value) for key, value in pairs]  # begins with the 0x00 of a leaf
    together.wait(PATIENCE_S)
    start = time.monotonic()
    root_of(leaf_hashes(bodies))
    answer.send((start, time.monotonic()))


def replay(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Open what a process left behind that was killed when no record was in a table yet."""
    yield _replay(REPLAY, directory, data)


def replay_varied(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same with records whose sizes differ."""
    yield _replay(REPLAY_VARIED, directory, replace(data, pairs=varied(data.pairs)))


def _replay(line: Line, directory: Path, data: Data) -> Finding:
    settings = blockdb_settings(all_in_memory(data))
    with scratch(directory) as path:
        writer = get_context("fork").Process(target=_write_and_die, args=(path, settings, data), daemon=True)
        writer.start()
        writer.join()
        assert writer.exitcode == -SIGKILL, "the process that writes the log failed"
        rest()
        before = time.perf_counter()
        with blockdb.open(path, **settings) as database:
            elapsed_s = time.perf_counter() - before
            assert database.stats().recovered_records == len(data.pairs)
    return line.finding(len(data.pairs), elapsed_s)


def _write_and_die(path: Path, settings: dict[str, Any], data: Data) -> None:
    database = blockdb.open(path, **settings)
    exhaust(map(database.put_many, batches(data.pairs)))
    assert not database.stats().tables  # asking waits until what is full is sealed
    kill(getpid(), SIGKILL)


def open_it(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Open a database that was flushed and closed, some times."""
    path = records(peer, directory, data)
    taken_s: list[float] = []
    for _ in range(OPENINGS):
        before = time.perf_counter()
        with closing(peer.open(path, Setup())):
            taken_s.append(time.perf_counter() - before)
    yield OPEN.finding(1, median(taken_s))


SESSIONS: Final = (
    Session((VERIFY,), {**takers(verify, "BlockDB"), "hashlib": hash_everything}),
    Session((VERIFY_VARIED,), {**takers(verify_varied, "BlockDB"), "hashlib": hash_varied}),
    Session((REPLAY,), takers(replay, "BlockDB")),
    Session((REPLAY_VARIED,), takers(replay_varied, "BlockDB")),
    Session((OPEN,), takers(open_it, "BlockDB", "RocksDB", "LMDB")),
)
