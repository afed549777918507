"""The signing key of a database and the public keys that its blocks are checked with."""

from __future__ import annotations

from typing import Final

from blockdb.errors import ConfigError, Corruption
from blockdb.layout import DatabaseFiles
from blockdb.ledger.note import NoteSigner, VerifierKey
from blockdb.ledger.signature import SEED_BYTES, Signer
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.storage.surroundings import MACHINE, Surroundings

SIGNING_KEY: Final = "signing key"
PUBLIC_KEYS: Final = "list of public keys"


def create(door: Door, files: DatabaseFiles, surroundings: Surroundings = MACHINE) -> None:
    """Make an Ed25519 key, readable by the owner alone, unless there is one."""
    signer = load_signer(door, files) if files.signing_key.exists() else create_signer(door, files, surroundings)
    save_public_keys(door, files, [signer.public_key])


def create_signer(door: Door, files: DatabaseFiles, surroundings: Surroundings = MACHINE) -> Signer:
    """Make a new signing key and keep it."""
    signer = new_signer(surroundings)
    save_signer(door, files, signer)
    return signer


def new_signer(surroundings: Surroundings = MACHINE) -> Signer:
    """A new signing key."""
    return Signer(surroundings.chance(SEED_BYTES, "signing key"))


def save_signer(door: Door, files: DatabaseFiles, signer: Signer) -> None:
    """Put a signing key in the place of the one that there is."""
    save_checked(door, files.signing_key, SIGNING_KEY, {"seed": signer.seed.hex()})


def save_public_keys(door: Door, files: DatabaseFiles, public_keys: list[bytes]) -> None:
    """Write the list of public keys, the present one last, and whether the secret one is kept apart from the data."""
    apart = {"apart": True} if files.key_file is not None else {}
    save_checked(door, files.public_keys, PUBLIC_KEYS, {"keys": [key.hex() for key in public_keys], **apart})


def load_signer(door: Door, files: DatabaseFiles) -> Signer:
    """The key that signs. Raises Corruption, or ConfigError where it is kept apart and was not named."""
    if files.key_file is not None and not files.key_file.exists():
        raise ConfigError(f"key_file: there is no key at {files.key_file}; name the file that has it.")
    if files.key_file is None and not files.signing_key.exists() and is_apart(door, files):
        raise ConfigError("key_file: the signing key is kept apart from the data; name its file (--key-file).")
    try:
        return Signer(bytes.fromhex(load_checked(door, files.signing_key, SIGNING_KEY)["seed"]))
    except (KeyError, ValueError, TypeError) as error:
        raise Corruption(str(files.signing_key), None, f"it holds no key: {error}") from None


def load_own_signer(door: Door, files: DatabaseFiles) -> Signer:
    """The key that signs, which has to be one of this database's. Raises as `load_signer`."""
    signer = load_signer(door, files)
    if signer.public_key not in load_public_keys(door, files):
        if files.key_file is None:
            raise Corruption(str(files.signing_key), None, "its public key is not among the public keys")
        raise ConfigError(f"key_file: the key in {files.key_file} is none of this database's; name the one that is.")
    return signer


def put_last(door: Door, files: DatabaseFiles, signer: Signer) -> None:
    """Have the key that signs stand last in the list, also where a rotation was cut short before it was replaced."""
    known = load_public_keys(door, files)
    if signer.public_key != known[-1]:
        save_public_keys(door, files, [*(key for key in known if key != signer.public_key), signer.public_key])


def load_public_keys(door: Door, files: DatabaseFiles) -> list[bytes]:
    """All public keys that ever signed, the present one last. Raises Corruption."""
    try:
        keys = [bytes.fromhex(text) for text in load_checked(door, files.public_keys, PUBLIC_KEYS)["keys"]]
    except (KeyError, ValueError, TypeError) as error:
        raise Corruption(str(files.public_keys), None, f"it holds no keys: {error}") from None
    if not keys:
        raise Corruption(str(files.public_keys), None, "it holds no keys")
    return keys


def is_apart(door: Door, files: DatabaseFiles) -> bool:
    """Whether the secret key is kept apart from the data. Raises Corruption."""
    return bool(load_checked(door, files.public_keys, PUBLIC_KEYS).get("apart"))


def note_keys(door: Door, files: DatabaseFiles, origin: str) -> list[VerifierKey]:
    """All keys that ever signed, as they sign notes about this origin; the present one last. Raises Corruption."""
    return [VerifierKey(origin, key) for key in load_public_keys(door, files)]


def rotation_note(old: NoteSigner, new: VerifierKey) -> str:
    """What the owner of the old key signs: that from now on the new one speaks for the database."""
    return old.sign(f"blockdb/key-rotation@v1\n{old.key}\n{new}\n")
