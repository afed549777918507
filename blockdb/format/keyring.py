"""The data keys of an encrypted database, wrapped by its master key. Format page: docs/formats/keyring.md.

Files are sealed with data keys, which are chance. A data key stands on the disk only wrapped: sealed with the master
key, or with what Argon2id (RFC 9106) makes of a passphrase. So the master key can change without a file being touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal
from nacl.exceptions import CryptoError

from blockdb.format.frame import BadFrame

KEYRING: Final = "data keys"
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 24
KEY, PASSPHRASE = "key", "passphrase"
"""What the data keys are wrapped with."""

_BOUND_TO: Final = b"BlockDB data key 1\n"
_MASTER_ID: Final = b"BlockDB master key id 1\n"
_MOST_OPERATIONS: Final = 1_000
_MOST_MEMORY_BYTES: Final = 4 * 1024**3
"""What a keyring may ask for: a hostile one is not to take all memory."""


class DataKeys(dict[bytes, bytes]):
    """The data keys, by their id; `current` is the one that new files take. They are never shown."""

    def __init__(self, keys: Iterable[tuple[bytes, bytes]], current: bytes) -> None:
        super().__init__(keys)
        self.current = current

    def __repr__(self) -> str:
        return f"<{len(self)} data keys>"

    def encode(self) -> bytes:
        """The bytes with which they are handed to a process that helps."""
        return self.current + b"".join(key_id + key for key_id, key in self.items())

    @classmethod
    def decode(cls, data: bytes) -> DataKeys:
        """The keys in such bytes."""
        step = KEY_ID_BYTES + KEY_BYTES
        entries = (data[at : at + step] for at in range(KEY_ID_BYTES, len(data), step))
        return cls(((entry[:KEY_ID_BYTES], entry[KEY_ID_BYTES:]) for entry in entries), data[:KEY_ID_BYTES])


class Argon2(NamedTuple):
    """How a passphrase becomes a key. The defaults are the second choice of RFC 9106, with one lane."""

    salt: bytes
    operations: int = 3
    memory_bytes: int = 64 * 1024 * 1024

    def key(self, passphrase: bytes) -> bytes:
        """The key that a passphrase stands for. Takes a tenth of a second or more, and `memory_bytes`, on purpose."""
        from nacl.pwhash import argon2id

        return argon2id.kdf(KEY_BYTES, passphrase, self.salt, self.operations, self.memory_bytes)


class Wrapping(NamedTuple):
    """What a keyring says of the master key that opens it, without being opened."""

    master_id: str
    """Which one it is."""
    argon2: Argon2 | None
    """How it is made of a passphrase; None where it is a key."""

    @property
    def kind(self) -> str:
        """What has to be given: a key or a passphrase."""
        return KEY if self.argon2 is None else PASSPHRASE


def master_id(master: bytes) -> str:
    """What names a master key without telling it: the beginning of a hash."""
    return sha256(_MASTER_ID + master).hexdigest()[:16]


def wrap(keys: DataKeys, master: bytes, argon2: Argon2 | None, nonces: Iterable[bytes]) -> dict[str, Any]:
    """The values of a keyring. `nonces` are 24 bytes of chance for each key."""
    bound_to = _BOUND_TO + keys.current
    wrapped = {
        key_id.hex(): (nonce + aead_seal(key, bound_to + key_id, nonce, master)).hex()
        for (key_id, key), nonce in zip(keys.items(), nonces, strict=False)
    }
    values: dict[str, Any] = {"master": KEY if argon2 is None else PASSPHRASE, "master_id": master_id(master)}
    if argon2 is not None:
        values["argon2id"] = {**argon2._asdict(), "salt": argon2.salt.hex()}
    return {**values, "current": keys.current.hex(), "keys": wrapped}


def wrapping_of(values: Mapping[str, Any]) -> Wrapping:
    """What a keyring says of its master key. Raises BadFrame."""
    try:
        argon2 = None
        if values["master"] == PASSPHRASE:
            said = values["argon2id"]
            argon2 = Argon2(bytes.fromhex(said["salt"]), int(said["operations"]), int(said["memory_bytes"]))
            if argon2.operations > _MOST_OPERATIONS or argon2.memory_bytes > _MOST_MEMORY_BYTES:
                raise BadFrame("it asks for more work than any keyring of ours")
        return Wrapping(str(values["master_id"]), argon2)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"its contents are not those of a keyring: {error}") from None


def unwrap(values: Mapping[str, Any], master: bytes) -> DataKeys:
    """The data keys. Raises BadFrame where one does not open with this master key."""
    try:
        current = bytes.fromhex(values["current"])
        found = [(bytes.fromhex(key_id), bytes.fromhex(text)) for key_id, text in values["keys"].items()]
        opened = [
            (key_id, aead_open(data[NONCE_BYTES:], _BOUND_TO + current + key_id, data[:NONCE_BYTES], master))
            for key_id, data in found
        ]
        keys = DataKeys(opened, current)
    except CryptoError:
        raise BadFrame("a data key does not open with the master key") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFrame(f"its contents are not those of a keyring: {error}") from None
    if keys.current not in keys:
        raise BadFrame("the data key for new files is missing")
    return keys
