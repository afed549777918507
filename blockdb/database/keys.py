"""The signing key of a database and the public keys that its blocks are checked with."""

from __future__ import annotations

from os import urandom
from typing import Final

from blockdb.errors import Corruption
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import SEED_BYTES, Signer
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

SIGNING_KEY: Final = "signing key"
PUBLIC_KEYS: Final = "list of public keys"


def create(door: Door, files: DatabaseFiles) -> None:
    """Make an Ed25519 key, readable by the owner alone, unless there is one."""
    signer = load_signer(door, files) if files.signing_key.exists() else create_signer(door, files)
    save_public_keys(door, files, [signer.public_key])


def create_signer(door: Door, files: DatabaseFiles) -> Signer:
    """Make a new signing key."""
    save_checked(door, files.signing_key, SIGNING_KEY, {"seed": urandom(SEED_BYTES).hex()})
    return load_signer(door, files)


def save_public_keys(door: Door, files: DatabaseFiles, public_keys: list[bytes]) -> None:
    """Write the list of public keys, the present one last."""
    save_checked(door, files.public_keys, PUBLIC_KEYS, {"keys": [public_key.hex() for public_key in public_keys]})


def load_signer(door: Door, files: DatabaseFiles) -> Signer:
    """The key that signs. Raises Corruption."""
    try:
        return Signer(bytes.fromhex(load_checked(door, files.signing_key, SIGNING_KEY)["seed"]))
    except (KeyError, ValueError, TypeError) as error:
        raise Corruption(str(files.signing_key), None, f"it holds no key: {error}") from None


def load_public_keys(door: Door, files: DatabaseFiles) -> list[bytes]:
    """All public keys that ever signed, the present one last. Raises Corruption."""
    try:
        return [bytes.fromhex(text) for text in load_checked(door, files.public_keys, PUBLIC_KEYS)["keys"]]
    except (KeyError, ValueError, TypeError) as error:
        raise Corruption(str(files.public_keys), None, f"it holds no keys: {error}") from None
