"""Making stored bytes, sizes and times fit to show: the one door between data and a screen.

Keys and values come from strangers, and a terminal obeys what it is sent. So nothing stored reaches a screen
except through `printable`, which every front end shares.
"""

from __future__ import annotations

import re

__all__ = [
    "HIDDEN",
    "human_bytes",
    "human_count",
    "human_duration",
    "human_time",
    "plural",
    "printable",
    "quoted",
    "shortened",
]

# The characters that are not seen, or that change how others are: DEL and C1, soft hyphen, bidi controls, line and
# paragraph separators, other invisible controls, tags. (The joiners stay: emoji and several scripts need them.)
HIDDEN = (
    "\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
)
"""As the inside of a character class of a regular expression. C0 controls and surrogates are not among them."""

# The pictures and the escapes themselves are escaped, so that they cannot be forged.
_UNSAFE = re.compile(f"[\x00-\x1f{HIDDEN}\ud800-\udfff\u2400-\u241f\u2421]|<(?=0x[0-9A-F]{{2}}>|U\\+[0-9A-F]{{4,6}}>)")
_UNSAFE_BUT_NEWLINE = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def printable(data: bytes | str, *, keep_newlines: bool = False) -> str:
    """Text that is safe on any terminal and shows every character that `data` holds.

    - a control character of ASCII becomes its Unicode picture: ESC `␛`, NUL `␀`, newline `␊`, DEL `␡`
    - a byte that is not UTF-8 becomes `<0x9B>`
    - C1 controls, bidi and other invisible controls, line separators and lone surrogates become `<U+202E>`
    - all else stays, and a picture or an escape that was in the data is itself escaped, so that two different
      byte strings never look the same

    `keep_newlines` leaves newlines as they are, for a view of several lines. The result is plain text, not markup:
    hand it to rich or textual as `Text`, never as a string that they parse. Never raises.

    It is called once, at the edge, where text is written: what is printable already would be escaped again.
    """
    text = data if isinstance(data, str) else bytes(data).decode("utf-8", "surrogateescape")
    if "<" not in text and text.isascii() and text.isprintable():
        return text
    return (_UNSAFE_BUT_NEWLINE if keep_newlines else _UNSAFE).sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    point = ord(match.group())
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "\u2421"
    if 0xDC80 <= point <= 0xDCFF:  # where "surrogateescape" puts the bytes that are not UTF-8
        return f"<0x{point - 0xDC00:02X}>"
    return f"<U+{point:04X}>"


def quoted(key: bytes) -> str:
    """A key as it stands in a sentence, shortened and in single quotes. It still has to be made printable."""
    return f"'{shortened(key.decode('utf-8', 'surrogateescape'), 200)}'"


def shortened(text: str, length: int) -> str:
    """`text` in at most `length` characters; an ellipsis stands for what was left out."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def human_bytes(count: int) -> str:
    """A size in bytes with its unit, by steps of 1024: `512 B`, `64 MB`, `1.5 GB`."""
    size = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if abs(size) < 1023.95 or unit == "PB":
            break
        size /= 1024
    return f"{_brief(size)} {unit}"


def human_count(count: int, *, compact: bool = False) -> str:
    """A number with its thousands apart: `13,019`; compact, for narrow places: `13 k`, `1.5 M`."""
    if not compact or abs(count) < 10_000:
        return f"{count:,}"
    size = float(count)
    for unit in ("", "k", "M", "G", "T"):
        if abs(size) < 999.95 or unit == "T":
            break
        size /= 1000
    return f"{_brief(size)} {unit}"


def plural(count: int, word: str) -> str:
    """A number and its noun: `1 record`, `13,019 records`."""
    return f"{human_count(count)} {word}" if count == 1 else f"{human_count(count)} {word}s"


def human_duration(seconds: float) -> str:
    """A span of time in units that suit it: `850 µs`, `12.3 ms`, `4.2 s`, `3 min 5 s`, `2 h 14 min`, `5 d 3 h`."""
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{_brief(seconds * 1e3)} ms"
    if seconds < 59.95:
        return f"{_brief(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24:,} d {hours % 24} h"


def human_time(time_ms: int) -> str:
    """A moment (Unix milliseconds) in UTC, the same on every machine: `2024-01-15 10:30:00.250Z`."""
    from datetime import UTC, datetime, timedelta

    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    except OverflowError:
        return f"{time_ms} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _brief(size: float) -> str:
    """One decimal where it says something: 64, 1.5, 640."""
    return f"{size:.1f}".removesuffix(".0") if size < 100 else f"{size:.0f}"
