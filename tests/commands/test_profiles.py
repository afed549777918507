"""Where a command finds its database: flags, environment and profiles; and what is said of those that make no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import blockdb
from blockdb.commands.failures import UsageError
from blockdb.commands.locating import Location, locate, named_location, title_of
from blockdb.commands.profiles import load_profiles, parse_profiles, profiles_path
from blockdb.commands.servers import Server, read_token
from blockdb.config import DatabaseConfig
from blockdb.errors import ConfigError, Unauthenticated, Unavailable

from .conftest import Run

TOKEN = "bdb_1_secret"
FILE = Path("/etc/blockdb/profiles.toml")


@pytest.fixture
def profiles(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two profiles, one of which has a token."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "config"))
    path = profiles_path()
    path.parent.mkdir(parents=True)
    path.write_text(
        f'[profiles.near]\nurl = "http://127.0.0.1:8080"\ntoken = "{TOKEN}"\ncollection = "orders"\n'
        '[profiles.far]\nurl = "https://a.example.org, https://b.example.org:8443/"\ntoken_file = "far.token"\n'
        'ca = "/etc/ca.pem"\ncertificate = "me.pem"\nkey = "~/me.key"\nverified = true\n'
    )
    path.chmod(0o600)
    return path


def server(location: Location) -> Server:
    assert isinstance(location, Server)
    return location


def test_a_file_of_profiles(profiles: Path) -> None:
    found = load_profiles()
    near, far = found["near"], found["far"]
    assert (near.urls, near.token, near.collection, near.verified) == (
        ("http://127.0.0.1:8080",),
        TOKEN,
        "orders",
        False,
    )
    assert far.urls == ("https://a.example.org:443", "https://b.example.org:8443")
    assert (far.token_file, far.ca) == (profiles.parent / "far.token", Path("/etc/ca.pem"))
    assert (far.certificate, far.key, far.verified) == (profiles.parent / "me.pem", Path.home() / "me.key", True)
    assert TOKEN not in repr(near)


def test_without_a_file_there_is_no_profile(here: Path) -> None:
    assert load_profiles() == {}
    with pytest.raises(ConfigError, match=r"no profile 'x' in .*; there are none"):
        locate({"profile": "x"}, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[profiles.a]\nurl = 'http://h'\nspeed = 3", r"\[profiles.a\] has no key 'speed'; there are ca, certificate"),
        ("[profiles.a]\ntoken = 'x'", r"\[profiles.a\] lacks its url"),
        ("[profiles.a]\nurl = 3", r"\[profiles.a\] url: it should be a text"),
        ("[profiles.a]\nurl = ''", r"\[profiles.a\] url: it should be a text that is not empty"),
        ("[profiles.a]\nurl = ' , '", r"\[profiles.a\] url: '' is no address of a server"),
        ("[profiles.a]\nurl = 'http://h'\nverified = 'yes'", r"\[profiles.a\] verified: it should be true or false"),
        ("[profiles.a]\nurl = 'http://h'\ntoken = 'x'\ntoken_file = 'y'", "has a token and a token_file"),
        ("[profiles.a]\nurl = 'http://h'\nkey = 'x'", "certificate and key belong together"),
        ("[profiles.a]\nurl = 'http://h'\ntoken = 'two words'", r"\[profiles.a\] token: what is in it is no token"),
        ("[server]\nhost = 'x'", r"no section or key 'server'; profiles are sections, \[profiles.NAME\]"),
        ("profiles = 3", r"profiles should be sections"),
        ("[profiles]\na = 3", r"a should be a section, \[profiles.a\]"),
        ("[profiles", "it is no TOML file"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{FILE}: .*{words}"):
        parse_profiles(text, FILE, is_private=True)


def test_a_token_wants_a_file_that_nobody_else_reads(profiles: Path, run: Run) -> None:
    profiles.chmod(0o640)
    refused = run("--profile", "far", "get", "a")
    assert (refused.code, refused.out) == (2, b"")
    assert "it holds a token, and others can read it; say `chmod 600" in refused.err
    assert TOKEN not in refused.err
    parse_profiles("[profiles.a]\nurl = 'http://h'", FILE, is_private=False)  # no token: nothing to hide


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8080", "is no address of a server, such as"),
        ("ftp://h", "is no address of a server, such as"),
        ("http://", "is no address of a server, such as"),
        ("http://h:99999", "is no URL: Port out of range"),
        ("http://h?x=1", "has no user, no question mark"),
        ("http://h\x1bJ", "is no address of a server, such as"),
        ("http://a,https://b", "Some of the addresses are https and some http"),
        ("", "is no address of a server, such as"),
    ],
)
def test_what_is_no_address_is_said(run: Run, url: str, words: str) -> None:
    refused = run("--url", url, "get", "a")
    assert (refused.code, refused.out) == (2, b"")
    assert refused.err.startswith("Error: ConfigError: --url: ")
    assert words in refused.err
    assert "\x1b" not in refused.err


def test_a_password_in_an_address_is_refused_and_not_repeated(run: Run) -> None:
    refused = run("--url", "http://ada:hunter2@h", "get", "a")
    assert (refused.code, "hunter2" in refused.err) == (2, False)
    assert "a token is given as" in refused.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--url", "http://h", "-d", "x", "get", "a"), "--url names a server, and --data-dir a directory"),
        (("--profile", "near", "get", "a", "-d", "x"), "--profile names a server, and --data-dir a directory"),
        (("--url", "http://h", "--key-file", "x", "get", "a"), "--url names a server, and --key-file a directory"),
        (("--url", "http://h", "--profile", "near", "get", "a"), "--url and --profile both name a server"),
        (("--token-file", "x", "get", "a"), "--token-file goes with a server"),
        (("--ca", "x", "-d", "y", "get", "a"), "--ca goes with a server"),
        (("--url", "http://h", "tamper-lab"), "tamper-lab works on the directory of a database, and http://h:80 is"),
        (("--url", "http://h", "encryption", "show"), "encryption show works on the directory of a database"),
        (("--url", "http://h", "verify", "--repair"), "verify --repair works on the directory of a database"),
        (("--url", "http://h", "server"), "server is about a directory and settings on this machine; leave --url out"),
        (("--url", "http://h", "audit"), "audit without a path works on the directory of a database"),
    ],
)
def test_words_that_do_not_go_together(run: Run, profiles: Path, words: tuple[str, ...], told: str) -> None:
    refused = run(*words)
    assert (refused.code, refused.out) == (2, b"")
    assert refused.err.startswith("Error: Usage: ")
    assert told in refused.err


def test_flags_go_over_environment(profiles: Path) -> None:
    environ = {"BLOCKDB_URL": "http://env:1", "BLOCKDB_TOKEN": " bdb_2_other\n"}
    assert server(locate({}, environ)) == Server(urls=("http://env:1",), token="bdb_2_other")
    assert server(locate({"url": "http://flag"}, environ)).urls == ("http://flag:80",)
    assert server(locate({"profile": "near"}, environ)).token == TOKEN
    assert server(locate({"profile": "far"}, environ)).token is None
    assert isinstance(locate({"data_dir": "x"}, environ), DatabaseConfig)
    given = server(locate({"profile": "near", "token_file": "t", "ca": "c"}, environ))
    assert (given.token, given.token_file, given.ca) == (None, Path("t"), Path("c"))


def test_an_environment_that_names_two_places_is_refused() -> None:
    environ = {"BLOCKDB_URL": "http://env:1", "BLOCKDB_DATA_DIR": "x"}
    with pytest.raises(ConfigError, match="BLOCKDB_URL and BLOCKDB_DATA_DIR are both set"):
        locate({}, environ)
    assert isinstance(locate({"data_dir": "y"}, environ), DatabaseConfig)
    assert isinstance(locate({"url": "http://h"}, environ), Server)


def test_a_token_that_is_none_is_named_and_not_repeated(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"BLOCKDB_TOKEN: what is in it is no token") as caught:
        locate({"url": "http://h"}, {"BLOCKDB_TOKEN": "two words"})
    assert "two" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"absent: the token cannot be read from it: No such file"):
        read_token(Path("absent"))
    (here / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="empty: there is no token in it"):
        read_token(Path("empty"))
    (here / "binary").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="binary: what is in it is no token"):
        read_token(Path("binary"))


def test_a_token_file_is_read_when_it_is_needed(here: Path) -> None:
    found = server(locate({"url": "http://h", "token_file": "token"}, {}))
    (here / "token").write_text(f"{TOKEN}\n")
    assert found.secret() == TOKEN


def test_one_word_names_a_server_a_profile_or_a_path(profiles: Path, here: Path) -> None:
    assert title_of(named_location("http://h:1", {})) == "http://h:1"
    assert server(named_location("near", {})).profile == "near"
    assert title_of(named_location("./near", {})) == "./near"
    (here / "near").mkdir()
    assert title_of(named_location("near", {})) == "near"
    assert title_of(named_location("elsewhere", {})) == "elsewhere"
    with pytest.raises(ConfigError):
        named_location("ftp://h", {})


def test_profiles_are_listed_without_their_tokens(profiles: Path, run: Run) -> None:
    listed = run("profile", "list")
    assert [json.loads(line)["name"] for line in listed.out.splitlines()] == ["near", "far"]
    shown = run("profile", "show", "near", "--format", "json")
    assert json.loads(shown.out)["collection"] == "orders"
    assert "in the profile" in run("profile", "show", "near", "--format", "table").text
    assert TOKEN not in listed.text + shown.text
    missing = run("profile", "show", "nix")
    assert (missing.code, "there are near, far" in missing.err) == (2, True)


@pytest.mark.parametrize("error", [Unavailable("No server at http://h."), Unauthenticated("Nobody knows you.")])
def test_a_server_that_does_not_let_in_is_exit_code_3(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(blockdb, "connect", connect, raising=False)
    refused = run("--url", "http://h", "get", "a")
    assert (refused.code, refused.out) == (3, b"")
    assert refused.err == f"Error: {type(error).__name__}: {error}\n"


def test_the_commands_of_a_directory_refuse_a_server_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKDB_URL", "http://h")
    refused = run("tamper-lab")
    assert (refused.code, "give --data-dir" in refused.err) == (2, True)


def test_a_wrong_usage_error_is_raised_before_anything_is_opened() -> None:
    with pytest.raises(UsageError):
        locate({"url": "http://h"}, {}, directory_only="server")
