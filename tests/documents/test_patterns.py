"""Patterns: Python's engine, where it is asked, says what RE2 says."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.documents.patterns import SHORT, Pattern
from blockdb.errors import InvalidData

ATOMS = [
    "a",
    "b",
    "é",
    ".",
    " ",
    "-",
    "/",
    "[ab]",
    "[^a]",
    "[^@]",
    "[a-c9]",
    r"[\d-]",
    r"[\w.]",
    r"[^\d\]]",
    r"\d",
    r"\w",
    r"\.",
    r"\$",
    r"\\",
    r"\[",
]
REPEATS = ["", "?", "*", "+", "{2}", "{1,}", "{0,2}"]
SIMPLE = st.builds(
    lambda parts, end: "^" + "".join(map("".join, parts)) + end,
    st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(REPEATS)), max_size=4),
    st.sampled_from(["", "$"]),
)
TEXTS = st.text(st.sampled_from("ab9é @.-/$\\[]\n\u0660\u0130_"), max_size=6)


@settings(max_examples=150)
@given(SIMPLE, TEXTS)
def test_both_engines_say_the_same(text: str, subject: str) -> None:
    pattern = Pattern(text)
    assert pattern.search(subject) == pattern.exact(subject.encode())
    assert bool(pattern.long(subject.encode())) == pattern.exact(subject.encode())


@pytest.mark.parametrize("text", [r"^[^@]+@[^@]+\.[^@]+$", "^[A-Z]{2}[0-9]{4}$", r"^\+?[0-9 ]{5,}", r"^a\\$", "^"])
def test_simple_patterns_go_the_quick_way(text: str) -> None:
    assert Pattern(text).short is not None


@pytest.mark.parametrize(
    "text",
    ["a", "^(a)", "^a|b", r"^\s", r"^\bx", "^a*?", "^[[:alpha:]]", r"^\pN", "^[a&&b]", "^a*a*a*a*$", "^a{,2}"],
)
def test_others_do_not(text: str) -> None:
    assert Pattern(text).short is None


def test_a_line_break_at_the_end_is_not_the_end() -> None:
    assert not Pattern("^a$").search("a\n")
    assert not Pattern("(?:a)$").search("a\n")


def test_patterns_are_searched() -> None:
    assert Pattern("b").search("abc")
    assert Pattern("é$").search("cafe \u00e9")


@pytest.mark.parametrize("text", ["^[ab]*[ac]*[ad]*$", "(a*)*b", "^(a|aa)+$", "(?:a?){100}a{100}$"])
def test_no_text_takes_long(text: str) -> None:
    pattern = Pattern(text)
    started = time.process_time()
    for length in (SHORT - 1, 100_000):
        pattern.search("a" * length + "!")
    assert time.process_time() - started < 5


@pytest.mark.parametrize("text", ["a(", "(?=a)", r"(a)\1", "a**b(", "[z-a]", "x{2000}", "\ud800", "x" * 5000])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidData, match="pattern"):
        Pattern(text)
