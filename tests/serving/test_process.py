"""The process: what it tells systemd, how it ends, and what it does when it is told twice."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from blockdb.errors import InvalidData, StorageError
from blockdb.serving.listening import is_loopback, listen, room_for, url_of
from tests.serving.family import answers, connected, said

POST = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


@contextmanager
def serving(stop_timeout_s: float = 20, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    """A process that serves, and its address; it is gone after the block."""
    words = [sys.executable, "-m", "tests.serving.served_process", str(stop_timeout_s)]
    environ = {**os.environ, **more}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
        try:
            assert process.stdout is not None
            url = urlsplit(process.stdout.readline().decode().strip())
            yield process, (str(url.hostname), int(url.port or 0))
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def begun(connection: socket.socket) -> None:
    """A request that the server has begun to answer, and which it cannot finish before two more bytes come."""
    connection.sendall(POST)
    received = b""
    while b"begun" not in received:
        received += connection.recv(1000)


def is_closed_to_others(address: tuple[str, int]) -> bool:
    """Whether nobody new is answered."""
    try:
        return not answers(address, b"GET / HTTP/1.1\r\n\r\n")
    except OSError:
        return True


def test_what_was_begun_is_finished_and_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        with serving(NOTIFY_SOCKET=str(tmp_path / "notify")) as (process, address), connected(address) as connection:
            assert told.recv(1000).startswith(b"READY=1")
            process.send_signal(signal.SIGHUP)
            assert told.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert told.recv(1000).startswith(b"READY=1")
            assert line(process) == "reloaded"
            begun(connection)
            process.send_signal(signal.SIGTERM)
            assert told.recv(1000) == b"STOPPING=1"
            assert is_closed_to_others(address)
            connection.sendall(b"ab")
            assert b"done" in said(connection)
            assert line(process) == "ended in order"
            assert process.wait(20) == 0


def test_a_second_signal_ends_it_at_once() -> None:
    with serving() as (process, address), connected(address) as connection:
        begun(connection)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"SIGINT" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_what_takes_too_long_is_cut_off() -> None:
    with serving(stop_timeout_s=0.1) as (process, address), connected(address) as connection:
        begun(connection)
        process.send_signal(signal.SIGTERM)
        assert b"done" not in said(connection)
        assert line(process) == "ended in order"


@pytest.mark.torture
def test_a_socket_that_systemd_hands_over() -> None:
    """A small program stands for systemd: it has the socket as descriptor 3, and becomes the server."""
    with listen("127.0.0.1", 0) as listening:
        place = listening.getsockname()
        become = "[sys.executable, '-m', 'tests.serving.served_process', '1']"
        script = (
            f"import os, sys; os.dup2({listening.fileno()}, 3)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            f"os.execv(sys.executable, {become})"
        )
        words = [sys.executable, "-c", script]
        with subprocess.Popen(words, stdout=subprocess.PIPE, pass_fds=[listening.fileno()]) as process:
            assert line(process) == f"http://127.0.0.1:{place[1]}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_files_keep_their_half_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    given = dict[str, tuple[int, int]]()
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.update(limits=limits))
    for soft, hard, room, raised in (
        (1024, 4096, 1000, (4096, 4096)),
        (1024, 1024, 512, (1024, 1024)),
        (1024, resource.RLIM_INFINITY, 1000, (9192, resource.RLIM_INFINITY)),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, found=(soft, hard): found)
        assert (room_for(1000), given["limits"]) == (room, raised)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100_000, 100_000))
    given.clear()
    assert room_for(1000) == 1000
    assert not given


def test_addresses() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert url_of(listening, "https") == f"https://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(StorageError, match="is in use by another program"):
            listen("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(StorageError, match="is not an address of this machine"):
        listen("192.0.2.1", 0)
    with pytest.raises(InvalidData, match="is no address of this machine"):
        listen("nowhere.invalid", 0)
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
