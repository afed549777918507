"""Every palette is whole, readable by the standard, and refused with the entry's name when it is broken."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import blockdb_themes as themes
from blockdb_themes import seeing

SHIPPED = themes.shipped_names()


def test_there_is_a_theme_for_everybody() -> None:
    assert themes.names()[0] == themes.DEFAULT
    assert len(SHIPPED) >= 8
    assert {themes.load(name).dark for name in SHIPPED} == {True, False}
    assert {"okabe", "tol", "contrast", "contrast-light", "paper", "terminal", themes.MONOCHROME} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_theme_is_whole(name: str) -> None:
    theme = themes.load(name)
    assert theme.name == name
    assert tuple(theme.roles) == themes.ROLES
    if theme.is_native:
        assert set(theme.roles.values()) <= set(themes.ANSI_COLOURS)
    else:
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in theme.roles.values())
        assert theme.dark == (seeing.contrast(theme.roles["background"], "#ffffff") > 4.5)


def test_monochrome_has_no_colour_and_tells_apart_what_matters() -> None:
    theme = themes.load(themes.MONOCHROME)
    assert set(theme.roles.values()) == {"default"}
    assert len({theme.style(role) for role in seeing.STATES}) == 3
    assert theme.style("text", "selection") != theme.style("text")


def test_what_is_reversed_on_a_reversed_ground_stands_out_of_it() -> None:
    theme = themes.load(themes.MONOCHROME)
    assert theme.style("text", "selection") == {"reverse"}
    assert theme.style("error", "selection") == {"bold"}
    assert themes.load("terminal").colour("error", "selection") == "default"
    assert themes.load("terminal").colour("error", "panel") == "red"


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
    ("broken", "key", "advice"),
    [
        (GOOD.replace('name = "basalt"', 'name = "other"'), "name", 'name = "mine"'),
        (GOOD.replace('name = "basalt"', "name = 7"), "name", "a text"),
        (GOOD.replace("dark = true", 'dark = "yes"'), "dark", "true or false"),
        (GOOD.replace("dark = true", ""), "dark", "extends"),
        (GOOD.replace('muted = "#8c98a7"', ""), "roles.muted", 'extends = "basalt"'),
        (GOOD.replace("#8c98a7", "grey"), "roles.muted", "like #1a2b3c, or a name of the terminal's own"),
        (GOOD.replace("#8c98a7", "bright_black"), "roles.muted", "as those of the others"),
        (GOOD.replace('muted = "#8c98a7"', "muted = 7"), "roles.muted", "a text"),
        (GOOD + 'mutted = "#ffffff"\n', "roles.mutted", "did you mean muted?"),
        (GOOD + '[styles]\nzzz = "bold"\n', "styles.zzz", "there are background, "),
        (GOOD + '[styles]\nkey = "blink"\n', "styles.key", "bold, dim, italic, underline, reverse"),
        (GOOD + "[styles]\nkey = 1\n", "styles.key", "bold reverse"),
        ('author = "me"\n' + GOOD, "author", "is not an entry"),
        ("extends = 3\n" + GOOD, "extends", "the name of a theme"),
        ('extends = "nothing"\n' + GOOD, "extends", "there is no such theme"),
        ("name = ", None, "cannot be read"),
        ("\ufeff", None, "cannot be read"),
        ("a = " + "[" * 9_000, None, "as deep or as large"),
        ("a = " + "9" * 9_000, None, "as deep or as large"),
        ("#" * 20_000, None, "more than 16,384 bytes"),
        (GOOD[: GOOD.index("[roles]")] + "roles = 3\n", "roles", "a table"),
    ],
)
def test_a_broken_file_names_itself_the_entry_and_what_to_write(
    tmp_path: Path, broken: str, key: str | None, advice: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(broken.replace('name = "basalt"', ""), "utf-8")
    with pytest.raises(themes.ThemeError) as caught:
        themes.read(path, themes.load)
    assert (caught.value.file, caught.value.key) == ("mine.toml", key)
    assert "mine.toml" in str(caught.value)
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_file_is_a_theme_error(tmp_path: Path) -> None:
    with pytest.raises(themes.ThemeError, match="cannot be read"):
        themes.read(tmp_path / "none.toml")


def test_importing_pulls_no_terminal_library() -> None:
    code = "import sys, blockdb_themes as t; t.load(t.DEFAULT); print(sorted({'rich', 'textual'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of one's own themes."""
    monkeypatch.setenv("BLOCKDB_THEMES", str(tmp_path))
    return tmp_path


def test_own_themes_are_found_where_the_environment_says(tmp_path: Path) -> None:
    assert themes.directory({"BLOCKDB_THEMES": "/a", "XDG_CONFIG_HOME": "/b"}) == Path("/a")
    assert themes.directory({"XDG_CONFIG_HOME": "/b"}) == Path("/b/blockdb/themes")
    assert themes.directory({"HOME": "/me"}) == Path("/me/.config/blockdb/themes")
    assert themes.own_names({"BLOCKDB_THEMES": str(tmp_path / "nowhere")}) == []


def test_a_theme_extends_another_and_changes_what_it_names(own: Path) -> None:
    (own / "mine.toml").write_text('extends = "fjord"\n[roles]\naccent = "#FF00AA"\n[styles]\nkey = "bold"\n')
    (own / "light.toml").write_text('extends = "mine"\ndark = false\n[styles]\nkey = ""\n')
    fjord, mine, light = themes.load("fjord"), themes.load("mine"), themes.load("light")
    assert mine.roles == {**fjord.roles, "accent": "#ff00aa"}
    assert (mine.dark, mine.style("key")) == (True, {"bold"})
    assert (light.dark, light.roles, light.style("key")) == (False, mine.roles, frozenset())
    assert {"mine", "light"} < set(themes.names())


def test_ones_own_goes_before_the_one_of_that_name_and_may_extend_it(own: Path) -> None:
    shipped = themes.load("fjord")
    (own / "fjord.toml").write_text('extends = "fjord"\n[roles]\naccent = "#ff00aa"\n')
    assert themes.load("fjord").roles == {**shipped.roles, "accent": "#ff00aa"}
    assert themes.load_shipped("fjord") == shipped
    assert themes.names().count("fjord") == 1


def test_themes_that_extend_each_other_are_refused(own: Path) -> None:
    (own / "one.toml").write_text('extends = "two"\n')
    (own / "two.toml").write_text('extends = "one"\n')
    with pytest.raises(themes.ThemeError, match="one → two → one"):
        themes.load("one")
    for number in range(99):
        (own / f"z{number}.toml").write_text(f'extends = "z{number + 1}"\n')
    with pytest.raises(themes.ThemeError, match="extends too many"):
        themes.load("z0")


def test_hostile_files_hang_and_crash_nothing(own: Path) -> None:
    os.mkfifo(own / "fifo.toml")
    (own / "loop.toml").symlink_to("loop.toml")
    (own / "folder.toml").mkdir()
    (own / "gone.toml").symlink_to("nowhere")
    (own / "zero.toml").symlink_to("/dev/zero")
    (own / "bytes.toml").write_bytes(b'name = "\xff"')
    with (own / "huge.toml").open("wb") as file:
        file.truncate(1 << 40)
    (own / "\x1b[2J.toml").touch()
    assert themes.own_names() == ["bytes", "fifo", "folder", "gone", "huge", "loop", "zero"]
    assert len(themes.stamp()) == 7
    for name in themes.own_names():
        with pytest.raises(themes.ThemeError, match=f"{name}.toml: cannot be read"):
            themes.load(name)


def test_a_stamp_is_another_when_a_file_comes_changes_or_goes(own: Path) -> None:
    stamps = [themes.stamp()]
    for text in ('extends = "fjord"\n', 'extends = "paper"\ndark = false\n'):
        (own / "mine.toml").write_text(text)
        stamps.append(themes.stamp())
        assert themes.stamp() == stamps[-1]
    (own / "mine.toml").unlink()
    assert len({*stamps, themes.stamp()}) == 3
    assert themes.stamp() == stamps[0]


def test_no_more_than_a_hundred_are_looked_at(own: Path) -> None:
    for number in range(120):
        (own / f"z{number:03}.toml").touch()
    assert len(themes.own_names()) == 100


def test_the_guide_has_every_role_and_theme() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "THEMES.md").read_text("utf-8")
    for role, meaning in themes.MEANINGS.items():
        assert f"| `{role}` | {meaning} |" in guide
    for name in SHIPPED:
        assert f"| `{name}` |" in guide
