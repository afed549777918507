r"""Keys as people type and read them: text, with `\xNN` for any byte that text cannot say."""

from __future__ import annotations

import base64
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from blockdb.commands.moment import as_option, moment_word

if TYPE_CHECKING:
    from blockdb import AsOf

__all__ = [
    "Target",
    "as_pasted",
    "command_line",
    "diff_command",
    "find_command",
    "get_command",
    "key_of",
    "proof_command",
    "scan_command",
    "shell_word",
    "text_of",
    "visible",
]

RECEIPT = "receipt.txt"


class Target(NamedTuple):
    """What a command is about: a database, and perhaps another collection of it than the default one.

    `option` is the one that names the database: `-d` where `path` is a directory, `--url`, or `--profile`.
    """

    path: str
    collection: str | None = None
    option: str = "-d"

    @property
    def named(self) -> tuple[str, ...]:
        """The words that name the collection, fit for the shell."""
        if self.collection is None:
            return ()
        return ("--collection", shell_word(self.collection.encode("utf-8", "surrogateescape")) or "''")


_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})|\\\\")


def key_of(text: str) -> bytes:
    r"""The bytes that a typed text stands for: UTF-8, `\xNN` a byte, `\\` a backslash."""
    return _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", text.encode("utf-8", "surrogateescape")
    )


def text_of(key: bytes) -> str:
    """What to type for a key; `key_of` gives the key back."""
    return visible(key.replace(b"\\", b"\\\\").decode("utf-8", "surrogateescape"))


def as_pasted(text: str, *, in_one_line: bool) -> str:
    """A pasted text as it is put into a line: made visible, or its lines with blanks between them."""
    text = text.rstrip("\r\n")
    return visible(" ".join(text.replace("\t", " ").splitlines()) if in_one_line else text)


def visible(text: str) -> str:
    r"""A text that can be typed: whatever cannot be seen becomes `\xNN`, a byte at a time."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def shell_word(data: bytes) -> str | None:
    """Any bytes as a word for bash, zsh or ksh; None if there is none, which is so for NUL."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return shlex.quote(text)
    if b"\0" in data:
        return None
    return "$'" + text_of(data).replace("'", "\\'") + "'"


def command_line(target: Target, command: str, *words: str) -> str:
    """A `blockdb` command ready to be pasted into a shell; `words` are fit for the shell already."""
    return " ".join(["blockdb", target.option, shlex.quote(target.path), command, *target.named, *words])


def get_command(target: Target, key: bytes, as_of: AsOf | None = None) -> str:
    """The command that prints the value of a key, whatever its bytes; the one that it had at a moment."""
    word, then = shell_word(key), as_option(as_of)
    if word is None or key.startswith(b"-"):
        return command_line(target, "get", *then, "--key-base64", _base64(key))
    return command_line(target, "get", *then, word)


def proof_command(target: Target, key: bytes, sequence: int, verifier_key: str) -> str:
    """The commands that make the receipt of a record, and check it without the database."""
    word = shell_word(key)
    named = ["--records", str(sequence)] if word is None else ["--", word] if key.startswith(b"-") else [word]
    prove = command_line(target, "prove", "-o", RECEIPT, *named)
    return f"{prove} && blockdb check {RECEIPT} --key {shlex.quote(verifier_key)}"


def scan_command(target: Target, prefix: bytes, as_of: AsOf | None = None) -> str:
    """The command that lists the records whose keys begin with `prefix`."""
    then = as_option(as_of)
    if not prefix:
        return command_line(target, "scan", *then)
    word = shell_word(prefix)
    if word is None or prefix.startswith(b"-"):
        return command_line(target, "scan", *then, "--key-base64", "--prefix", _base64(prefix))
    return command_line(target, "scan", *then, "--prefix", word)


def find_command(target: Target, where: str, order: str, as_of: AsOf | None = None) -> str:
    """The command that lists what a query finds."""
    words = [] if not where.strip() else [shlex.quote(where.strip())]
    ordered = [] if not order else ["--order", shlex.quote(order)]
    if where.startswith("-"):
        words.insert(0, "--")
    return command_line(target, "find", "--all", *as_option(as_of), *ordered, *words)


def diff_command(target: Target, one: AsOf | None, other: AsOf | None, prefix: bytes) -> str:
    """The command that compares two moments; records whose keys begin with `prefix` are counted."""
    words = [moment_word(moment) for moment in (one, other)]
    if words[0] == "now":  # the first is a moment of the past
        words.reverse()
    word = shell_word(prefix)
    narrowed = [] if not prefix else ["--key-base64", "--prefix", _base64(prefix)]
    if prefix and word is not None and not prefix.startswith(b"-"):
        narrowed = ["--prefix", word]
    return command_line(target, "diff", *words, *narrowed)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
