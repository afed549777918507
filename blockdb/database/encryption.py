"""The keys of an encrypted database: made with it, opened with its master key, wrapped anew, and new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import urandom
from pathlib import Path
from typing import Any, Final, NoReturn

from blockdb.config import DatabaseConfig
from blockdb.errors import ConfigError, Corruption, DatabaseNotFound, MasterKeyError
from blockdb.format import keyring, sealed
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import KEYRING, PASSPHRASE, Argon2, DataKeys, Wrapping, master_id
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import HOW_EITHER, HOW_KEY, HOW_PASSPHRASE, MasterKeySource, Secret
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.storage.sealed_door import SealedDoor


def prepared(door: Door, files: DatabaseFiles, config: DatabaseConfig, source: MasterKeySource) -> Door:
    """The door through which a new database is made; the keys of an encrypted one are made here. Raises MasterKeyError.

    What a creation that was cut short has left of keys is removed: they sealed nothing that counts.
    """
    if config.encryption_enabled or door.identity(files.keyring) is not None:
        door.remove(DatabaseFiles(files.root).signing_key)
        door.remove(files.keyring)
    if not config.encryption_enabled:
        return door
    master, argon2 = _new_master(source)
    keys = _with_new_key(())
    _save(door, files, keys, master, argon2)
    return _sealing(door, files, keys, master)


def opened(door: Door, files: DatabaseFiles, config: DatabaseConfig, source: MasterKeySource) -> Door:
    """The door through which a database is read and written: its own, or, of an encrypted one, one that seals.

    Raises MasterKeyError, Corruption; and ConfigError where the setting says otherwise than the database.
    """
    is_encrypted = door.identity(files.keyring) is not None
    if config.encryption_enabled is not None and config.encryption_enabled != is_encrypted:
        is_, should = ("encrypted", "false") if is_encrypted else ("not encrypted", "true")
        raise ConfigError(
            f"encryption_enabled: it is {should}, and the database at {files.root} is {is_}, which is decided when it "
            "is created. Leave the setting out, or export the records and import them into a new database."
        )
    if not is_encrypted:
        own_key = DatabaseFiles(files.root).signing_key
        if own_key.exists() and is_sealed(own_key):
            raise Corruption(str(files.keyring), None, _LOST)
        return door
    master, keys = _load(door, files, source)
    return _sealing(door, files, keys, master)


def load_keys(door: Door, files: DatabaseFiles, source: MasterKeySource) -> DataKeys | None:
    """The data keys of a database, None of one that is not encrypted. Raises MasterKeyError, Corruption."""
    return None if door.identity(files.keyring) is None else _load(door, files, source)[1]


def keys_for_audit(path: Path, source: MasterKeySource) -> DataKeys | None:
    """The data keys with which a database is audited; None where it has none, or none that can be read.

    What is wrong with the file the audit says. Raises MasterKeyError.
    """
    with guarded(f"reading the keys of {path}"):
        try:
            return load_keys(Door(), DatabaseFiles(path), source)
        except Corruption:
            return None


def opened_for_repair(door: Door, files: DatabaseFiles, source: MasterKeySource) -> Door:
    """The door through which a database is repaired. Raises MasterKeyError, and Corruption where the keys are lost."""
    keys = load_keys(door, files, source)
    if keys is not None:
        return SealedDoor(door, keys)
    if any(map(is_sealed, files.collections.glob("*/chain/*.chain*"))):
        raise Corruption(str(files.keyring), None, _LOST)
    return door


def is_sealed(path: Path) -> bool:
    """Whether a file is a sealed one, to judge by its first bytes."""
    with path.open("rb") as file:
        return sealed.is_sealed(file.read(sealed.HEADER_BYTES))


_LOST: Final = "the file is missing, and the database is encrypted: without it nothing can be read"


def check_is_whole(door: Door, files: DatabaseFiles, is_encrypted: bool) -> None:
    """Raises Corruption where a collection is encrypted and there are no keys, or the other way round."""
    if is_encrypted and not door.is_sealing:
        raise Corruption(str(files.keyring), None, _LOST)
    if door.is_sealing and not is_encrypted:
        raise Corruption(str(files.keyring), None, "there are data keys, and the collection is not encrypted")


def rewrap(path: Path, source: MasterKeySource, new: MasterKeySource) -> str:
    """Wrap the data keys with another master key; the old one opens nothing afterwards. Returns the id of the new one.

    At once: a process that is killed meanwhile leaves one or the other. Raises MasterKeyError, DatabaseLocked,
    DatabaseNotFound, Corruption, StorageError.
    """
    return master_id(_changed(path, source, lambda keys, master, argon2: (keys, *_new_master(new)))[1])


def new_data_key(path: Path, source: MasterKeySource) -> str:
    """Have files that are written from now on sealed with a new data key; those that exist keep theirs.

    Returns the id of the new key. Raises as `rewrap` does.
    """
    keys, _ = _changed(path, source, lambda keys, master, argon2: (_with_new_key(keys.items()), master, argon2))
    return keys.current.hex()


def describe(path: Path) -> dict[str, Any]:
    """What the keyring of a database says without being opened. Raises ConfigError, DatabaseNotFound, Corruption."""
    files = _encrypted(path)
    wrapping, values = _wrapping(Door(), files)
    current = values.get("current", "")
    older = sorted(set(values.get("keys", {})) - {current})
    return {"master": wrapping.kind, "master_id": wrapping.master_id, "current": current, "older": older}


def contents(path: Path, source: MasterKeySource, file: Path) -> bytes:
    """What a sealed file of a database holds. Raises as `rewrap` does."""
    files = _encrypted(path)
    with guarded(f"reading {file}"):
        return SealedDoor(Door(), _load(Door(), files, source)[1]).read(file)


Change = Callable[[DataKeys, bytes, "Argon2 | None"], tuple[DataKeys, bytes, "Argon2 | None"]]


def _changed(path: Path, source: MasterKeySource, change: Change) -> tuple[DataKeys, bytes]:
    door, files = Door(), _encrypted(path)
    with guarded(f"changing the keys of {path}"):
        lock = door.lock(path)
        try:
            wrapping, values = _wrapping(door, files)
            master = _master(files, wrapping, source)
            keys, master, argon2 = change(_unwrap(files, values, master), master, wrapping.argon2)
            _save(door, files, keys, master, argon2)
        finally:
            door.unlock(lock)
    return keys, master


def _encrypted(path: Path) -> DatabaseFiles:
    files = DatabaseFiles(path)
    if not files.registry.exists():
        raise DatabaseNotFound(f"There is no database at {path}. Check the path.")
    if not files.keyring.exists():
        raise ConfigError(f"The database at {path} is not encrypted: it has no such keys.")
    return files


def _sealing(door: Door, files: DatabaseFiles, keys: DataKeys, master: bytes) -> SealedDoor:
    return SealedDoor(door, keys, lambda: _unwrap(files, _wrapping(door, files)[1], master))


def _with_new_key(old: Any) -> DataKeys:
    key_id = urandom(keyring.KEY_ID_BYTES)
    return DataKeys([*old, (key_id, urandom(keyring.KEY_BYTES))], key_id)


def _save(door: Door, files: DatabaseFiles, keys: DataKeys, master: bytes, argon2: Argon2 | None) -> None:
    save_checked(door, files.keyring, KEYRING, keyring.wrap(keys, master, argon2, _nonces()))


def _nonces() -> Iterator[bytes]:
    while True:
        yield urandom(keyring.NONCE_BYTES)


def _new_master(source: MasterKeySource) -> tuple[bytes, Argon2 | None]:
    key = source.key()
    if key is not None:
        return key.value, None
    passphrase = source.passphrase(twice=True)
    if passphrase is None:
        raise MasterKeyError(f"An encrypted database needs a master key, or a passphrase. {HOW_EITHER}")
    if not passphrase.value:
        raise MasterKeyError("The passphrase is empty. Nothing was done; give one that nobody guesses.")
    argon2 = Argon2(urandom(keyring.SALT_BYTES))
    return argon2.key(passphrase.value), argon2


def _load(door: Door, files: DatabaseFiles, source: MasterKeySource) -> tuple[bytes, DataKeys]:
    wrapping, values = _wrapping(door, files)
    master = _master(files, wrapping, source)
    return master, _unwrap(files, values, master)


def _wrapping(door: Door, files: DatabaseFiles) -> tuple[Wrapping, dict[str, Any]]:
    values = load_checked(door, files.keyring, KEYRING)
    try:
        return keyring.wrapping_of(values), values
    except BadFrame as error:
        raise Corruption(str(files.keyring), None, str(error)) from None


def _unwrap(files: DatabaseFiles, values: Mapping[str, Any], master: bytes) -> DataKeys:
    try:
        return keyring.unwrap(values, master)
    except BadFrame as error:
        raise Corruption(str(files.keyring), None, str(error)) from None


def _master(files: DatabaseFiles, wrapping: Wrapping, source: MasterKeySource) -> bytes:
    """The master key of a keyring. Raises MasterKeyError where it is not given, or is another one."""
    if wrapping.argon2 is None:
        secret = source.key() or _refuse(files, wrapping)
        master = secret.value
    else:
        secret = source.passphrase() or _refuse(files, wrapping)
        master = wrapping.argon2.key(secret.value)
    if master_id(master) != wrapping.master_id:
        _refuse(files, wrapping, secret, master)
    return master


def _refuse(files: DatabaseFiles, wrapping: Wrapping, secret: Secret | None = None, master: bytes = b"") -> NoReturn:
    if wrapping.kind == PASSPHRASE:
        what = "its passphrase is missing" if secret is None else f"the passphrase from {secret.source} is a wrong one"
        raise MasterKeyError(f"The database at {files.root} is encrypted, and {what}. {HOW_PASSPHRASE}")
    what = f"its master key {wrapping.master_id} is missing"
    if secret is not None:
        what = f"its master key is {wrapping.master_id}; that from {secret.source} is {master_id(master)}"
    raise MasterKeyError(f"The database at {files.root} is encrypted, and {what}. {HOW_KEY}")
