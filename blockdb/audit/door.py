"""What an audit is asked for: a database directory or a static export, with what is known of it from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.audit.export import CHECKPOINT, audit_export
from blockdb.audit.history import Trusted, read_checkpoints
from blockdb.audit.sources import is_address, source_of
from blockdb.audit.watch import CancelCallback, ProgressCallback, Watch
from blockdb.errors import InvalidData, StorageError
from blockdb.format.keyring import DataKeys
from blockdb.layout import DatabaseFiles
from blockdb.ledger.note import BadNote, VerifierKey, keys_of
from blockdb.types import Report


def audit_location(
    location: str,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    *,
    first: bool = False,
    checkpoints: Sequence[str | Path] = (),
    keys: Sequence[str] = (),
    hashes_only: bool = False,
    data_keys: DataKeys | None = None,
) -> Report:
    """Audit what is at a path or an address; see `blockdb.verify`, which documents this."""
    try:
        verifiers = keys_of(keys)
    except BadNote as error:
        raise InvalidData(f"This is no verifier key: {error}") from None
    if is_export(location):
        if checkpoints:
            raise InvalidData("A static export has its own checkpoint: others are compared with a database alone.")
        with closing(source_of(location)) as source:
            return audit_export(source, verifiers, Watch(progress, cancel), first=first, hashes_only=hashes_only)
    trusted = [state for file in checkpoints for state in _states(Path(file), verifiers)]
    public_keys = tuple(key.public_key for key in verifiers)
    return audit(Path(location), progress, cancel, Options(first, tuple(trusted), public_keys, data_keys))


def is_export(location: str) -> bool:
    """Whether this is the address, or the directory, of a static export."""
    if is_address(location):
        return True
    path = Path(location)
    return (path / CHECKPOINT).is_file() and not DatabaseFiles(path).registry.exists()


def _states(file: Path, keys: Sequence[VerifierKey]) -> list[Trusted]:
    try:
        return read_checkpoints(file.read_text(encoding="utf-8"), file.name, keys)
    except OSError as error:
        raise StorageError(f"{file}: it cannot be read: {error.strerror}") from None
    except (BadNote, UnicodeDecodeError) as error:
        raise InvalidData(f"{file}: this is no file of checkpoints: {error}") from None
