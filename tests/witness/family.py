"""A log in memory with the checkpoints and proofs that a witness is sent, and ways to ask one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import NoteSigner
from blockdb.ledger.proof import consistency_proof
from blockdb.witness.protocol import encode_submission
from blockdb.witness.witness import Answer, Witness
from tests.ledger import reference

ORIGIN = "example.org/log"
SIGNER = NoteSigner(ORIGIN, b"l" * 32)
NAME = "witness.example/w1"


@dataclass(frozen=True)
class Log:
    """A log whose records from `fork` on are those of another history."""

    history: bytes = b""
    fork: int = 1 << 30
    signer: NoteSigner = SIGNER
    origin: str = ORIGIN

    def note(self, size: int) -> str:
        """The signed checkpoint of so many records."""
        return self.signer.sign(Checkpoint(self.origin, size, self.root(0, size)).text)

    @cache  # noqa: B019 - a log is made for one test
    def root(self, start: int, stop: int) -> bytes:
        """The root over these records, by the recursion of the standard."""
        if stop - start == 1:
            return reference.leaf(b"%d %s" % (start, self.history if start >= self.fork else b""))
        if stop == start:
            return reference.root([])
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        return reference.node(self.root(start, middle), self.root(middle, stop))

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        """That the tree of `size` extends that of `old`."""
        return tuple(consistency_proof(old, size, lambda level, i: self.root(i << level, (i + 1) << level)))

    def body(self, old: int, size: int) -> bytes:
        """The request to cosign `size` after `old`."""
        return encode_submission(old, self.proof(old, size), self.note(size))


@dataclass(frozen=True)
class Reply:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(application: Any, method: str, path: str, pieces: Sequence[bytes] = (b"",)) -> Reply:
    """Ask an ASGI application, the body in pieces."""
    messages = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(application(scope, receive, send))
    start = sent[0]
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def start_witness(root: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Serve a witness in a process of its own, on a free port; gives the process and the URL."""
    words = [sys.executable, "-m", "blockdb.commands.main", "witness", "serve", str(root), "--port", "0"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert " listens on http://127.0.0.1:" in line, line
    return process, line.split()[-1]


def end(process: subprocess.Popen[bytes], how: Callable[[], None]) -> int:
    """End the process that way, and give its exit code."""
    how()
    _, errors = process.communicate(timeout=30)
    assert b"Traceback" not in errors
    return process.returncode


@contextmanager
def served_here(witness: Witness, *, shows: bool = True) -> Iterator[str]:
    """A witness in a thread of this process, at this URL; without `shows` it has nothing beyond the protocol."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(witness.add(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            note = witness.last_note(self.path.rpartition("/")[2]) if shows else None
            self._answer(Answer(404, "") if note is None else Answer(200, note))

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
