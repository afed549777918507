"""A server process with both doors, told to end or killed while clients write: nothing acknowledged is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest

import blockdb
from tests.ports import free_port
from tests.server.grpc.conftest import Stubs
from tests.storage.doors import until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(120)]

WRITERS = 4
ACKNOWLEDGED = 300


class Writers:
    """Clients that write until nobody answers any more, and what they were told."""

    def __init__(self, port: int, stubs: Stubs) -> None:
        self.acknowledged: list[bytes] = []
        self.codes: set[str] = set()
        self._port = port
        self._stubs = stubs
        self.threads = [threading.Thread(target=self._write, args=(each,)) for each in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _write(self, number: int) -> None:
        pb2 = self._stubs.pb2
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{self._port}", options=options) as channel:
            stub = self._stubs.pb2_grpc.BlockDBStub(channel)
            for each in range(1_000_000):
                key = b"%d/%d" % (number, each)
                try:
                    stub.Put(pb2.Put(key=key, value=key), wait_for_ready=each == 0, timeout=30)
                except grpc.RpcError as error:
                    self.codes.add(error.code().name)
                    return
                self.acknowledged.append(key)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_acknowledged_is_lost(tmp_path: Path, stubs: Stubs, how: signal.Signals) -> None:
    root, port = tmp_path / "db", free_port()
    blockdb_program = str(Path(sys.executable).with_name("blockdb"))
    command = [blockdb_program, "-d", str(root), "server", "--port", "0", "--grpc-port", str(port)]
    with (tmp_path / "told").open("wb") as told:
        server = subprocess.Popen(command, stdout=told, stderr=told, cwd=tmp_path)
    try:
        writers = Writers(port, stubs)
        until(lambda: len(writers.acknowledged) >= ACKNOWLEDGED)
        until(lambda: len({key[:1] for key in list(writers.acknowledged)}) == WRITERS)
        server.send_signal(how)
        for thread in writers.threads:
            thread.join(60)
        server.wait(60)
    finally:
        server.kill()
        server.wait()
    assert server.returncode == (0 if how is signal.SIGTERM else -how), (tmp_path / "told").read_text()
    assert writers.codes <= {"UNAVAILABLE", "CANCELLED"}
    with blockdb.open(root) as database:
        assert [key for key in writers.acknowledged if database.get(key) != key] == []
        assert database.verify().valid
