"""How soon explorer and shell answer, in a terminal of their own: `python -m benchmarks.terminal`.

A database of `--records` is explored while another process writes to it as fast as it can, once as a directory and once
over a link to a server that takes 100 ms there and back. It goes by the bytes that reach the terminal: a key has been
answered when the number of the row under the cursor comes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from queue import Queue
from statistics import median, quantiles
from termios import TIOCSWINSZ
from typing import Final

import blockdb

from .serving import cpu_s

BIN: Final = Path(sys.executable).parent
PATIENCE_S: Final = 60.0
BATCH: Final = 10_000
LINK_S: Final = 0.05
"""How long a byte is on its way, each way."""


class Terminal:
    """A program in a pseudo-terminal of 120 by 40."""

    def __init__(self, *command: str, home: Path) -> None:
        environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": str(home)}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as those of an installed program are
        self.began_s = time.perf_counter()
        self.pid, self._screen = pty.fork()
        if not self.pid:
            os.execve(BIN / command[0], command, environ)
        ioctl(self._screen, TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._seen = b""

    def until(self, pattern: bytes) -> float:
        """When it was shown. What came before that is forgotten. Raises TimeoutError."""
        end_s = time.perf_counter() + PATIENCE_S
        while (found := re.search(pattern, self._seen)) is None:
            if not select.select([self._screen], [], [], max(0.0, end_s - time.perf_counter()))[0]:
                raise TimeoutError(f"{pattern!r} was not shown: {self._seen[-2000:]!r}")
            self._seen += os.read(self._screen, 65_536)
        now_s = time.perf_counter()
        self._seen = self._seen[found.end() :]
        return now_s

    def quiet(self, pause_s: float = 0.5) -> None:
        """Takes what comes until nothing does for so long, and for ten times that at the most."""
        end_s = time.perf_counter() + 10 * pause_s
        while time.perf_counter() < end_s and select.select([self._screen], [], [], pause_s)[0]:
            os.read(self._screen, 65_536)
        self._seen = b""

    def press(self, keys: bytes) -> float:
        """Types, and says when."""
        os.write(self._screen, keys)
        return time.perf_counter()

    def listen(self, seconds: float) -> None:
        """Takes what comes for so long."""
        end_s = time.perf_counter() + seconds
        while (left_s := end_s - time.perf_counter()) > 0:
            if select.select([self._screen], [], [], left_s)[0]:
                os.read(self._screen, 65_536)

    def memory_mb(self) -> float:
        """What the process has in memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """Ends it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with suppress(OSError):
            while os.read(self._screen, 65_536):
                pass
        os.waitpid(self.pid, 0)
        os.close(self._screen)


@contextmanager
def shown(*command: str, home: Path) -> Iterator[Terminal]:
    """A program in a terminal."""
    terminal = Terminal(*command, home=home)
    try:
        yield terminal
    finally:
        terminal.close()


def _key(number: int) -> bytes:
    return b"user:%012d" % number


def fill(path: Path, records: int) -> None:
    """The database."""
    with blockdb.open(path) as database:
        for first in range(0, records, BATCH):
            database.put_many([(_key(number), b"%0100d" % number) for number in range(first, first + BATCH)])


def write(path: Path, first: int) -> None:
    """Writes without end, as fast as it can."""
    with blockdb.open(path) as database:
        for number in range(first, sys.maxsize):
            database.put(_key(number), b"%0100d" % number)


@contextmanager
def written(path: Path, first: int) -> Iterator[None]:
    """While another process writes."""
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, first))
    writer.start()
    try:
        yield
    finally:
        writer.kill()
        writer.join()


@contextmanager
def served(path: Path, home: Path) -> Iterator[str]:
    """The URL of a server that has the database, over the slow link."""
    command = [str(BIN / "blockdb"), "server", "-d", str(path), "--port", "0"]
    environ = {**os.environ, "HOME": str(home)}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ) as server,
        socket.create_server(("127.0.0.1", 0)) as door,
    ):
        try:
            assert server.stdout is not None
            found = re.search(rb"http://[\d.]+:(\d+)", server.stdout.readline())
            assert found is not None
            threading.Thread(target=_link, args=(door, int(found[1])), daemon=True).start()
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.terminate()


def _link(door: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            near, _ = door.accept()
            threading.Thread(target=_connected, args=(near, port), daemon=True).start()


def _connected(near: socket.socket, port: int) -> None:
    with near, socket.create_connection(("127.0.0.1", port)) as far:
        back = threading.Thread(target=_carry, args=(far, near), daemon=True)
        back.start()
        _carry(near, far)
        back.join()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Hands on what comes, each piece so much later."""
    on_the_way: Queue[tuple[float, bytes]] = Queue()

    def deliver() -> None:
        with suppress(OSError):
            while True:
                due_s, data = on_the_way.get()
                time.sleep(max(0.0, due_s - time.monotonic()))
                if not data:
                    other.shutdown(socket.SHUT_WR)
                    return
                other.sendall(data)

    delivery = threading.Thread(target=deliver, daemon=True)
    delivery.start()
    data = b"-"
    while data:
        try:
            data = one.recv(65_536)
        except OSError:
            data = b""
        on_the_way.put((time.monotonic() + LINK_S, data))
    delivery.join()


def paints(home: Path, *command: str, times: int = 5) -> tuple[float, float]:
    """Milliseconds to the first thing that is painted, and to the first records: medians."""
    first_ms, records_ms = [], []
    for _ in range(times):
        with shown("blockdb-tui", "--fresh", *command, home=home) as terminal:
            first_ms.append(1000 * (terminal.until(rb"Dashboard") - terminal.began_s))
            terminal.press(b"1")
            records_ms.append(1000 * (terminal.until(rb"user:0") - terminal.began_s))
    return median(first_ms), median(records_ms)


def prompt(home: Path, path: Path, times: int = 5) -> float:
    """Milliseconds until the shell prompts: the median."""
    took_ms = []
    for _ in range(times):
        with shown("blockdb", "-d", str(path), "repl", home=home) as terminal:
            took_ms.append(1000 * (terminal.until(rb"> ") - terminal.began_s))
    return median(took_ms)


def keys(home: Path, *command: str, times: int) -> tuple[float, float]:
    """Milliseconds from a key to what it does, in the table of records: the median and the 95th percentile."""
    took_ms = []
    with shown("blockdb-tui", "--fresh", *command, home=home) as terminal:
        terminal.until(rb"Dashboard")
        terminal.press(b"1")
        terminal.until(rb"user:0")
        terminal.quiet()
        for row in range(2, times + 2):
            pressed_s = terminal.press(b"j")
            took_ms.append(1000 * (terminal.until(rb"[^\d,]%s of" % f"{row:,}".encode()) - pressed_s))
    return median(took_ms), quantiles(took_ms, n=20)[-1]


def idle(home: Path, path: Path, seconds: float) -> tuple[float, float, float]:
    """What the explorer takes of a core when nothing happens, in percent, and its memory before and after, in MB."""
    with shown("blockdb-tui", "--fresh", str(path), home=home) as terminal:
        terminal.until(rb"Dashboard")
        terminal.listen(10)
        before_s, before_mb = cpu_s(terminal.pid), terminal.memory_mb()
        terminal.listen(seconds)
        return 100 * (cpu_s(terminal.pid) - before_s) / seconds, before_mb, terminal.memory_mb()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and keep it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terminal", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the figures are kept too")
    given = parser.parse_args(arguments)
    figures: dict[str, float] = {"records": given.records}

    def tell(what: str, unit: str, goal: str, *values: float) -> None:
        figures.update({f"{what} {number}" if number else what: value for number, value in enumerate(values)})
        print(f"{what:<52}{'  '.join(f'{value:,.1f}' for value in values):>18} {unit:<8}{goal}", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        home, path = Path(directory), Path(directory) / "data"
        fill(path, given.records)
        tell("explorer: first paint, records", "ms", "400", *paints(home, str(path)))
        tell("shell: prompt", "ms", "200", prompt(home, path))
        tell("explorer, idle: of a core; memory before, after", "%, MB", "2", *idle(home, path, given.idle))
        tell("a key, nobody writes: median, p95", "ms", "50", *keys(home, str(path), times=given.keys))
        with written(path, given.records):
            tell("a key, full write load: median, p95", "ms", "50", *keys(home, str(path), times=given.keys))
        with served(path, home) as url:
            tell("a key, over 100 ms: median, p95", "ms", "50", *keys(home, url, times=given.keys))
    print(f"Load average: {' '.join(f'{load:.1f}' for load in os.getloadavg())}, on {os.cpu_count()} cores")
    if given.output is not None:
        given.output.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
