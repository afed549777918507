"""Completion: one brain, asked with lines of the shell, and by bash, zsh and fish."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb.commands.command import Where
from blockdb.commands.completing import LiveSource, complete, complete_filter, offered
from blockdb.commands.completing.filters import complete_fields, complete_order
from blockdb.commands.completing.matching import MOST_COMPARED, matching, score
from blockdb.commands.completing.shells import SHELLS, answers, cut
from blockdb.commands.completions import SCRIPTS
from blockdb.commands.line import split

FIELDS = ("age", "address.city", "city", '"first name"', "tags[]", "_key")
BREAKS = " \t\n\"'@><=;|&(:"


class Shop:
    """A source that knows a few names."""

    def keys(self, prefix: bytes, collection: str | None) -> Sequence[bytes]:
        found = [b"users:42", b"users:421", b"two words", b"-dash", b"\x1b[31m"] if collection is None else [b"o1"]
        return [key for key in found if key.startswith(prefix)]

    def collections(self, prefix: bytes) -> Sequence[bytes]:
        return [name for name in (b"default", b"orders") if name.startswith(prefix)]

    def fields(self, collection: str | None) -> Sequence[str]:
        return FIELDS if collection is None else ("total",)

    def indexes(self, collection: str | None) -> Sequence[str]:
        return ["by_total"]


def completed(line: str) -> list[str]:
    return [line[: found.start] + found.text for found in complete(line, len(line), Shop())]


# ── words that are like what was typed ──


def test_what_begins_so_comes_before_what_is_like_it() -> None:
    words = ["scan", "use", "users:42", "orders:users", "collection stats"]
    assert [word for _, word in matching(words, "us", str)] == ["use", "users:42"]
    assert [word for _, word in matching(words, "USERS:4", str)] == ["users:42"]
    assert [word for _, word in matching(words, "cst", str)] == ["collection stats"]
    assert [word for _, word in matching(words, "u42", str)] == ["users:42"]
    assert matching(words, "zz", str) == []
    assert len(matching((str(number) for number in range(10**9)), "", str)) == MOST_COMPARED


@given(st.text(max_size=20), st.text(min_size=1, max_size=5))
def test_a_score_is_given_to_letters_in_order_alone(word: str, typed: str) -> None:
    typed, rest = typed.casefold(), iter(word.casefold())
    if score(word, typed):
        assert all(letter in rest for letter in typed)


# ── lines ──


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("scna", []),
        ("colst", ["collection stats", "collection list", "collection list-docs"]),
        ("scan --rvs", ["scan --reverse"]),
        ("scan --reverse --rev", []),
        ("count ", [f"count {word}" for word in ('"age', '"address.city', '"city', '"\\"first name\\"')]),
        ("find ag", ['find "age']),
        ("find 'ag", ["find 'age"]),
        ('find "age >= 3 and ci', ['find "age >= 3 and city']),
        ("find \"city = 'Oslo' ", [f"find \"city = 'Oslo' {word}" for word in ("and", "or")]),
        ('find "not \\"fir', ['find "not \\"first name\\"']),
        ("find 'x\\y z' ", [f"find 'x\\y z' --{name}" for name in ("collection", "param", "order", "limit")]),
        ("find -c orders ", [f'find -c orders "{name}' for name in ("total", "not", "exists")]),
        ("find '' --order \"age de", ["find '' --order \"age desc"]),
        ("find --order=ag", ['find --order="age']),
        ("find --fields 'age, ci", ["find --fields 'age, city"]),
        ("get k --as-of b", ["get k --as-of block:"]),
        ("collection drop-index orders b", ["collection drop-index orders by_total"]),
        ("get -", ["get --base64", "get --key-base64", "get --exists"]),
        ("get -- -", ["get -- -dash"]),
        ("get ", ["get users:42", "get users:421", 'get "two words"', "get -- -dash", 'get "\\x1b[31m"']),
    ],
)
def test_a_line_is_completed(line: str, found: list[str]) -> None:
    assert completed(line)[: len(found)] == found
    assert bool(found) or not completed(line)


def test_what_stands_behind_the_cursor_stays() -> None:
    [found] = complete("get users:421 --base64", len("get users:421"), Shop())
    assert (found.text, found.start) == ("users:421", 4)
    [found] = complete("stats\nscan --lim", 16, Shop())
    assert (found.text, found.start) == ("--limit", 11)


@given(st.text(alphabet=st.one_of(st.sampled_from("\"'\\ -=()<>!:.,[]nota1\n"), st.characters()), max_size=30))
def test_no_line_makes_it_fail_and_all_that_is_whole_can_be_read_back(text: str) -> None:
    for line in (text, f"find {text}", f"get {text}", f"find x --order {text}"):
        for found in complete(line, len(line), Shop()):
            assert found.shown.isprintable()
            assert "\x1b" not in found.text
            if not found.goes_on and "\n" not in line and '"' not in line and "'" not in line:
                split(line[: found.start] + found.text)
    for complete_it in (complete_filter, complete_order, complete_fields):
        complete_it(text, FIELDS)
    cut(text, BREAKS)
    for shell in SHELLS:
        for line in answers(shell, f"blockdb {text}", BREAKS, source=lambda _: Shop()):
            assert "\n" not in line
            assert "\x1b" not in line


# ── filters ──


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age ", ("=", "!=", "<", "<=", ">", ">=", "in", "between")),
        ("age >", (">=",)),
        ("age >=", ()),
        ("age between 1 ", ("and",)),
        ("age between 1 and ", ("true", "false", "null")),
        ("age between 1 and 2 ", ("and", "or")),
        ("age in ", ("(",)),
        ("age in (1 ", (",", ")")),
        ("age in (1, ", ("true", "false", "null")),
        ("(age = 1 ", ("and", "or", ")")),
        ("not ", FIELDS),
        ("city starts ", ("with",)),
        ("city matches ", ()),
        ("city like ", ()),
        ("age == 1 ", ()),
        ('"first name" = 1 a', ("and",)),
        ("exists ad", ("address.city",)),
        ("exists acity", ("address.city",)),
    ],
)
def test_a_filter_goes_on_as_its_grammar_does(text: str, words: tuple[str, ...]) -> None:
    found = complete_filter(text, FIELDS).words
    assert tuple(found[: len(words)]) == words
    assert bool(words) or not found


def test_orders_and_lists_of_fields() -> None:
    assert list(complete_order("age desc, ", FIELDS).words) == ["address.city", "city", '"first name"', "_key"]
    assert list(complete_order("age ", FIELDS).words) == ["desc", "asc", ","]
    assert list(complete_fields("age, t", FIELDS).words) == ["tags[]"]


# ── a database that is asked ──


def test_a_live_source_looks_at_keys_that_are_like_what_was_typed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "data") as database:
        database.put_many([(b"users:%d" % number, b'{"age":1}') for number in range(30)])
        source = LiveSource(lambda: database)
        assert list(source.keys(b"users:2", None))[:2] == [b"users:2", b"users:20"]
        assert list(source.keys(b"us29", None)) == [b"users:29"]
        assert "age" in source.fields(None)
        assert list(source.collections(b"def")) == [b"default"]
        assert list(source.keys(b"", "nowhere")) == []
        source.close()


def test_a_database_that_is_slow_or_broken_completes_nothing_and_holds_nobody_up() -> None:
    gate = threading.Event()

    def opened() -> blockdb.Database:
        gate.wait(30)
        raise blockdb.StorageError("gone")

    source = LiveSource(opened, patience_s=0.01)
    assert [list(source.keys(b"", None)), list(source.fields(None))] == [[], []]
    gate.set()
    source.close()
    assert list(source.indexes(None)) == []


# ── bash, zsh and fish ──


@pytest.mark.parametrize(
    ("line", "bash", "fish"),
    [
        ("blockdb sc", ["scan "], ["scan"]),
        ("blockdb collection dr", ["drop ", "drop-index "], ["drop", "drop-index"]),
        ("blockdb coll", ["collection "], ["collection"]),
        ("blockdb get users:42", ["42 ", "421 "], ["users:42", "users:421"]),
        ("blockdb get two\\ w", ["two\\ words "], ["two words"]),
        ("blockdb get 'two w", ["two words"], ["two words"]),
        ("blockdb get \x1b", ["$'\\x1b[31m' "], []),
        ("blockdb scan --format=js", ["json ", "jsonl "], ["--format=json", "--format=jsonl"]),
        ("blockdb find 'age = 1 an", ["age = 1 and", "age = 1 and "], ["age = 1 and", "age = 1 and "]),
        ("blockdb find 'age = 1 and \"fi", ['age = 1 and "first name"', 'age = 1 and "first name" '], None),
        ("blockdb -d x --ur", ["--url "], ["--url"]),
        ("blockdb --rvs", [], []),
        ("blockdb nonsense ", [], []),
    ],
)
def test_shells_get_what_replaces_their_words(line: str, bash: list[str], fish: list[str] | None) -> None:
    assert answers("bash", line, BREAKS, source=lambda _: Shop()) == bash
    if fish is not None:
        assert [it.split("\t")[0] for it in answers("fish", line, source=lambda _: Shop())] == fish


def test_zsh_is_told_what_words_mean_and_which_go_on() -> None:
    assert answers("zsh", "blockdb sc") == ["scan\t.\tscan  List records in the order of their keys."]
    assert answers("zsh", "blockdb find ag", source=lambda _: Shop()) == ["age\t+\tage"]


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=8), max_size=4))
def test_a_line_is_cut_as_shells_do(words: list[str]) -> None:
    line = " ".join(map(shlex.quote, words))
    place = cut(f"{line} x")
    assert (place.before, place.typed, place.quote) == (words, "x", "")
    assert cut('a "b\\"c \\n').typed == 'b"c \\n'
    assert cut("a users:42:x", BREAKS).breaks_at == len("users:42:")


def test_the_words_of_the_command_line_may_follow_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blockdb").mkdir()
    (tmp_path / "blockdb" / "profiles.toml").write_text('[profiles.prod]\nurl = "http://127.0.0.1:1"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def words(*before: str, typed: str = "") -> list[str]:
        return [it.word for it in offered(before, typed, Where.COMMAND_LINE, Shop())]

    assert words("-d", "x", typed="sc") == ["scan"]
    assert words("--profile") == words("profile", "show") == ["prod"]
    assert "paper" in words("tui", "--theme")
    assert words("--token-file", typed=str(tmp_path / "block")) == [f"{tmp_path}/blockdb/"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    with blockdb.open(tmp_path / "data") as database:
        database.put_many([(b"users:42", b""), (b"users:43", b""), (b"other:1", b"")])
        yield tmp_path, {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "BLOCKDB_DATA_DIR": "data"}


BY_HAND = """
source /dev/stdin <<<"$SCRIPT"
complete -p blockdb blockdb-cli
COMP_WORDS=(blockdb get users : 4) COMP_LINE='blockdb get users:4' COMP_POINT=19
_blockdb
printf '[%s]' "${COMPREPLY[@]}"
"""


@pytest.mark.torture
def test_real_bash_completes_the_keys_of_a_real_database(program: tuple[Path, dict[str, str]]) -> None:
    folder, environment = program
    ran = subprocess.run(
        ["bash", "--norc", "-euc", BY_HAND],
        cwd=folder,
        env={**environment, "SCRIPT": SCRIPTS["bash"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "[42 ][43 ]"
    assert ran.stderr == ""


TYPED = """
import pexpect, sys
shell = pexpect.spawn(sys.argv[1], sys.argv[2:], encoding="utf-8", timeout=60, dimensions=(30, 100))
shell.sendline("echo rea''dy")
shell.expect("ready")
shell.send("blockdb get oth\\t")
shell.expect("er:1")
shell.sendintr()
shell.sendline("exit 0")
shell.close(force=True)
"""


@pytest.mark.torture
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_real_zsh_and_fish_complete_as_well(shell: str, program: tuple[Path, dict[str, str]]) -> None:
    """Needs zsh and fish: `apt-get install zsh fish`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder, environment = program
    home = folder / "home"
    (home / "fish").mkdir(parents=True)
    (home / ".zshrc").write_text(f"PS1='$ '\nautoload -U compinit && compinit -u\n{SCRIPTS['zsh']}")
    (home / "fish" / "config.fish").write_text(SCRIPTS["fish"])
    settings = {"HOME": str(home), "ZDOTDIR": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "dumb"}
    subprocess.run(
        [sys.executable, "-c", TYPED, shell, "-i"],
        cwd=folder,
        env={**environment, **settings},
        timeout=120,
        check=True,
    )
