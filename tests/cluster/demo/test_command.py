"""`blockdb cluster demo` as a whole: real nodes, a leader, faults, and nothing left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.demo.test_processes import wait_until
from tests.tui.test_main import on_terminal

pytestmark = pytest.mark.torture

PATIENCE_S = 90.0
"""Three nodes, their explorer and a writer start at once, perhaps on a busy machine."""
PROGRAM = [sys.executable, "-m", "blockdb.commands.main", "cluster", "demo"]


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(path.parent.name))
    return found


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_it_prints_addresses_a_leader_and_what_was_stored(tmp_path: Path) -> None:
    command = [*PROGRAM, "--no-explorer", "--seconds", "5", "--dir", str(tmp_path / "demo")]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["node_id"] for line in lines[:3]] == ["node1", "node2", "node3"]
        assert lines[3]["leader"] in ("node1", "node2", "node3")
        assert lines[-1]["stored"] > 10
    assert {path.name for path in (tmp_path / "demo").glob("*.log")} == {"node1.log", "node2.log", "node3.log"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(
        [*PROGRAM, "--no-explorer"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    with demo.stdout, demo.stderr:
        while b"leader" not in (line := demo.stdout.readline()):
            assert line, demo.stderr.read()
        nodes = children_of(demo.pid)
        assert len(nodes) == 3
        demo.send_signal(number)
        demo.wait(60)
    wait_until(lambda: are_gone(nodes))
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--nodes", "9", "--no-explorer"), 1, "3 to 5 nodes, not 9"),
        (("--seconds", "9"), 2, "--seconds goes with --no-explorer"),
        ((), 2, "off one, use --no-explorer"),
    ],
)
def test_what_it_cannot_do_it_says(words: tuple[str, ...], code: int, said: str) -> None:
    command = [*PROGRAM, *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert said in done.stderr


def test_a_leader_is_killed_with_a_key_and_another_one_is_elected(tmp_path: Path) -> None:
    with on_terminal("-m", "blockdb.commands.main", "cluster", "demo", program=[sys.executable]) as terminal:
        terminal.wait_for(b"majority", PATIENCE_S)
        nodes = children_of(terminal.process.pid)
        terminal.wait_for(b"following", PATIENCE_S)
        terminal.press(b"x")
        terminal.wait_for(b"killed", PATIENCE_S)
        terminal.wait_for(b"2 of 3", PATIENCE_S)
        terminal.press(b"r")
        terminal.wait_for(b"started again", PATIENCE_S)
        terminal.press(b"q")
        assert terminal.read_to_the_end() == 0
        assert terminal.words() == ""
    wait_until(lambda: are_gone(nodes))
