"""Temporary directories that do not stay behind, and those of others that do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from blockdb.scratch import OWNER, Scratch

KILLED = "import sys, os, signal; from blockdb.scratch import Scratch; Scratch('ours-'); os.kill(os.getpid(), 9)"


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("ours-of-somebody", "theirs-elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs-elsewhere" / OWNER).touch()
    (tmp_path / "ours-a-link").symlink_to(tmp_path / "theirs-elsewhere")
    foreign = set(tmp_path.iterdir())

    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = set(tmp_path.iterdir()) - foreign
    with Scratch("ours-") as one, Scratch("ours-") as other:
        assert set(tmp_path.iterdir()) == {*foreign, one.path, other.path}
        assert (one.path / OWNER).read_text() == f"{os.getpid()}\n"
        assert not left.exists()
    other.close()
    assert set(tmp_path.iterdir()) == foreign
