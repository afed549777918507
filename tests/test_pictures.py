"""The pictures of the documentation: each is taken by `make pictures`, is shown somewhere, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 400_000


def test_every_picture_is_taken_and_shown() -> None:
    kept = {path.stem for path in PICTURES.glob("*.svg")}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"\(\S*pictures/(\w+)\.svg\)", page.read_text("utf-8"))}
    script = (PICTURES / "make.py").read_text("utf-8")
    assert kept == shown
    assert all(f'"{name}"' in script for name in kept)
    assert all(path.stat().st_size < MOST_BYTES for path in PICTURES.glob("*.svg"))
