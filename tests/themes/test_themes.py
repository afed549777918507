"""Every palette is whole, readable by the standard, and refused with the entry's name when it is broken."""

from __future__ import annotations

import dataclasses
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import blockdb_themes as themes

GROUNDS = ("background", "surface", "panel")
WORDS = (
    *("text", "muted", "accent", "primary", "secondary", "success", "warning", "error"),
    *("key", "string", "number", "boolean", "null"),
)
GRAPHS = ("graph1", "graph2", "graph3", "graph4")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_there_is_a_dark_a_light_and_a_colour_blind_safe_theme() -> None:
    assert themes.names()[0] == themes.DEFAULT
    assert {themes.load(name).dark for name in themes.names()} == {True, False}
    assert "okabe" in themes.names()


@pytest.mark.parametrize("name", themes.names())
def test_theme_is_whole(name: str) -> None:
    theme = themes.load(name)
    assert theme.name == name
    assert tuple(theme.roles) == themes.ROLES
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in theme.roles.values())
    assert theme.dark == (luminance(theme.roles["background"]) < 0.5)


@pytest.mark.parametrize("name", themes.names())
def test_words_can_be_read_on_every_ground(name: str) -> None:
    roles = themes.load(name).roles
    weak = [
        (role, ground, round(contrast(roles[role], roles[ground]), 2))
        for role in WORDS
        for ground in GROUNDS
        if contrast(roles[role], roles[ground]) < 4.5
    ]
    assert not weak


@pytest.mark.parametrize("name", themes.names())
def test_the_selected_row_can_be_read(name: str) -> None:
    roles = themes.load(name).roles
    assert contrast(roles["text"], roles["selection"]) >= 4.5
    assert contrast(roles["muted"], roles["selection"]) >= 3


@pytest.mark.parametrize("name", themes.names())
def test_graphs_stand_out_from_the_ground(name: str) -> None:
    roles = themes.load(name).roles
    assert all(contrast(roles[graph], roles["background"]) >= 3 for graph in GRAPHS)


def test_a_theme_cannot_be_changed() -> None:
    theme = themes.load(themes.DEFAULT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        theme.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        theme.roles["text"] = "#000000"  # type: ignore[index]


def test_an_unknown_theme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(themes.ThemeError, match="basalt"):
        themes.load("../basalt")


GOOD = (Path(themes.__file__).parent / "basalt.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("broken", "key"),
    [
        (GOOD.replace('name = "basalt"', ""), "name"),
        (GOOD.replace("dark = true", 'dark = "yes"'), "dark"),
        (GOOD.replace('muted = "#8c98a7"', ""), "roles.muted"),
        (GOOD.replace("#8c98a7", "grey"), "roles.muted"),
        (GOOD.replace('muted = "#8c98a7"', "muted = 7"), "roles.muted"),
        (GOOD + 'shine = "#ffffff"\n', "roles.shine"),
        ('author = "me"\n' + GOOD, "author"),
        ("name = ", None),
        (GOOD[: GOOD.index("[roles]")] + "roles = 3\n", "roles"),
    ],
)
def test_a_broken_file_names_itself_and_the_entry(tmp_path: Path, broken: str, key: str | None) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(broken, "utf-8")
    with pytest.raises(themes.ThemeError) as caught:
        themes.read(path)
    assert (caught.value.file, caught.value.key) == ("mine.toml", key)
    assert "mine.toml" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_file_is_a_theme_error(tmp_path: Path) -> None:
    with pytest.raises(themes.ThemeError, match="cannot be read"):
        themes.read(tmp_path / "none.toml")


def test_importing_pulls_no_terminal_library() -> None:
    code = "import sys, blockdb_themes as t; t.load(t.DEFAULT); print(sorted({'rich', 'textual'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
