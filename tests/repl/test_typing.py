"""What helps while a line is typed: completion, colours, history."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import blockdb
from blockdb.commands.completing import LiveSource
from blockdb.commands.display import printable
from blockdb.commands.history import MOST_LINES, history_path
from blockdb.commands.line import split, to_bytes
from blockdb_repl.completer import LineCompleter
from blockdb_repl.highlight import LineLexer
from blockdb_repl.history import ShellHistory, kept_of

KEYS = [b"user:1001", b"user:1002", b"two words", b"\x1b[31m", b"\xff", b"-dash", b"'quote", b"users", b"a\nb"]


@pytest.fixture
def database(here: Path) -> Iterator[blockdb.Database]:
    with blockdb.open("blockdb_data") as db:
        db.put_many([(key, b"") for key in KEYS])
        db.create_collection("users").put_many([(b"a", b""), (b"b", b"")])
        yield db


@pytest.fixture
def completer(database: blockdb.Database) -> Iterator[LineCompleter]:
    source = LiveSource(lambda: database)
    yield LineCompleter(source)
    source.close()


def completed(completer: LineCompleter, line: str) -> list[str]:
    """The lines that a line can become."""
    found = completer.get_completions(Document(line), CompleteEvent(completion_requested=True))
    return [line[: len(line) + item.start_position] + item.text for item in found]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ge", ["get"]),
        ("e", ["explain", "export-tiles", "export", "exit"]),
        ("qui", ["quit"]),
        ("nonsense ", []),
        ("scan --r", ["scan --reverse"]),
        ("scan --limit 3 --o", ["scan --limit 3 --offset"]),
        ("get a --format j", ["get a --format json", "get a --format jsonl"]),
        ("get a --format=r", ["get a --format=raw"]),
        ("import x --format ", ["import x --format jsonl", "import x --format csv"]),
        ("help sc", ["help scan"]),
        ("get user:10", ["get user:1001", "get user:1002"]),
        ("get user:1001", ["get user:1001"]),
        ("get --base64 user:1", ["get --base64 user:1001", "get --base64 user:1002"]),
        ("get user:1 user:1", []),
        ("get 'user:1", ["get user:1001", "get user:1002"]),
        ('get "two w', ['get "two words"']),
        ("get tw", ['get "two words"']),
        ("scan --prefix us", ["scan --prefix user:1001", "scan --prefix user:1002", "scan --prefix users"]),
        ("scan --prefix=us", ["scan --prefix=user:1001", "scan --prefix=user:1002", "scan --prefix=users"]),
        ("scan --limit ", []),
        ("put us", []),
        ("use ", ["use default", "use users"]),
        ("scan -c us", ["scan -c users"]),
        ("scan --collection=us", ["scan --collection=users"]),
        ("get -c users ", ["get -c users a", "get -c users b"]),
        ("get --collection=users ", ["get --collection=users a", "get --collection=users b"]),
        ("collection get u", ["collection get users"]),
        ("collection get users ", ["collection get users a", "collection get users b"]),
        ("collection get nowhere ", []),
        ("collection put users ", []),
        ("collection ver", ["collection verify"]),
        ("get -- -d", ["get -- -dash"]),
        ("# ge", []),
    ],
)
def test_completions(completer: LineCompleter, line: str, found: list[str]) -> None:
    assert completed(completer, line) == found


def test_every_key_is_completed_to_a_line_that_gets_it_and_is_safe(completer: LineCompleter) -> None:
    found = list(completer.get_completions(Document("get "), CompleteEvent()))
    assert {to_bytes(split("get " + item.text)[-1]) for item in found} == set(KEYS)
    for item in found:
        assert printable(item.text) == item.text
        assert not {"\x1b", "\n"} & set(item.display_text)


def test_files_are_completed(completer: LineCompleter, here: Path) -> None:
    (here / "folder").mkdir()
    (here / "folder" / "in.jsonl").touch()
    (here / "my file").touch()
    (here / ".hidden").touch()
    assert completed(completer, "import fo") == ["import folder/"]
    assert completed(completer, "import folder/") == ["import folder/in.jsonl"]
    assert completed(completer, "import my") == ['import "my file"']
    assert completed(completer, "import .h") == ["import .hidden"]
    assert completed(completer, "import nowhere/") == []
    assert completed(completer, "import ") == ["import blockdb_data/", "import folder/", 'import "my file"']


def test_a_slow_database_does_not_hold_up_the_typing() -> None:
    answer = threading.Event()
    asked = []

    class Slow:
        def keys(self, prefix: bytes, limit: int) -> list[bytes]:
            asked.append(prefix)
            answer.wait(30)
            return [b"late"]

    keys = LiveSource(lambda: Slow(), patience_s=0.01)  # type: ignore[arg-type,return-value]
    assert list(keys.keys(b"a", None)) == []
    assert list(keys.keys(b"b", None)) == []  # the first question is still open: no other is asked
    assert asked == [b"a"]
    answer.set()
    keys.close()


def test_a_database_that_fails_completes_nothing() -> None:
    def fails() -> blockdb.Database:
        raise blockdb.StorageError("gone")

    keys = LiveSource(fails)
    assert list(keys.keys(b"", None)) == []
    keys.close()


class Echo:
    """A source that knows what one wants."""

    def keys(self, prefix: bytes, collection: str | None) -> list[bytes]:
        return [prefix + b"x"]

    def collections(self, prefix: bytes) -> list[bytes]:
        return [prefix + b"x"]

    def fields(self, collection: str | None) -> list[str]:
        return ["city", '"a b"']

    def indexes(self, collection: str | None) -> list[str]:
        return ["by x"]


@given(st.text(alphabet=st.one_of(st.sampled_from("\"'\\ -={}[]:1\n"), st.characters()), max_size=40))
def test_no_line_makes_completion_or_colours_fail(line: str) -> None:
    for command in ("get", "find", "scan --fields", "import", "-d"):
        list(LineCompleter(Echo()).get_completions(Document(f"{command} {line}"), CompleteEvent()))
    document = Document("put k " + line)
    lexed = LineLexer().lex_document(document)
    for number, text in enumerate(document.lines):
        assert "".join(piece[1] for piece in lexed(number)) == text


def test_colours_of_a_line() -> None:
    def pieces(line: str) -> list[tuple[str, str]]:
        return [
            (piece[0].removeprefix("class:"), piece[1])
            for piece in LineLexer().lex_document(Document(line))(0)
            if piece[1].strip()
        ]

    assert pieces("get key --base64") == [("command", "get"), ("", "key"), ("flag", "--base64")]
    assert pieces("gett key") == [("problem", "gett"), ("", "key")]
    assert pieces("ge") == [("", "ge")]
    assert pieces('put k "a b"') == [("command", "put"), ("", "k"), ("quoted", '"a b"')]
    assert pieces("put k '{\"a\":1}'")[2:6] == [
        ("json.muted", "'{"),
        ("json.key", '"a"'),
        ("json.muted", ":"),
        ("json.number", "1"),
    ]
    assert pieces('put "a"b c')[1] == ("problem", '"a"b')
    assert pieces("# note") == [("json.muted", "# note")]


def test_history_is_private_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "blockdb" / "history"
    for line in ("scan", "get é\n", "stats"):
        ShellHistory(path).store_string(line)
    assert list(ShellHistory(path).load_history_strings()) == ["stats", "get é\n", "scan"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("get user:1", "get user:1"),
        ('put user:1 "a value" --base64', "put user:1"),
        ("put 'a key' value", "put 'a key'"),
        ("put --base64 a2V5 dmFsdWU=", None),
        ("put 'open", None),
        ("put a 1\nput b 2", "put a\nput b"),
        ("get a\nput b 2", "get a\nput b"),
        ("get a\nput -x 2", None),
        ('put a {"b":\n 1}', None),
        (r"\e put user:1 hidden", r"\e put user:1"),
        (r"\e", r"\e"),
        (r"\watch 2 put user:1 hidden", r"\watch 2 put user:1"),
        (r"\save it put user:1 hidden", r"\save it put user:1"),
        (r"\set day 1", r"\set day 1"),
        (r"\set db_pwd 1", None),
        ("scan \\\\| curl -H 'Authorization: Bearer x'", None),
        (r"\set it bdb_abc12_xyz", None),
        ("collection put users user:1 value", "collection put users user:1"),
        ("collection put users --base64 a2V5 dmFsdWU=", None),
        ("collection put users", None),
        ("collection get users user:1", "collection get users user:1"),
        (" get user:1", None),
        ("get the:password", None),
        ("get API_KEY", None),
        ("", None),
    ],
)
def test_history_keeps_no_secrets(line: str, what: str | None) -> None:
    assert kept_of(line) == what


def test_history_stays_small_and_survives_what_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "history"
    lines = [json.dumps(f"get {number}") for number in range(MOST_LINES + 1)]
    path.write_bytes("\n".join(lines).encode() + b'\nnonsense\n{"a":1}\n\xff\n')
    found = list(ShellHistory(path).load_history_strings())
    assert found[0] == f"get {MOST_LINES}"
    assert len(found) == MOST_LINES // 2
    assert len(path.read_bytes().splitlines()) == MOST_LINES // 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_history_that_cannot_be_kept_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = ShellHistory(tmp_path / "file" / "history")
    history.store_string("scan")
    assert list(history.load_history_strings()) == []


def test_where_the_history_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_path() == tmp_path / ".local" / "state" / "blockdb" / "history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert history_path() == tmp_path / ".local" / "state" / "blockdb" / "history"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "x"))
    assert history_path() == tmp_path / "x" / "blockdb" / "history"
