"""Records worth looking at: the commits of a git repository, or trades made up from a seed.

A source is an iterator of `(key, value)` pairs as the database takes them; every value is a JSON object.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

__all__ = ["HISTORY_RECORDS", "MAX_COMMITS", "TRADE_PREFIX", "TRADE_SEED", "git_commits", "records", "trades"]

MAX_COMMITS = 50_000
"""The newest commits that `git_commits` reads: a demo must not wait for the whole history of a kernel."""

HISTORY_RECORDS = 5_000
"""What a demo has to show from the first moment, however young the repository."""

TRADE_PREFIX = b"trade:"
TRADE_SEED = 20_240_102

CHUNK_BYTES = 65_536
OPENING = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
VENUES = ("XNAS", "XNYS", "ARCX", "BATS", "IEXG")
OPENING_PRICES = {"AAPL": 187.15, "AMZN": 151.54, "BRK.B": 362.46, "JPM": 172.08, "MSFT": 373.86, "NVDA": 492.44}


def records(repository: Path) -> Iterator[tuple[bytes, bytes]]:
    """The commits of `repository`, and, where they are few or there is no history to read, trades to fill up with."""
    lacking = HISTORY_RECORDS
    for pair in git_commits(repository):
        yield pair
        lacking -= 1
    yield from islice(trades(TRADE_SEED), max(lacking, 0))


# ── commits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def git_commits(repository: Path) -> Iterator[tuple[bytes, bytes]]:
    """The commits reachable from HEAD, oldest first, at most `MAX_COMMITS` of the newest.

    The key is `commit:<hash>`. Nothing comes where git is missing, where there is no repository or no commit yet.
    Closing the iterator early ends the git process.
    """
    try:
        git = _git_log(repository)
    except OSError:
        return
    with git:
        try:
            assert git.stdout is not None
            yield from _commits(_tokens(git.stdout.fileno()), _name(repository))
        finally:
            git.kill()


def _git_log(repository: Path) -> subprocess.Popen[bytes]:
    # -z ends each path with NUL and leaves its bytes alone; the empty token of the first %x00 marks a new commit.
    command = ["git", "-c", "log.showSignature=false", "log", "-z", "--reverse", f"--max-count={MAX_COMMITS}"]
    shape = ["--numstat", "--find-renames", "--no-ext-diff", "--no-textconv", "--format=%x00%H%x00%ct%x00%P%x00%s"]
    return subprocess.Popen(
        [*command, *shape],
        cwd=repository,
        env=_clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    # Inside a git hook GIT_DIR and its like name another repository than the one asked for.
    return {name: value for name, value in environ.items() if not name.startswith("GIT_")}


def _name(repository: Path) -> str:
    home = repository.resolve()
    return next((folder.name for folder in (home, *home.parents) if (folder / ".git").exists()), home.name)


def _tokens(descriptor: int) -> Iterator[bytes]:
    rest = b""
    while piece := os.read(descriptor, CHUNK_BYTES):
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole


def _commits(tokens: Iterator[bytes], name: str) -> Iterator[tuple[bytes, bytes]]:
    more = next(tokens, None) is not None
    while more and len(head := list(islice(tokens, 4))) == 4:
        commit, committed_at, parents, subject = head
        more, files, insertions, deletions = _changes(tokens)
        yield (
            b"commit:" + commit,
            _json(
                repository=name,
                committed_at=int(committed_at),
                parents=parents.decode().split(),
                files=files,
                insertions=insertions,
                deletions=deletions,
                subject=subject.decode("utf-8", "replace"),
            ),
        )


def _changes(tokens: Iterator[bytes]) -> tuple[bool, int, int, int]:
    """Whether another commit follows, and this one's files, insertions and deletions."""
    files = insertions = deletions = 0
    for token in tokens:
        if not token:
            return True, files, insertions, deletions
        added, removed, path = token.lstrip(b"\n").split(b"\t", 2)
        files += 1
        insertions += int(added) if added != b"-" else 0  # "-" stands for a binary file
        deletions += int(removed) if removed != b"-" else 0
        if not path:  # renamed: the old and the new name follow
            next(tokens, None), next(tokens, None)
    return False, files, insertions, deletions


# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────────


def trades(seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Endless trades, the same for the same seed. The key is `trade:<number>`, padded so that keys sort by number.

    Prices walk at random, in cents; most trades are of round lots; times rise by some milliseconds.
    """
    chance = random.Random(seed)
    prices = dict(OPENING_PRICES)
    time = OPENING
    for number in count():
        symbol = chance.choice(tuple(prices))
        prices[symbol] = round(max(1.0, prices[symbol] * (1 + chance.gauss(0, 0.0004))), 2)
        time += timedelta(milliseconds=1 + int(chance.expovariate(1 / 40)))
        yield (
            b"%s%010d" % (TRADE_PREFIX, number),
            _json(
                symbol=symbol,
                side=chance.choice(("buy", "sell")),
                price=prices[symbol],
                quantity=_quantity(chance),
                venue=chance.choice(VENUES),
                time=time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            ),
        )


def _quantity(chance: random.Random) -> int:
    lots = 1 + int(chance.paretovariate(1.4))
    return min(lots, 500) * 100 if chance.random() < 0.8 else chance.randint(1, 99)


def _json(**fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
