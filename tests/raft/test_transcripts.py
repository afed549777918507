"""The classical scenarios, as text: `RAFT_REWRITE=1 make test ARGS=tests/raft` writes down what happens now."""

import os
from pathlib import Path

import pytest

from tests.raft.transcript import Interpreter

FOLDER = Path(__file__).parent / "transcripts"
MARK = "----"


def play(text: str) -> str:
    """The transcript with what comes of its commands. Blocks are separated by empty lines."""
    interpreter = Interpreter()
    blocks = []
    for block in text.strip().split("\n\n"):
        commands = block.partition(f"\n{MARK}")[0]
        if all(line.startswith("#") for line in commands.splitlines()):
            blocks.append(commands)
        else:
            blocks.append(f"{commands}\n{MARK}\n{interpreter.run(commands)}")
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_what_happens_is_what_is_written(path: Path) -> None:
    text = path.read_text()
    played = play(text)
    if os.environ.get("RAFT_REWRITE"):
        path.write_text(played)
    else:
        assert played == text
