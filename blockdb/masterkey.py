"""Where the master key of an encrypted database comes from. It is looked for when it is needed, and not kept here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from blockdb.errors import ConfigError, MasterKeyError

KEY_BYTES: Final = 32
KEY_VARIABLE: Final = "BLOCKDB_MASTER_KEY"
FILE_VARIABLE: Final = "BLOCKDB_MASTER_KEY_FILE"
PASSPHRASE_VARIABLE: Final = "BLOCKDB_PASSPHRASE"

HOW_KEY: Final = f"Give its file with --master-key-file (or the setting master_key_file), or the key in {KEY_VARIABLE}."
HOW_PASSPHRASE: Final = f"Type it on a terminal, or put it into {PASSPHRASE_VARIABLE}."
HOW_EITHER: Final = (
    f"Make a key with `blockdb encryption new-key FILE` and give --master-key-file FILE, or put a key into "
    f"{KEY_VARIABLE}, or a passphrase into {PASSPHRASE_VARIABLE}."
)

Ask = Callable[[str], str]
"""Asks a person for a passphrase, with these words."""


class Secret(NamedTuple):
    """A master key or a passphrase, and where it came from, in words."""

    value: bytes
    source: str

    def __repr__(self) -> str:
        return f"<a secret from {self.source}>"


class MasterKeySource:
    """The ways that there are to a master key: first what the caller gives, then a file, then the environment.

    A person is asked, if there is one to ask, for a passphrase that nobody else gives.
    """

    def __init__(
        self,
        file: str | Path | None = None,
        *,
        key: bytes | None = None,
        passphrase: str | None = None,
        environ: Mapping[str, str] = os.environ,
        ask: Ask | None = None,
    ) -> None:
        """`key` has 32 bytes. Raises ConfigError where it has not."""
        if key is not None and (type(key) is not bytes or len(key) != KEY_BYTES):
            raise ConfigError(f"master_key: it should be {KEY_BYTES} bytes.")
        self._file = file
        self._key = key
        self._passphrase = passphrase
        self._environ = environ
        self._ask = ask

    def key(self) -> Secret | None:
        """The master key, where one is given. Raises MasterKeyError where what is given is none."""
        if self._key is not None:
            return Secret(self._key, "the caller")
        if self._file:
            return _from_file(Path(self._file))
        text, file = self._environ.get(KEY_VARIABLE), self._environ.get(FILE_VARIABLE)
        if text is not None:
            return Secret(_key_in(text, KEY_VARIABLE), KEY_VARIABLE)
        return None if file is None else _from_file(Path(file))

    def passphrase(self, *, twice: bool = False) -> Secret | None:
        """The passphrase, where one is given or can be asked for; `twice`, where it is a new one."""
        if self._passphrase is not None:
            return Secret(self._passphrase.encode(), "the caller")
        text = self._environ.get(PASSPHRASE_VARIABLE)
        if text is not None:
            return Secret(text.encode("utf-8", "surrogateescape"), PASSPHRASE_VARIABLE)
        if self._ask is None:
            return None
        typed = self._ask("New passphrase: " if twice else "Passphrase: ")
        if twice and typed != self._ask("The same again: "):
            raise MasterKeyError("The two passphrases are not the same. Nothing was done; try again.")
        return Secret(typed.encode("utf-8", "surrogateescape"), "the terminal")


def _from_file(path: Path) -> Secret:
    try:
        text = path.read_text("ascii")
    except OSError as error:
        raise MasterKeyError(
            f"The master key file {path} cannot be read: {error.strerror}. "
            "Check the path; `blockdb encryption new-key FILE` makes a new key."
        ) from None
    except ValueError:
        text = ""
    return Secret(_key_in(text, f"the file {path}"), f"the file {path}")


def _key_in(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"What is in {source} is no master key: that is {2 * KEY_BYTES} hexadecimal digits.")
    return key


def source_of(
    master_key_file: str | Path | None = None,
    master_key: bytes | None = None,
    passphrase: str | None = None,
    ask_passphrase: Ask | None = None,
) -> MasterKeySource:
    """The source that the arguments of `blockdb.open` describe. Raises ConfigError."""
    return MasterKeySource(master_key_file, key=master_key, passphrase=passphrase, ask=ask_passphrase)
