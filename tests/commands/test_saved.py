"""Saved queries: kept, replaced, forgotten, and what is said of those that cannot be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockdb.commands.failures import UsageError
from blockdb.commands.saved import MOST_TEXT, delete_query, load_queries, queries_path, save_query
from blockdb.errors import ConfigError

LINE = "find \"city = 'Oslo'\" --order 'age desc'"


def test_where_they_are(tmp_path: Path) -> None:
    assert queries_path({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "blockdb" / "queries.toml"


def test_what_is_kept_comes_again_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "below" / "queries.toml"
    assert load_queries(path) == {}
    texts = {"oslo": LINE, 'a "b" [c]': "find\nx = 1\tand y\\z = '\x7f\x1b'", "日本": "find 🎉 = 1", "x.y": "count"}
    for name, text in texts.items():
        assert not save_query(name, f"  {text} ", path)
    assert load_queries(path) == texts
    assert list(load_queries(path)) == list(texts)
    assert save_query(" oslo ", "count", path)
    delete_query("x.y", path)
    assert load_queries(path) == {"oslo": "count", **{name: texts[name] for name in ('a "b" [c]', "日本")}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("", LINE, "has a name"),
        ("a\x1bb", LINE, "can be seen"),
        ("x" * 65, LINE, "1 to 64"),
        ("a", " ", "not 0"),
        ("a", "x" * (MOST_TEXT + 1), "65,537"),
        ("a", "\udcff", "not UTF-8"),
    ],
)
def test_what_cannot_be_kept(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        save_query(name, text, tmp_path / "queries.toml")
    assert not list(tmp_path.iterdir())


def test_none_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "queries.toml"
    with pytest.raises(UsageError, match="there are none"):
        delete_query("a", path)
    save_query("b", LINE, path)
    with pytest.raises(UsageError, match="there are b"):
        delete_query("a", path)


@pytest.mark.parametrize(
    ("data", "words"), [(b"a = 1\n", "a should be a text"), (b"a = \n", "no TOML"), (b'a = "\xff"', "no TOML")]
)
def test_a_file_that_is_none(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "queries.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words):
        load_queries(path)
    with pytest.raises(ConfigError):
        save_query("b", LINE, path)
    assert path.read_bytes() == data
