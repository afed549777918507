"""What the explorer wears: its user's themes as they are saved, none that is broken, and no colours with NO_COLOR."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from rich.color import ColorType
from rich.style import Style
from textual.pilot import Pilot

import blockdb
import blockdb_themes
from blockdb_tui.screens.themes import ThemePicker
from blockdb_tui.theme import Wardrobe, palette
from tests.tui.covering import app_of, said, shown
from tests.tui.drive import exploring, press, screen_text, settled
from tests.tui.test_main import on_terminal


def styles(pilot: Pilot[Any]) -> set[Style]:
    """Every style on the screen, as it goes to the terminal."""
    strips = pilot.app.screen._compositor.render_strips()
    return {segment.style for strip in strips for segment in strip if segment.style is not None}


def colours(pilot: Pilot[Any]) -> set[str]:
    found = {colour for style in styles(pilot) for colour in (style.color, style.bgcolor) if colour is not None}
    return {colour.name for colour in found}


async def saved(pilot: Pilot[Any], path: Path, text: str) -> None:
    """Saves a theme, as an editor would, and has the explorer look."""
    rough = path.with_suffix(".new")
    rough.write_text(text)
    os.replace(rough, path)
    app_of(pilot).dresser.look()
    await settled(pilot)


@pytest.mark.torture
async def test_own_themes_are_worn_as_they_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_THEMES", str(tmp_path))
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "fjord"\n[roles]\naccent = "#ff00aa"\n')
    async with exploring(theme="mine") as pilot:
        app = app_of(pilot)
        assert "#ff00aa" in colours(pilot)

        await saved(pilot, mine, 'extends = "fjord"\n[roles]\naccent = "#00ffaa"\nbackground = "#010203"\n')
        assert {"#00ffaa", "#010203"} <= colours(pilot)
        assert "#ff00aa" not in colours(pilot)
        assert not said(pilot)

        await saved(pilot, mine, 'extends = "fjord"\n[roles]\nacent = "#123456"\n')
        assert "mine.toml, roles.acent: is not a role; did you mean accent?" in said(pilot)[-1]
        assert "#00ffaa" in colours(pilot)
        app.dresser.look()
        await settled(pilot)
        assert len(said(pilot)) == 1

        await press(pilot, "t")
        picker = shown(pilot, ThemePicker)
        assert "mine" in screen_text(pilot)
        await saved(pilot, tmp_path / "other.toml", "[/oops]")
        assert "other.toml: cannot be read" in said(pilot)[-1]
        await saved(pilot, tmp_path / "other.toml", 'extends = "mine"\n')
        assert "mine.toml" in said(pilot)[-1]  # which is still broken
        await saved(pilot, mine, 'extends = "terminal"\n[roles]\naccent = "bright_red"\n')
        assert "other" in app.wardrobe.names
        assert app.screen is picker
        assert "bright_red" in colours(pilot)
        await press(pilot, "j")
        assert app.theme == "monochrome"
        assert colours(pilot) == {"default"}
        await press(pilot, "escape")
        assert app.theme == "mine"
        mine.unlink()
        app.dresser.look()
        await settled(pilot)
        assert palette(app)["accent"] == "bright_red"


@pytest.mark.torture
async def test_without_colours_there_are_none_on_any_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with exploring(theme="fjord") as pilot:
        assert app_of(pilot).theme == blockdb_themes.MONOCHROME
        await press(pilot, "t")
        assert "NO_COLOR is set" in said(pilot)[-1]
        for keys in ([], ["question_mark"], ["escape", "slash", "a"], ["escape", "2"], ["3"], ["ctrl+p"]):
            await press(pilot, *keys)
            shown_styles = styles(pilot)
            assert any(style.reverse for style in shown_styles)
            kinds = {c.type for style in shown_styles for c in (style.color, style.bgcolor) if c is not None}
            assert kinds <= {ColorType.DEFAULT}


def test_nothing_waits_for_a_theme_that_nobody_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_THEMES", str(tmp_path))
    os.mkfifo(tmp_path / "fifo.toml")
    wardrobe = Wardrobe()
    found = wardrobe.look()
    assert found is not None
    assert [error.file for error in found[1]] == ["fifo.toml"]
    assert wardrobe.look() is None


@pytest.mark.torture
def test_no_colour_code_reaches_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b'{"a": [1, true, null, "x"]}')
    with on_terminal(str(tmp_path / "db")) as terminal:
        terminal.wait_for(b"attached")
        terminal.press(b"1")
        terminal.wait_for(b"json")
        codes = re.findall(rb"\x1b\[([\d;]+)m", terminal.seen)
        assert codes
        assert {part for code in codes for part in code.split(b";")} <= {b"0", b"1", b"4", b"7", b"39", b"49"}
        terminal.press(b"q")
        assert terminal.read_to_the_end() == 0
