"""Proofs: making and checking receipts, and what sealing takes of a put."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from os import _exit
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from unittest.mock import patch

import blockdb
from blockdb.storage import seals
from blockdb.storage.seals import Seals

from .data import Data, Pair
from .lines import Finding, Goal, Line, Session, rest, takers
from .prepared import all_in_memory, records, scratch
from .stores import Peer, Setup, blockdb_settings

__all__ = ["SESSIONS"]

PROVEN: Final = 2_000
RANGE_RECORDS: Final = 10
LEAST_SHARE: Final = 0.001
"""What is less is lost in the noise."""

PROVE: Final = Line("proof of a record", "ms", (Goal(1),))
PROVE_P95: Final = Line("proof of a record, p95", "ms")
CHECK: Final = Line("check of a receipt", "ms", (Goal(1),))
FIRST_RANGE: Final = Line("proof of a range, the first", "ms")
NEXT_RANGE: Final = Line("proof of a range, the next", "ms")
INLINE: Final = Line("sealing's share of a put, inline", "part", (Goal(0.5),))
BESIDE: Final = Line("sealing's share of a put, beside", "part", (Goal(0.1),))


def proofs(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Receipts for random records, made and checked; for ranges of ten keys, the first of which sorts all keys."""
    with blockdb.open(records(peer, directory, data), **blockdb_settings(Setup())) as database:
        database.checkpoint("default")
        keys = data.present[:PROVEN]
        receipts, taken_s = _timed(database.prove, keys)
        yield PROVE.finding(1, median(taken_s))
        yield PROVE_P95.finding(1, quantiles(taken_s, n=20)[-1])
        vkey = database.verifier_key()
        verified, taken_s = _timed(lambda text: blockdb.verify_receipt(text, vkey), [one.text for one in receipts])
        yield CHECK.finding(1, median(taken_s))
        assert [one.records[0].key for one in verified] == list(keys)
        ordered = sorted(key for key, _ in data.pairs)
        bounds = [
            (n, ordered[n : n + RANGE_RECORDS]) for n in range(0, len(ordered) - RANGE_RECORDS, len(ordered) // 50)
        ]
        ranges, taken_s = _timed(lambda some: database.prove_range(start=some[1][0], end=some[1][-1]), bounds)
        yield FIRST_RANGE.finding(1, taken_s[0])
        yield NEXT_RANGE.finding(1, median(taken_s[1:]))
        assert all(len(blockdb.verify_receipt(one.text, vkey).records) == RANGE_RECORDS - 1 for one in ranges)


def _timed(work: Callable[[Any], Any], given: Sequence[Any]) -> tuple[list[Any], list[float]]:
    """What is made of each, and how long that takes."""
    made, taken_s = [], []
    for one in given:
        before = time.perf_counter()
        made.append(work(one))
        taken_s.append(time.perf_counter() - before)
    return made, taken_s


def sealing(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Processor time of a writer that seals its blocks, or has them sealed, beside that of one that seals none.

    Processor time, since other work on the machine does not change it. The process beside is not the writer's.
    """
    settings = blockdb_settings(all_in_memory(data))
    nothing = _cost(directory, settings, data.pairs, {"Seals.seal": _drop})
    inline = _cost(directory, settings, data.pairs, {"BUSY_S": -1.0})
    beside = _cost(directory, settings, data.pairs, {"BUSY_BLOCKS": 2, "BUSY_S": 3600.0})
    yield Finding(INLINE, max(1 - nothing / inline, LEAST_SHARE))
    yield Finding(BESIDE, max(1 - nothing / beside, LEAST_SHARE))


def _drop(self: Seals) -> None:
    """In the place of `Seals.seal`: forget the records of full blocks."""
    self.block.drop(len(self.block), self.block.size)


def _cost(directory: Path, settings: dict[str, Any], pairs: Sequence[Pair], changes: dict[str, Any]) -> float:
    """The seconds of processor time that all puts take in a process of its own, with changes to how it seals."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    with scratch(directory) as path:
        rest()
        writer = context.Process(target=_write, args=(path, settings, pairs, changes, theirs), daemon=True)
        writer.start()
        theirs.close()  # so that the end of a process that failed is seen here
        taken_s: float = ours.recv()
        writer.join()
    return taken_s


def _write(
    path: Path, settings: dict[str, Any], pairs: Sequence[Pair], changes: dict[str, Any], answer: Connection
) -> None:
    with ExitStack() as patched:
        for name, value in changes.items():
            patched.enter_context(patch(f"{seals.__name__}.{name}", value))
        database = blockdb.open(path, **settings)
        before = time.process_time()
        for key, value in pairs:
            database.put(key, value)
        if "Seals.seal" not in changes:
            database.stats()  # waits until what is full is sealed
        answer.send(time.process_time() - before)
        if "Seals.seal" not in changes:
            database.close()
    _exit(0)  # what was not sealed is nobody's


SESSIONS: Final = (
    Session((PROVE, PROVE_P95, CHECK, FIRST_RANGE, NEXT_RANGE), takers(proofs, "BlockDB")),
    Session((INLINE, BESIDE), takers(sealing, "BlockDB")),
)
