"""Ed25519 signatures over block hashes (RFC 8032, by PyNaCl). A chain that anyone can recompute proves nothing."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from blockdb.ledger.note import NoteSigner

SEED_BYTES: Final = 32
_CONTEXT: Final = b"BlockDB block signature 1\n"
"""Stands before the hash in what is signed, so that a signature made for one purpose serves no other."""


class Signer:
    """A signing key: made from 32 secret bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public_key = bytes(self._key.verify_key)
        self.key_id = key_id_of(self.public_key)

    @property
    def seed(self) -> bytes:
        """The secret bytes that the key was made of."""
        return bytes(self._key)

    def notes(self, name: str) -> NoteSigner:
        """The same key for signed notes, under a name."""
        return NoteSigner(name, self.seed)

    def sign(self, block_hash: bytes) -> bytes:
        """The 64 bytes of the signature over a block's hash."""
        return self._key.sign(_CONTEXT + block_hash).signature


def key_id_of(public_key: bytes) -> bytes:
    """The first eight bytes of the SHA-256 of a public key: which key signed."""
    return sha256(public_key).digest()[:8]


def is_signed(public_key: bytes, block_hash: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of the owner of `public_key` over this block hash."""
    try:
        VerifyKey(public_key).verify(_CONTEXT + block_hash, signature)
    except (BadSignatureError, ValueError):
        return False
    return True
