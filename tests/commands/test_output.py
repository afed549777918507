"""What reaches a terminal: tables that fit, colours by theme, and never a control character of the data."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import blockdb
import blockdb_themes
from blockdb.commands import cli
from blockdb.commands.colour import Palette, default_theme, json_spans, palette, wants_colour
from blockdb.commands.failures import UsageError
from blockdb.commands.output import Output, is_terminal
from blockdb.commands.render import render
from blockdb.commands.results import Records, Result, Value, Words

HOSTILE = [
    (b"\x1b]52;c;QUFB\x07", b"\x1b[2J\x9b31m\xc2\x9b31m"),
    ("\u202ekey".encode(), b"[/foo] \r\n\t\x00\xff"),
    (b"[bold]", '{"a": "\u2028\x7f", "b": [1, true, null]}'.encode()),
    ("日本語".encode(), ("wide 日本語 " * 40).encode()),
]
COLOUR = re.compile(r"\x1b\[(?:0|38;[25];[\d;]+)m")


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8")

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns with all colours."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return Terminal()


def shown(terminal: Terminal, result: Result, format: str | None = None) -> str:
    """What the terminal shows of a result."""
    before = len(terminal.shown())
    output = Output(out=terminal, err=terminal)
    render(result, output, format)
    output.flush()
    return terminal.shown()[before:]


def run(terminal: Terminal, *words: str) -> str:
    """What the terminal shows of a run."""
    before = len(terminal.shown())
    cli.run(words, Output(out=terminal, err=terminal))
    return terminal.shown()[before:]


def assert_safe(text: str) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", COLOUR.sub("", text))


@pytest.mark.parametrize("format", [None, "table", "json", "jsonl", "csv", "raw"])
def test_hostile_records_are_harmless_in_every_format(terminal: Terminal, format: str | None) -> None:
    assert_safe(shown(terminal, Records(iter(HOSTILE)), format))


@pytest.mark.parametrize("format", [None, "json", "csv", "raw"])
@pytest.mark.parametrize(("key", "value"), HOSTILE)
def test_hostile_values_are_harmless_in_every_format(
    terminal: Terminal, format: str | None, key: bytes, value: bytes
) -> None:
    assert_safe(shown(terminal, Value(key, value), format))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.binary(min_size=1), value=st.binary())
def test_any_bytes_are_harmless(terminal: Terminal, key: bytes, value: bytes) -> None:
    assert_safe(shown(terminal, Records(iter([(key, value)]))))
    assert_safe(shown(terminal, Value(key, value)))


def test_errors_are_harmless(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["put", "\x1b[31m\u202e", "v"],) * 2:
        run(terminal, *words)
    run(terminal, "get", "\x9b", "\x1b")
    run(terminal, "-d", "\x1bdir", "get", "a")
    text = terminal.shown()
    assert "Key '␛[31m<U+202E>' already exists" in text
    assert_safe(text)


def test_a_table_fits_the_screen(terminal: Terminal) -> None:
    from rich.cells import cell_len

    items = [(b"k" * 100, b"v" * 100), ("日".encode() * 50, "本".encode() * 50), (b"a", b"b")]
    lines = COLOUR.sub("", shown(terminal, Records(iter(items)))).splitlines()
    assert lines[0].split() == ["KEY", "VALUE"]
    assert all(cell_len(line) <= 60 for line in lines)
    assert lines[1].count("…") == 2
    assert lines[3].split() == ["a", "b"]


def test_a_long_listing_stops_and_says_so(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with blockdb.open("blockdb_data", blockchain_batch_size=1) as db:
        db.put_many([(b"%03d" % number, b"") for number in range(130)])
    for words, closing in (
        (["scan"], "30 more; --all shows them, --limit and --offset choose"),
        (["scan", "--offset", "20", "--keys-only"], "10 more; --all shows them, --limit and --offset choose"),
        (["blocks"], "30 more; --all shows them, --limit and --first choose"),
        (["blocks", "--reverse", "--first", "109"], "10 more; --all shows them, --limit and --first choose"),
        (["scan", "--offset", "30"], ""),
        (["scan", "--all"], ""),
        (["scan", "--limit", "120"], ""),
        (["scan", "--format", "jsonl"], ""),
    ):
        lines = COLOUR.sub("", run(terminal, *words)).splitlines()
        assert lines[-1] == closing if closing else "more" not in lines[-1]


def test_words_after_the_answer_are_for_people_only(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(terminal, "put", "a", "1")
    assert "0 blocks and 1 record checked in" in run(terminal, "verify")


def test_colours_are_those_of_the_theme(terminal: Terminal) -> None:
    red, green, blue = (int(blockdb_themes.load("basalt").roles["success"][at : at + 2], 16) for at in (1, 3, 5))
    assert shown(terminal, Words("done", role="success")) == f"\x1b[38;2;{red};{green};{blue}mdone\x1b[0m\n"


def test_no_colours_where_none_are_wanted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(terminal, Words("done", role="success")) == "done\n"
    assert not wants_colour({"TERM": "dumb"})
    assert not wants_colour({})
    assert wants_colour({"TERM": "xterm", "NO_COLOR": ""})


def test_the_theme_is_chosen_by_the_environment() -> None:
    assert default_theme({}) == blockdb_themes.DEFAULT
    assert default_theme({"COLORFGBG": "0;15"}) == "paper"
    assert default_theme({"COLORFGBG": "15;0"}) == blockdb_themes.DEFAULT
    assert default_theme({"BLOCKDB_THEME": "okabe", "COLORFGBG": "0;15"}) == "okabe"
    assert default_theme({"BLOCKDB_THEME": "okabe", "NO_COLOR": "1"}) == blockdb_themes.MONOCHROME
    with pytest.raises(UsageError, match="there is no such theme"):
        palette("nonsense", {"TERM": "xterm"})


def test_a_theme_that_does_not_exist_leaves_the_data(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_THEME", "nonsense")
    note, words = shown(terminal, Words("done", role="success")).splitlines()
    assert note.startswith("Note: no colours: theme file nonsense.toml: there is no such theme; there are basalt, ")
    assert words == "done"


@pytest.mark.parametrize("name", blockdb_themes.shipped_names())
def test_every_theme_colours_on_terminals_of_256_colours(name: str) -> None:
    painted = palette(name, {"TERM": "xterm-256color"}).paint("error", "x")
    native = {"terminal": "\x1b[1;31mx\x1b[0m", "monochrome": "\x1b[1;7mx\x1b[0m"}
    if name in native:
        assert painted == native[name]
    else:
        assert re.fullmatch(r"\x1b\[38;5;(1[6-9]|[2-9]\d|1\d\d|2[0-4]\d|25[0-5])mx\x1b\[0m", painted)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_keeps_its_text_in_colours(data: object) -> None:
    text = json.dumps(data)
    assert "".join(piece for _, piece in json_spans(text)) == text
    assert COLOUR.sub("", Palette({"string": "38;5;1"}).paint_json(text)) == text


def test_the_parts_of_json() -> None:
    assert list(json_spans('{"a": [-1.5e3, "b\\"", true, null]}')) == [
        ("muted", "{"),
        ("key", '"a"'),
        ("muted", ": ["),
        ("number", "-1.5e3"),
        ("muted", ", "),
        ("string", '"b\\""'),
        ("muted", ", "),
        ("boolean", "true"),
        ("muted", ", "),
        ("null", "null"),
        ("muted", "]}"),
    ]


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Terminal()
    assert is_terminal(stream)
    stream.close()
    assert not is_terminal(None)


def test_progress_is_drawn_on_a_terminal_only(terminal: Terminal) -> None:
    with Output(err=terminal).progress("[/foo] \x1b", 100, "bytes") as advance_to:
        advance_to(50)
    assert "[/foo] ␛" in terminal.shown()
    with Output(err=io.TextIOWrapper(io.BytesIO())).progress("quiet", None, "records") as advance_to:
        advance_to(1)
    assert "quiet" not in terminal.shown()
