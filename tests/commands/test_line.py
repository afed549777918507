"""How a line is cut into words, and how any bytes can be typed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb.commands.display import printable
from blockdb.commands.failures import UsageError
from blockdb.commands.line import is_blank, quote, split, to_bytes, to_text, words


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("put a 1", ["put", "a", "1"]),
        ("  put\ta  1 \r\n", ["put", "a", "1"]),
        ('put user:1001 "John Doe"', ["put", "user:1001", "John Doe"]),
        ("put k 'it\\n'", ["put", "k", "it\\n"]),
        ('put k "a\\n\\t\\r\\0\\\\\\"\\\'b"', ["put", "k", "a\n\t\r\0\\\"'b"]),
        ('put k "\\xc3\\xa9\\u00e9\\U0001F600"', ["put", "k", "éé😀"]),
        ('put k ""', ["put", "k", ""]),
        ("put k ''", ["put", "k", ""]),
        ("put k it's", ["put", "k", "it's"]),
        ("put k C:\\temp", ["put", "k", "C:\\temp"]),
        ('put k {"a":1}', ["put", "k", '{"a":1}']),
        ("put color #fff", ["put", "color", "#fff"]),
        ('scan --prefix="a b" --limit=3', ["scan", "--prefix=a b", "--limit=3"]),
        ("put k a\u00a0b\u2003c", ["put", "k", "a\u00a0b\u2003c"]),
        ("", []),
        ("   # a comment 'with an open quote", []),
    ],
)
def test_words(line: str, found: list[str]) -> None:
    assert split(line) == found


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('get "a', "not closed"),
        ("get 'a", "not closed"),
        ('get "a\\', "not closed"),
        ('get "a"b', "right after a closing quote"),
        ("get 'a''b'", "right after a closing quote"),
        ('get "\\q"', "unknown escape \\q"),
        ('get "\\x1"', "unknown escape \\x"),
        ('get "\\ud800"', "unknown escape \\ud800"),
        ('get "\\U00110000"', "unknown escape"),
        ('get "\\\x1b"', "unknown escape \\\x1b"),
    ],
)
def test_problems_are_named(line: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        split(line)
    assert problem in str(error.value)


@given(st.binary())
@example(b"--prefix='x")
@example(b"\\x00")
@example(b"# no comment")
@example("\u202e\u2028\x85".encode())
def test_any_bytes_can_be_typed_and_their_word_is_safe_to_show(data: bytes) -> None:
    word = quote(data)
    assert [to_bytes(found) for found in split(f"put {word} x")] == [b"put", data, b"x"]
    assert printable(word) == word


@given(st.binary())
def test_bytes_and_text_are_each_others_inverse(data: bytes) -> None:
    assert to_bytes(to_text(data)) == data


@given(st.text(alphabet=st.one_of(st.sampled_from("\"'\\xu0 -=\t\n#"), st.characters())))
def test_half_typed_lines_never_fail_and_words_stay_in_their_places(line: str) -> None:
    found = words(line)
    position = 0
    for word in found:
        assert line[position : word.start].strip(" \t\r\n\f\v") == ""
        assert word.end > word.start
        position = word.end
    assert line[position:].strip(" \t\r\n\f\v") == ""


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UsageError):
        to_bytes("\ud800")


@pytest.mark.parametrize(("line", "blank"), [("", True), (" \t", True), ("#x", True), (" # x", True), ("x #", False)])
def test_blank_lines_and_comments(line: str, blank: bool) -> None:
    assert is_blank(line) is blank
