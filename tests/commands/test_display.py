"""What reaches a screen: never a control character, never two data with one look."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb.commands.display import (
    human_bytes,
    human_count,
    human_duration,
    human_time,
    printable,
    quoted,
    shortened,
)

FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\u200b\U000e0000-\U000e007f]"
)
HOSTILE = "\x1b]52;c;AAAA\x07 \x9b2J \u202ereversed\u2069 \u2028 \x7f \ud800 [/foo] \udc9b <0x9B> <U+202E> ␛"
hostile_text = st.text(alphabet=st.one_of(st.sampled_from(sorted(set(HOSTILE))), st.characters()))
hostile_bytes = st.one_of(st.binary(), hostile_text.map(lambda text: text.encode("utf-8", "surrogatepass")))


def unprintable(shown: str) -> bytes:
    """The inverse of `printable`, for the test alone: shows that nothing is lost."""

    def original(match: re.Match[str]) -> str:
        byte, point, picture = match.groups()
        if byte:
            return chr(0xDC00 + int(byte, 16))
        if point:
            return chr(int(point, 16))
        return "\x7f" if picture == "␡" else chr(ord(picture) - 0x2400)

    text = re.sub("<0x([0-9A-F]{2})>|<U\\+([0-9A-F]{4,6})>|([\u2400-\u241f\u2421])", original, shown)
    return text.encode("utf-8", "surrogateescape")


@given(st.one_of(hostile_bytes, hostile_text))
@example(HOSTILE)
def test_nothing_that_a_terminal_obeys_gets_through(data: bytes | str) -> None:
    assert not FORBIDDEN.search(printable(data))
    assert not FORBIDDEN.search(printable(data, keep_newlines=True).replace("\n", ""))


@given(hostile_bytes)
@example(b"\\x1b <0x1B> <U+0041>")
def test_different_bytes_never_look_the_same(data: bytes) -> None:
    assert unprintable(printable(data)) == data


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_ascii_is_left_alone(text: str) -> None:
    if not re.search("<(0x|U\\+)", text):
        assert printable(text) == printable(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x1b[31m", "␛[31m"),
        (b"a\nb\tc\r\n", "a␊b␉c␍␊"),
        (b"\xff\x9b2J", "<0xFF><0x9B>2J"),
        ("\u009b2J", "<U+009B>2J"),
        ("\u202e", "<U+202E>"),
        ("␛", "<U+241B>"),
        ("<U+202E>", "<U+003C>U+202E>"),
        ("<0x1B>", "<U+003C>0x1B>"),
        ("<b>&amp;</b> [/foo]", "<b>&amp;</b> [/foo]"),
        ("日本語 é 👩‍🚀", "日本語 é 👩‍🚀"),
        (b"", ""),
    ],
)
def test_examples(data: bytes | str, shown: str) -> None:
    assert printable(data) == shown


def test_newlines_can_be_kept() -> None:
    assert printable(b"a\r\nb\n", keep_newlines=True) == "a␍\nb\n"


def test_a_key_in_a_sentence_is_short_and_safe() -> None:
    assert quoted(b"user:1") == "'user:1'"
    assert printable(quoted(b"\x1b\xff")) == "'␛<0xFF>'"
    assert len(quoted(b"k" * 1000)) == 202
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KB"),
        (1536, "1.5 KB"),
        (64 << 20, "64 MB"),
        ((1 << 20) - 1, "1 MB"),
        (5 << 60, "5120 PB"),
    ],
)
def test_bytes(count: int, shown: str) -> None:
    assert human_bytes(count) == shown


@pytest.mark.parametrize(
    ("count", "plain", "compact"),
    [(0, "0", "0"), (9_999, "9,999", "9,999"), (13_019, "13,019", "13 k"), (1_500_000, "1,500,000", "1.5 M")],
)
def test_counts(count: int, plain: str, compact: str) -> None:
    assert human_count(count) == plain
    assert human_count(count, compact=True) == compact


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 µs"),
        (0.00085, "850 µs"),
        (0.0123, "12.3 ms"),
        (0.999, "999 ms"),
        (0.9996, "1 s"),
        (4.2, "4.2 s"),
        (59.96, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.7, "1 h 0 min"),
        (8040, "2 h 14 min"),
        (5 * 86400 + 3 * 3600, "5 d 3 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


def test_times_are_utc_and_never_fail() -> None:
    assert human_time(1_705_314_600_250) == "2024-01-15 10:30:00.250Z"
    assert human_time(-1) == "1969-12-31 23:59:59.999Z"
    assert human_time(1 << 62) == f"{1 << 62} ms"
