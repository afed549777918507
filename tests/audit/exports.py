"""A static export for tests, made the plain way; and a server of files on the loopback."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import leaf_hash, root_of
from blockdb.ledger.note import NoteSigner
from blockdb.ledger.tiles import TILE_WIDTH, tiles_of

SIGNER = NoteSigner("example.org/log", bytes(32))


def entry(number: int) -> bytes:
    return b"entry %d" % number + bytes(number % 7)


def write(root: Path, path: str, data: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


def export(root: Path, entries: Sequence[bytes], signer: NoteSigner = SIGNER) -> Path:
    """Write everything that public tools expect."""
    size = len(entries)
    hashes = [leaf_hash(each) for each in entries]
    checkpoint = Checkpoint(signer.key.name, size, root_of(hashes))
    write(root, "checkpoint", signer.sign(checkpoint.text).encode())
    for tile in tiles_of(size):
        part = entries[tile.number * TILE_WIDTH :][: tile.width]
        write(root, tile.entries_path, b"".join(len(each).to_bytes(2, "big") + each for each in part))
    level = 0
    while size >> 8 * level:
        for tile in tiles_of(size, level):
            write(root, tile.path, b"".join(hashes[tile.number * TILE_WIDTH :][: tile.width]))
        hashes = [root_of(hashes[at : at + TILE_WIDTH]) for at in range(0, len(hashes) // 256 * 256, TILE_WIDTH)]
        level += 1
    return root


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and keeps connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(root: Path, handler: type[BaseHTTPRequestHandler] | None = None) -> Iterator[str]:
    """The address of a server of this directory."""
    kind = partial(Quiet, directory=str(root)) if handler is None else handler
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
