"""The NATS servers that nodes start: watched, started again, ended with their node; alone and in groups."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.monitoring import META
from blockdb.cluster.partitions.engine import ROOT
from blockdb.errors import ConfigError, InvalidData, StorageError, Unavailable
from blockdb.format.consensus import Member, Members
from tests.cluster.conformance import until
from tests.cluster.jetstream.nodes import (
    ENDS_S,
    engine,
    group_of,
    member,
    put,
    servers_of,
    settings_for,
    start_all,
    started,
    wait_for,
)
from tests.ports import free_port


def is_there(pid: int) -> bool:
    """Whether a process of that id still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.torture
def test_a_server_alone_is_a_group_that_survives_kills(tmp_path: Path) -> None:
    own = member("a")
    with started(settings_for(tmp_path, own)) as running:
        server = running.server
        assert server is not None
        root = tmp_path / "a" / "nats"
        names = {path.name for path in root.iterdir()}
        assert names == {"founded", "lock", "log", "ports.toml", "server.conf", "store"}
        assert (root / "server.conf").stat().st_mode & 0o777 == 0o600
        meta = group_of(running, META)
        assert meta is not None
        assert ([peer.name for peer in meta.peers], meta.leader, meta.term >= 1) == (["a"], "a", True)
        events = []
        running.subscribe(events.append)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: server.starts == 2 and server.pid, "it is started again")
        until(lambda: any(event.what == "connected to NATS" for event in events), "the node is connected again")
        assert "nats-server ended (-9)" in next(event.what for event in events if event.kind == "server")
        until(lambda: group_of(running, META) is not None, "it leads itself again")
        running.create("later", Members((own,)), 1)
        pid, port = server.pid, server.monitor[1]
    assert not is_there(pid), "it ends with the node"
    with started(settings_for(tmp_path, own)) as running:
        assert set(running.rosters()) == {ROOT, "later"}
        assert running.server is not None
        assert running.server.monitor[1] == port, "ports stay while nobody else takes them"


def test_others_must_not_pretend_to_be_nodes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0, and without TLS"):
        ManagedServer(settings_for(tmp_path, member("a"), listen_address="0.0.0.0:7000"))
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1, and without TLS"):
        ManagedServer(settings_for(tmp_path, Member("a", "192.0.2.1:1", "192.0.2.1:2")))
    ManagedServer(settings_for(tmp_path, member("a"), listen_address="0.0.0.0:7000", insecure_public=True))


def test_no_server_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigError, match=r"no nats-server on the PATH.*nats_url"):
        engine(settings_for(tmp_path, member("a")))


def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = Member("a", "127.0.0.1:1", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StorageError, match=r"does not start: .*address already in use"):
            engine(settings_for(tmp_path, own)).start()


SILENT = """
import subprocess, sys
from pathlib import Path
from blockdb.cluster.jetstream.process import lines_of, start_server
root = Path(sys.argv[1])
process = start_server(root / "silent", root / "config", root / "lock")
assert lines_of(process).readline()
print(process.pid, flush=True)
sys.stdin.read()
"""
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.format.consensus import Member, Members
own = Member("a", "127.0.0.1:1", sys.argv[2])
server = ManagedServer(JetStreamSettings(own, Path(sys.argv[1]), "c", bootstrap=Members((own,))))
server.start(20)
print(server.pid, flush=True)
sys.stdin.read()
"""


linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for a signal, as Linux takes it")


@pytest.mark.torture
@linux
def test_a_server_does_not_outlive_a_node_that_is_killed(tmp_path: Path) -> None:
    end_with_its_node([PROGRAM, str(tmp_path), f"127.0.0.1:{free_port()}"])


@linux
def test_what_says_nothing_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho started >&2\nexec sleep 60\n")
    silent.chmod(0o700)
    end_with_its_node([SILENT, str(tmp_path)])


def end_with_its_node(program: list[str]) -> None:
    """See that what a program starts is gone once the program was killed."""
    command = [sys.executable, "-c", *program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdout is not None
        pid = int(node.stdout.readline())
        assert is_there(pid)
        node.kill()
    until(lambda: not is_there(pid), "the server has ended", ENDS_S)


@contextmanager
def cluster(root: Path, ids: str) -> Iterator[dict[str, JetStreamEngine]]:
    """Nodes that begin a cluster together, each with a server."""
    members = Members(tuple(member(id_) for id_ in ids))
    engines = {each.id: engine(settings_for(root, each, bootstrap=members)) for each in members.all}
    with ExitStack() as stack:
        for each in engines.values():
            stack.callback(each.close)
        start_all(engines.values())
        yield engines


@pytest.mark.torture
def test_a_group_grows_and_shrinks(tmp_path: Path) -> None:
    with cluster(tmp_path, "abc") as nodes, ExitStack() as stack:
        for partition in (ROOT, "rosters"):
            wait_for(nodes["a"], partition, "abc")
        with pytest.raises(InvalidData, match="a is this node"):
            nodes["a"].forget("a")
        peers = tuple(each.own.peer_address for each in nodes.values())
        late = stack.enter_context(started(settings_for(tmp_path, member("d"), join=peers[:1])))
        until(lambda: len(servers_of(late, META)) == 4, "the fourth belongs to them", ENDS_S)
        nodes["b"].close()
        late.forget("b")
        late.shared.rosters.change(ROOT, lambda roster: roster and roster.without("b"))
        for partition in (META, ROOT, "rosters"):
            wait_for(late, partition, "acd")
        until(lambda: "b" not in nodes["a"].rosters()[ROOT], "everybody knows that it is gone", ENDS_S)


@pytest.mark.torture
def test_one_becomes_three(tmp_path: Path) -> None:
    first = member("a")
    with ExitStack() as stack:
        nodes = [stack.enter_context(started(settings_for(tmp_path, first)))]
        for id_ in "bc":
            settings = settings_for(tmp_path, member(id_), join=(first.peer_address,))
            nodes.append(stack.enter_context(started(settings)))
        for partition in (META, ROOT, "rosters"):
            wait_for(nodes[0], partition, "abc")


@pytest.mark.torture
def test_without_a_majority_nobody_starts(tmp_path: Path) -> None:
    with cluster(tmp_path, "abc") as nodes:
        settings = nodes["a"].shared.settings
        for each in nodes.values():
            each.close()
        with pytest.raises(Unavailable, match="more than half of the servers"):
            engine(replace(settings, start_timeout_s=3)).start()


@pytest.mark.torture
@linux
def test_a_server_without_room_comes_back_once_there_is(tmp_path: Path) -> None:
    with cluster(tmp_path, "abc") as nodes:
        server, shared = nodes["a"].server, nodes["b"].shared
        assert server is not None
        for partition in (META, ROOT):
            wait_for(nodes["b"], partition, "abc")
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # no file grows beyond that
        for _ in range(20):
            put(nodes["b"], ROOT, bytes(120_000))
        until(lambda: server.starts == 2 and server.pid, "it is started anew where there is room", ENDS_S)
        wait_for(nodes["b"], ROOT, "abc")
        state = shared.streams.state(ROOT)
        assert state is not None
        assert state.messages == 20
