"""Sealing in a process of its own, beside a writer that is busy.

Hashing leaves and nodes is a third of a write. The process reads the records from the log as they are written, closes
the blocks, and gives them back to be signed and appended. It decides nothing: the same records give the same blocks
wherever they are closed, and when it dies, the writer goes on by itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from threading import Thread
from typing import IO, Final, NamedTuple

from blockdb.format.block import HASH_BYTES, Seal, decode_seal, encode_seal, seal_bytes
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Chunks, Head, Sealer
from blockdb.ledger.merkle import Frontier
from blockdb.process import secret_of_helper, start_python
from blockdb.storage.chain import Chain
from blockdb.storage.helper_door import door_of
from blockdb.storage.open_block import OpenBlock

SEALING_NICENESS: Final = 7
"""A little nicer than who builds tables: a writer of batches may be far ahead of its seals, but not of its tables."""

_PLACE: Final = Struct("<Q")
_PREFIX_BYTES: Final = 9
_STOP: Final = _PLACE.pack(0)
"""Asks it to end: the end of the pipe would not do, since a forked child of the writer may hold it open."""

_SIZE: Final = Struct("<I")
_CHUNKS: Final = bytes(4) + b"C"
"""Begins the frame with roots of chunks, where a seal has its check and type; the size of the rest follows. It ends
what is said to a request."""


class Answer(NamedTuple):
    """What follows from a request: the blocks that were closed, in order, and the roots of the chunks of the tree."""

    seals: Sequence[Seal]
    chunks: Chunks


class SealingProcess:
    """The process, as its writer sees it. `accept` is called with each answer, in order, in a thread of ours.

    At last `ended` is called once, whether the process was closed or died.
    """

    def __init__(
        self,
        files: CollectionFiles,
        collection: bytes,
        block: OpenBlock,
        start: int,
        accept: Callable[[Answer], None],
        ended: Callable[[], None],
        secret: bytes = b"",
    ) -> None:
        """Start it: it goes on from the writer's open block, whose first record is at the place `start`.

        `secret` is that of the writer's door. Raises OSError where the system gives no process.
        """
        sealer = block.sealer
        job = {
            "root": str(files.root.absolute()),
            "collection": collection.hex(),
            "number": sealer.head.next_number,
            "previous": sealer.head.previous_hash.hex(),
            "size": sealer.frontier.size,
            "frontier": [node.hex() for node in sealer.frontier.hashes],
            "start": start,
            "limit": block.records_limit,
            "beside": block.beside_bytes,
        }
        self._process = start_python("blockdb.storage.sealing_process", json.dumps(job), secret)
        self.requested = 0
        self._accept = accept
        self._ended = ended
        self._thread = Thread(target=self._listen, name="blockdb-seal", daemon=True)
        self._thread.start()

    def request(self, end: int) -> None:
        """Tell it that the log reaches to the place `end`. Raises OSError where it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(_PLACE.pack(end))
        self._process.stdin.flush()
        self.requested += 1

    def close(self) -> None:
        """Let it finish what was requested, and wait until that is accepted."""
        self.dismiss()
        self._thread.join()

    def dismiss(self) -> None:
        """Let it finish what was requested, and end."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # where it is gone, so is what it did not finish
            self._process.stdin.write(_STOP)
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as output:
                for answer in _read_answers(output):
                    self._accept(answer)
        finally:
            self._process.kill()  # it has ended, or says what is no seal
            self._process.wait()
            self._ended()  # nobody requests anything any more
            self.dismiss()


def _read_answers(stream: IO[bytes]) -> Iterator[Answer]:
    seals: list[Seal] = []
    while len(prefix := stream.read(_PREFIX_BYTES)) == _PREFIX_BYTES:
        if prefix.startswith(_CHUNKS):
            size = _SIZE.unpack_from(prefix, len(_CHUNKS))[0]
            data = stream.read(size)
            if len(data) < size:
                return
            yield Answer(seals, _decode_chunks(data))
            seals = []
            continue
        frame = prefix + stream.read(seal_bytes(prefix) - len(prefix))
        if len(frame) < seal_bytes(prefix):
            return
        seals.append(decode_seal(frame, 0)[0])


def _encode_chunks(chunks: Chunks) -> bytes:
    data = _PLACE.pack(chunks.first) + b"".join(chunks.roots)
    return _CHUNKS + _SIZE.pack(len(data)) + data


def _decode_chunks(data: bytes) -> Chunks:
    hashes = range(_PLACE.size, len(data), HASH_BYTES)
    return Chunks(_PLACE.unpack_from(data)[0], tuple(data[at : at + HASH_BYTES] for at in hashes))


def main(argument: str) -> None:
    """What the process does: `argument` is the job as JSON, stdin the places that the log reaches, stdout the seals."""
    os.nice(SEALING_NICENESS)
    job = json.loads(argument)
    collection = bytes.fromhex(job["collection"])
    head = Head(job["number"], bytes.fromhex(job["previous"]))
    frontier = Frontier(job["size"], [bytes.fromhex(node) for node in job["frontier"]])
    chain = Chain(door_of(secret_of_helper()), CollectionFiles(Path(job["root"])), collection)
    block = OpenBlock(Sealer(collection, head, frontier), job["limit"], job["beside"])
    at = job["start"]
    while len(request := sys.stdin.buffer.read(_PLACE.size)) == _PLACE.size and request != _STOP:
        (end,) = _PLACE.unpack(request)
        bodies, places = chain.bodies(at, end)
        block.add_many(bodies, places, sum(map(len, bodies)))
        at = end
        for seal in block.seal():
            sys.stdout.buffer.write(encode_seal(seal))
        sys.stdout.buffer.write(_encode_chunks(block.sealer.take_chunks()))
        sys.stdout.buffer.flush()
