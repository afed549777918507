"""The figures of explorer and shell in a terminal: that they are taken, not what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import terminal


@pytest.mark.torture
def test_every_figure_is_taken_and_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "figures.json"
    terminal.main(["--records", "20000", "--keys", "3", "--idle", "1", "--output", str(kept)])
    told = capfd.readouterr().out
    for words in ("first paint", "prompt", "idle", "nobody writes", "full write load", "over 100 ms"):
        assert words in told
    figures = json.loads(kept.read_text())
    assert figures.pop("records") == 20_000
    assert len(figures) == 12
    assert min(figures.values()) >= 0
