"""Fenced blocks of documents, and how they are run: `sh`, `bash`, `python`, and `console` with what is printed.

`sh`, `bash` and `python` blocks must succeed. In a `console` block each `$ ` line is run and must print the lines below
it, where `...` stands for anything. Other languages are only shown. A block under a line `<!-- not run: REASON -->` is
not run here.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

BIN = Path(sys.executable).parent
PATIENCE_S = 240
SERVED_AT = "8765"
"""The port of the examples."""

FENCE = re.compile(r"\s*```(\w*)\s*$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it says, and whether it is to be run."""

    section: str
    line: int
    language: str
    text: str
    marked: bool

    @property
    def runs(self) -> bool:
        return not self.marked and self.language in RUNNERS


def blocks(document: str) -> Iterator[Block]:
    section, above = "", ""
    lines = enumerate(document.splitlines(), start=1)
    for number, line in lines:
        if line.startswith("## "):
            section = line[3:].strip()
        elif fence := FENCE.match(line):
            body = itertools.takewhile(lambda numbered: not FENCE.match(numbered[1]), lines)
            text = "\n".join(inner for _, inner in body)
            yield Block(section, number, fence[1], text, NOT_RUN.fullmatch(above) is not None)
        above = line.strip() or above


def run(command: list[str], directory: Path, *before: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would; `before` are directories whose programs count first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLOCKDB_")}
    path = os.pathsep.join(map(str, [*before, BIN, os.environ["PATH"]]))
    environment = kept | {"PATH": path, "HOME": str(directory), "TERM": "dumb"}
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def run_shell(text: str, directory: Path, *before: Path) -> None:
    text = text.replace(SERVED_AT, str(free_port()))  # somebody else may have that one
    result = run(["bash", "-euo", "pipefail", "-c", text], directory, *before)
    assert result.returncode == 0, result.stdout


def run_python(text: str, directory: Path, *before: Path) -> None:
    result = run([sys.executable, "-c", text], directory, *before)
    assert result.returncode == 0, result.stdout


def run_console(text: str, directory: Path, *before: Path) -> None:
    commands = re.split(rf"^{re.escape(PROMPT)}", text, flags=re.MULTILINE)
    assert not commands[0].strip(), "a console block begins with a prompt"
    for command, _, expected in (part.partition("\n") for part in commands[1:]):
        printed = run(["bash", "-c", command], directory, *before).stdout.rstrip()
        pattern = re.escape(expected.rstrip()).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, printed, re.DOTALL), f"$ {command}\n{printed}\n--- expected\n{expected}"


RUNNERS: dict[str, Callable[..., None]] = {
    "bash": run_shell,
    "console": run_console,
    "python": run_python,
    "sh": run_shell,
}
