"""The commands about themes, and the one line that says why a theme cannot be used."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from blockdb.commands import cli
from blockdb.commands.output import Output
from tests.commands.test_output import COLOUR, Terminal


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLOCKDB_THEMES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command that writes to pipes."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code = cli.run(words, Output(out=out, err=err))
    texts = []
    for stream in (out, err):
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        texts.append(stream.buffer.getvalue().decode())
    return code, texts[0], texts[1]


def test_themes_are_listed_with_ones_own_and_broken_ones(own: Path) -> None:
    (own / "mine.toml").write_text('extends = "paper"\n[roles]\naccent = "#960000"\n')
    (own / "bad.toml").write_text("roles = 7\n")
    code, out, err = run("themes", "--format", "json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert rows["basalt"]["worn"] == "yes"
    assert (rows["mine"]["ground"], rows["mine"]["where"], rows["mine"]["colours"][3]) == (
        "light",
        "your own",
        "#960000",
    )
    assert rows["bad"]["ground"] == "broken"
    assert rows["terminal"]["ground"] == "terminal's"
    assert run("themes", "list", "--format", "json")[1] == out


def test_a_terminal_sees_the_colours(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("COLUMNS", "60")):
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    cli.run(["themes", "show", "fjord"], Output(out=terminal, err=terminal))
    line = next(line for line in terminal.shown().splitlines() if "#f2c48d" in line)
    assert "\x1b[38;2;242;196;141m██\x1b[0m" in line
    assert len(COLOUR.sub("", line)) <= 60
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    cli.run(["themes", "list"], Output(out=plain, err=plain))
    assert "\x1b" not in plain.shown()
    assert "#101418" in plain.shown()


def test_a_file_is_checked_for_what_is_wrong_and_for_who_cannot_read_it(own: Path) -> None:
    (own / "good.toml").write_text('extends = "okabe"\n')
    (own / "faint.toml").write_text('extends = "okabe"\n[roles]\nmuted = "#333333"\nerror = "#58b6e7"\n')
    (own / "bad.toml").write_text('extends = "okabe"\n[roles]\nmutd = "#333333"\n')
    assert run("themes", "check", "good.toml")[0] == 0
    code, out, err = run("themes", "check", "faint.toml")
    assert code == 1
    assert "not by everybody" in out
    assert "roles.muted: its contrast on background is 1." in err
    assert "roles.success, roles.error: they look alike to people with deuteranopia" in err
    code, _, err = run("themes", "check", "bad.toml")
    assert (code, err) == (2, "Error: Usage: theme file bad.toml, roles.mutd: is not a role; did you mean muted?\n")
    assert run("themes", "check", "none.toml")[0] == 2


def test_a_broken_theme_that_was_chosen_is_one_line(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "bad.toml").write_text('extends = "bad2"\n')
    monkeypatch.setenv("BLOCKDB_THEME", "bad")
    code, out, err = run("themes", "show")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "bad.toml, extends: bad2 cannot be used" in err
