"""Keys of one's own: what a file may say, what is said of a bad one, and where the keys are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockdb_tui.bindings import all_bindings, as_markdown
from blockdb_tui.keymap import Keymap, load_keymap
from blockdb_tui.main import main
from blockdb_tui.screens.help import Help
from blockdb_tui.screens.metrics import MetricsView
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import said, shown
from tests.tui.drive import exploring, press, screen_text

PAGE = Path(__file__).parents[2] / "docs" / "KEYS.md"


def keymap(text: str | bytes, tmp_path: Path) -> Keymap:
    path = tmp_path / "keys.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_keymap(path)


@pytest.mark.torture
async def test_keys_of_ones_own_work_and_are_shown(tmp_path: Path) -> None:
    wanted = keymap('"records.filter" = "f3,&"\nview.metrics = "f6"\n"app.help" = "f1"\n"x.y" = "a"', tmp_path)
    async with exploring(keymap=lambda: wanted) as pilot:
        assert said(pilot) == ["keys.toml, x.y: there is no binding of that name; `blockdb tui --keys` lists them."]
        view = shown(pilot, RecordsView)
        assert "f3 Filter" in screen_text(pilot).splitlines()[-1]
        assert " f6 " in screen_text(pilot).splitlines()[0]
        await press(pilot, "slash")
        assert not view.prompt.asking
        await press(pilot, "ampersand", "n", "o", "enter")
        assert view.prefix == b"no"
        pilot.app.clear_notifications()
        await press(pilot, "f1")
        assert ("f3 &", "Filter") in shown(pilot, Help)._keys
        await press(pilot, "escape", "f6")
        shown(pilot, MetricsView)
        await press(pilot, "1", "3")
        shown(pilot, RecordsView)


@pytest.mark.parametrize(
    ("text", "keys", "complaint"),
    [
        ('[records]\nfilter = ["slash", "ctrl+f"]', {"records.filter": "slash,ctrl+f"}, ""),
        ('records.filter = "alt+x, ^"', {"records.filter": "alt+x,circumflex_accent"}, ""),
        ("records.filter = 3", {}, "records.filter: keys are a text such as"),
        ('records.filter = ["f3", 3]', {}, "records.filter: keys are a text such as"),
        ('records.filter = ""', {}, "records.filter: 'nothing' is no key"),
        ('records.filter = "hyperspace"', {}, "records.filter: 'hyperspace' is no key"),
        ('records.filter = "f3,nokey+a"', {"records.filter": "f3"}, "'nokey+a' is no key"),
        ('records.fliter = "f3"', {}, "there is no binding of that name; did you mean records.filter?"),
        ('records.filter = "ctrl+b"', {"records.filter": "ctrl+b"}, "ctrl+b may not arrive: tmux keeps it"),
        ('records.filter = "o"', {}, "o is that of records.order in the same place; records.filter stays at /."),
        ('records.filter = "o"\nrecords.order = "/"', {"records.filter": "o", "records.order": "slash"}, ""),
        ('records.filter = "f3"\nrecords.order = "f3"', {"records.filter": "f3"}, "records.order stays at o."),
        ('records.filter = "q"', {"records.filter": "q"}, "where it is heard, the key no longer means app.quit."),
        ('app.verify = "slash"', {"app.verify": "slash"}, "is heard, the key means that."),
        ("records.filter = ", {}, "is no TOML file"),
        (b"\xff\xfe", {}, "is no TOML file"),
        (b"#" * 300_000, {}, "is too large"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_counts(
    text: str | bytes, keys: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    found = keymap(text, tmp_path)
    assert found.keys == keys
    assert complaint in "\n".join(found.complaints)
    assert bool(complaint) == bool(found.complaints)


def test_the_usual_file_may_be_missing_and_one_that_is_named_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_keymap() == Keymap()
    assert "is not there" in load_keymap(tmp_path / "keys.toml").complaints[0]
    (tmp_path / "blockdb" / "keys.toml").mkdir(parents=True)
    assert "cannot be read" in load_keymap().complaints[0]


def test_every_default_is_a_key_that_a_file_could_name(tmp_path: Path) -> None:
    text = "".join(f'"{bound.id}" = "{",".join(bound.keys)}"\n' for bound in all_bindings().values())
    found = keymap(text, tmp_path)
    assert dict(found.keys) == {bound.id: ",".join(bound.keys) for bound in all_bindings().values()}
    assert not any("no key" in words or "may not arrive" in words for words in found.complaints)


def test_keys_are_printed_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(all_bindings())
    assert next(line.split() for line in lines if line.startswith("records.filter"))[:2] == ["records.filter", "/"]


def test_the_page_of_keys_is_current() -> None:
    assert as_markdown() == PAGE.read_text(), "run `python -m blockdb_tui.bindings > docs/KEYS.md`"
