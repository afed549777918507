r"""Keys as people type and read them: text, with `\xNN` for any byte that text cannot say."""

from __future__ import annotations

import base64
import re
import shlex

__all__ = ["command_line", "get_command", "key_of", "proof_command", "scan_command", "shell_word", "text_of", "visible"]

RECEIPT = "receipt.txt"

_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})|\\\\")


def key_of(text: str) -> bytes:
    r"""The bytes that a typed text stands for: UTF-8, `\xNN` a byte, `\\` a backslash."""
    return _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", text.encode("utf-8", "surrogateescape")
    )


def text_of(key: bytes) -> str:
    """What to type for a key; `key_of` gives the key back."""
    return visible(key.replace(b"\\", b"\\\\").decode("utf-8", "surrogateescape"))


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


def command_line(path: str, command: str, *words: str) -> str:
    """A `blockdb` command ready to be pasted into a shell; `words` are fit for the shell already."""
    return " ".join(["blockdb", "-d", shlex.quote(path), command, *words])


def get_command(path: str, key: bytes) -> str:
    """The command that prints the value of a key, whatever its bytes."""
    return command_line(path, "get", *_key_words(key))


def proof_command(path: str, key: bytes, verifier_key: str) -> str:
    """The commands that make the receipt of a key, and check it without the database."""
    prove = command_line(path, "prove", *_key_words(key), "-o", RECEIPT)
    return f"{prove} && blockdb check {RECEIPT} --key {shlex.quote(verifier_key)}"


def _key_words(key: bytes) -> list[str]:
    word = shell_word(key)
    return ["--key-base64", _base64(key)] if word is None or key.startswith(b"-") else [word]


def scan_command(path: str, prefix: bytes) -> str:
    """The command that lists the records whose keys begin with `prefix`."""
    if not prefix:
        return command_line(path, "scan")
    word = shell_word(prefix)
    if word is None or prefix.startswith(b"-"):
        return command_line(path, "scan", "--key-base64", "--prefix", _base64(prefix))
    return command_line(path, "scan", "--prefix", word)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
