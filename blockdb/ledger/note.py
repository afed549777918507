"""Signed notes and verifier keys, as the C2SP specification `signed-note` has them, with Ed25519 signatures.

A note is a text that ends with a newline, an empty line, and a line for each signature:

    — <name> <base64 of (key id 4 | signature)>

The key id is the beginning of SHA-256(name | newline | type | public key); a verifier key is written
`name+hex(key id)+base64(type | public key)`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

ED25519: Final = 1
COSIGNATURE: Final = 4
"""The type of a witness's signature, which has its time: see blockdb.ledger.cosignature."""

KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 100
_DASH: Final = "— "


class BadNote(ValueError):
    """Something is no signed note, no verifier key, or not signed by whom it should be; the message says what."""


@dataclass(frozen=True)
class Signature:
    """A line under a note: who signed, with which key, and `data`: the signature, and what else its type has."""

    name: str
    key_id: bytes
    data: bytes

    def encode(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.data)}\n"


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name of its owner. Its text is what one gives to others."""

    name: str
    public_key: bytes
    type: int = ED25519

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise BadNote(f"{self.name!r} is no name for a key: it may have no spaces and no plus sign")
        if self.type not in (ED25519, COSIGNATURE) or len(self.public_key) != PUBLIC_KEY_BYTES:
            raise BadNote("the key is not an Ed25519 key")

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+hex+base64`. Raises BadNote."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = decode_base64(encoded)
        except ValueError:
            data = b""
        if not data:
            raise BadNote("a verifier key looks like name+0123abcd+base64")
        key = cls(name, data[1:], data[0])
        if key_id != key.key_id.hex():
            raise BadNote("the verifier key was mistyped: its id does not belong to its name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name the key."""
        return sha256(self.name.encode() + b"\n" + bytes((self.type,)) + self.public_key).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes((self.type,)) + self.public_key)}"

    def speaks_for(self, origin: str) -> bool:
        """Whether it is the key of this origin: of that name, or of something below it (`name/...`)."""
        return origin == self.name or origin.startswith(self.name + "/")

    def of(self, origin: str) -> VerifierKey:
        """The same key under the name of an origin that it speaks for: a database's key signs for its collections."""
        return VerifierKey(origin, self.public_key, self.type) if self.speaks_for(origin) else self

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of the key signed this message (RFC 8032)."""
        try:
            VerifyKey(self.public_key).verify(message, signature)
        except (BadSignatureError, ValueError):
            return False
        return True


class NoteSigner:
    """Signs notes with an Ed25519 key made of 32 secret bytes, under a name."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.key = VerifierKey(name, bytes(self._key.verify_key))

    def sign(self, text: str) -> str:
        """The note: the text with its signature. Raises BadNote for what cannot be the text of one."""
        check_text(text)
        signature = Signature(self.key.name, self.key.key_id, self._key.sign(text.encode()).signature)
        return f"{text}\n{signature.encode()}"


@dataclass(frozen=True)
class Note:
    """A note as it was read; nothing is known of its signatures before `verified_by`."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Take a note apart. Raises BadNote."""
        if len(note) > MAX_NOTE_BYTES:
            raise BadNote(f"the note has more than {MAX_NOTE_BYTES} bytes")
        text, mark, below = note.rpartition("\n\n")
        text += "\n"
        if not mark or not below.endswith("\n"):
            raise BadNote("this is no signed note: a text, an empty line and lines of signatures are expected")
        check_text(text)
        return cls(text, parse_signatures(below))

    def encode(self) -> str:
        """The note as text again."""
        return self.text + "\n" + "".join(signature.encode() for signature in self.signatures)

    def verified_by(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """The keys of which the note bears a good signature: one at least.

        Signatures by others are passed over. Raises BadNote where a signature by one of the keys is wrong, or none
        is there.
        """
        good: list[VerifierKey] = []
        for key in keys:
            for signature in self.signatures:
                if (signature.name, signature.key_id) != (key.name, key.key_id):
                    continue
                if not key.is_signed(self.text.encode(), signature.data):
                    raise BadNote(f"the signature by {key.name} does not match the text")
                if key not in good:
                    good.append(key)
        if not good:
            raise BadNote("none of the keys that were given signed this")
        return good


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """The signatures in lines that each end with a newline. Raises BadNote."""
    found = tuple(_parse_signature(line) for line in lines.split("\n")[:-1])
    if len(found) > MAX_SIGNATURES:
        raise BadNote(f"there are more than {MAX_SIGNATURES} signatures")
    return found


def _parse_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        data = decode_base64(encoded)
    except ValueError:
        data = b""
    if not line.startswith(_DASH) or not is_name(name) or len(data) <= KEY_ID_BYTES:
        raise BadNote("a line under the note is no signature")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def check_text(text: str) -> None:
    """Raises BadNote for what cannot be the text of a note."""
    if not text.endswith("\n") or any(character < " " and character != "\n" for character in text):
        raise BadNote("the text of a note ends with a newline and has no other control characters")


def is_name(name: str) -> bool:
    """Whether this can be the name of a key."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and name.isprintable()


def encode_base64(data: bytes) -> str:
    """Standard base64 (RFC 4648 §4)."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """What `encode_base64` gave, and no other spelling of it: nothing in a proof may be changed. Raises ValueError."""
    try:
        data = b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"this is not base64: {error}") from None
    if encode_base64(data) != text:
        raise ValueError("this is not the canonical base64 of anything")
    return data


def keys_of(texts: Sequence[str]) -> list[VerifierKey]:
    """The verifier keys that these texts are. Raises BadNote."""
    return [VerifierKey.parse(text) for text in texts]
