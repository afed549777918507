"""A process that asks a server as fast as it answers, on many connections: `python -m benchmarks.load` reads a job.

It is written to cost little beside the server: requests are made before the clock starts, answers are looked at only as
far as it takes to know where they end and whether they are good.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from random import Random
from subprocess import PIPE, run
from typing import Final

from blockdb.cluster.partitions.spreading import Spreading

__all__ = ["KEY_BYTES", "VALUE_BYTES", "Job", "Outcome", "load"]

KEY_BYTES: Final = 32
VALUE_BYTES: Final = 128
SLOW_PAUSE_S: Final = 1.0
"""So often a slow connection sends another byte of its head."""

TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class Job:
    """What is to be asked: `requests` of `records` each, unequal to those of other `seed`s."""

    port: int
    connections: int
    requests: int
    records: int = 1
    seed: int = 0
    speaks: str = "http"
    """`http`, or `redis`."""
    collection: str = "default"
    partitions: int = 1
    """The keys of a request belong to one of so many partitions, one after the other."""
    is_keyed: bool = False
    """Whether each request has an Idempotency-Key of its own, as those of `blockdb.connect` have."""
    slow: int = 0
    """How many connections besides never come to the end of their head."""


@dataclass(frozen=True)
class Outcome:
    """How long all of it took, and each request."""

    elapsed_s: float
    p50_s: float
    p99_s: float
    failed: int


def load(job: Job) -> Outcome:
    """Do a job in a process of its own."""
    done = run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(job)).encode(),
        stdout=PIPE,
        check=True,
        timeout=TIMEOUT_S,
    )
    return Outcome(**json.loads(done.stdout))


def requests(job: Job) -> Iterator[bytes]:
    """The bytes of each request."""
    chance = Random(job.seed)
    for number in range(job.requests):
        keys = islice(_keys(chance, job.partitions, (number + job.seed) % job.partitions), job.records)
        pairs = [(key, chance.randbytes(VALUE_BYTES)) for key in keys]
        yield (
            _redis(*pairs[0])
            if job.speaks == "redis"
            else _http(pairs, job.collection, chance.randbytes(16) if job.is_keyed else b"")
        )


def _keys(chance: Random, partitions: int, partition: int) -> Iterator[bytes]:
    spreading = Spreading(partitions)
    while True:
        key = chance.randbytes(KEY_BYTES)
        if spreading.of_key(key) == partition:
            yield key


def _redis(key: bytes, value: bytes) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value)


def _http(pairs: Sequence[tuple[bytes, bytes]], collection: str, name: bytes) -> bytes:
    import msgspec

    items = [{"key": key, "value": value} for key, value in pairs]
    path, body = ("records", items[0]) if len(items) == 1 else ("batch", {"items": items})
    data = msgspec.msgpack.encode(body)
    key = b"idempotency-key: %s\r\n" % name.hex().encode() if name else b""
    return (
        b"POST /api/v1/collections/%s/%s HTTP/1.1\r\nhost: localhost\r\naccept: application/msgpack\r\n"
        b"content-type: application/msgpack\r\n%scontent-length: %d\r\n\r\n%s"
    ) % (collection.encode(), path.encode(), key, len(data), data)


class _Connection(asyncio.Protocol):
    """Asks the next request as soon as the answer to the one before is whole."""

    def __init__(self, waiting: list[bytes], speaks: str, taken_s: list[float], ended: asyncio.Future[None]) -> None:
        self._waiting = waiting
        self._is_redis = speaks == "redis"
        self._taken_s = taken_s
        self._ended = ended
        self._received = b""
        self._asked = 0.0
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        if not self._waiting:
            self._transport.close()
            return
        request = self._waiting.pop()
        self._asked = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        is_good = self._is_good(received)
        if is_good is None:
            self._received = received
            return
        self._received = b""
        self._taken_s.append(time.perf_counter() - self._asked)
        self.failed += not is_good
        self._ask()

    def _is_good(self, received: bytes) -> bool | None:
        """Whether an answer is a good one; None where it is not whole yet."""
        if self._is_redis:
            return received[:1] == b"+" if received.endswith(b"\r\n") else None
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = received[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].partition(b"\r\n")[0])
        return head[9:10] == b"2" if len(received) >= end + 4 + size else None

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


async def _slow(port: int) -> None:
    """A connection that sends its head a byte at a time, and begins anew when it is thrown out."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            while not writer.is_closing():
                writer.write(b"a")
                await asyncio.sleep(SLOW_PAUSE_S)
        except OSError:
            await asyncio.sleep(SLOW_PAUSE_S)


async def _work(job: Job) -> Outcome:
    loop = asyncio.get_running_loop()
    waiting = list(requests(job))
    slow = [asyncio.ensure_future(_slow(job.port)) for _ in range(job.slow)]
    if slow:
        await asyncio.sleep(2 * SLOW_PAUSE_S)
    taken_s: list[float] = []
    connections: list[_Connection] = []
    ended = [loop.create_future() for _ in range(job.connections)]
    before = time.perf_counter()
    for end in ended:
        made = lambda end=end: _Connection(waiting, job.speaks, taken_s, end)  # noqa: E731
        _, protocol = await loop.create_connection(made, "127.0.0.1", job.port)
        connections.append(protocol)
    await asyncio.gather(*ended)
    elapsed_s = time.perf_counter() - before
    for each in slow:
        each.cancel()
    taken_s.sort()
    failed = sum(each.failed for each in connections) + job.requests - len(taken_s)
    return Outcome(elapsed_s, taken_s[len(taken_s) // 2], taken_s[len(taken_s) * 99 // 100], failed)


def main() -> None:
    """Read a job from standard input, do it, and write the outcome to standard output."""
    import uvloop

    job = Job(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_work(job))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
