"""BlockDB: an append-only database whose every record can be proven to be what was written.

    import blockdb

    with blockdb.open("./blockdb_data") as db:
        db.put(b"user:1001", b"John Doe")
        db.get(b"user:1001")
        db.verify().valid

Importing this package opens nothing, starts nothing and is quick: the engine is loaded with the first `open`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.client.connecting import connect, connect_async
from blockdb.errors import (
    AnchorFailed,
    AppendOnly,
    BlockDBError,
    BlockNotFound,
    CollectionNotFound,
    ConfigError,
    Corruption,
    DatabaseClosed,
    DatabaseLocked,
    DatabaseNotFound,
    Deadlock,
    DuplicateCollection,
    DuplicateIndex,
    DuplicateKey,
    Forbidden,
    HistoryConflict,
    IdempotencyConflict,
    IndexNotFound,
    InvalidData,
    InvalidProof,
    KeyNotFound,
    MasterKeyError,
    QueryError,
    RateLimited,
    ReadOnly,
    Redacted,
    RequestTimeout,
    RequestTooLarge,
    StorageError,
    TransactionClosed,
    TransactionTimeout,
    Unauthenticated,
    Unavailable,
    UniqueViolation,
    UnsupportedFormat,
    ValidationError,
    Violation,
    WritesStopped,
)
from blockdb.format.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_KEY_BYTES, MAX_VALUE_BYTES

if TYPE_CHECKING:
    from blockdb.client.aio.database import AsyncDatabase
    from blockdb.client.collection import RemoteCollection
    from blockdb.client.database import RemoteDatabase
    from blockdb.database.backup.front import backup, restore
    from blockdb.database.backup.restore import Restored
    from blockdb.database.backup.stream import Backup
    from blockdb.database.collection import Collection
    from blockdb.database.database import Database
    from blockdb.database.queries.results import Results
    from blockdb.database.repairing.repair import Repair
    from blockdb.database.transactions.transaction import Transaction
    from blockdb.documents.document import Document
    from blockdb.documents.schema import Schema, SchemaVersion
    from blockdb.interface import AnyCollection, AnyDatabase, AnyFeed, AnyResults, AnyTransaction
    from blockdb.ledger.range_receipt import RangeReceipt
    from blockdb.ledger.receipt import Receipt, RunReceipt
    from blockdb.ledger.receipt_parts import Verified
    from blockdb.query.explanation import Explanation
    from blockdb.settings import CollectionSettings
    from blockdb.statistics import (
        Latency,
        RequestStatistics,
        ScrubStatistics,
        ServerStatistics,
        Snapshot,
        Statistics,
        TableStatistics,
        TransactionInfo,
        TransactionStatistics,
    )
    from blockdb.storage.feed import Feed
    from blockdb.types import (
        REDACTED,
        Act,
        Anchor,
        AsOf,
        Block,
        Change,
        CollectionInfo,
        CollectionStats,
        GoodBlock,
        IndexInfo,
        Problem,
        Progress,
        Publication,
        Record,
        Redaction,
        Report,
    )

__version__ = "0.1.0"

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_BATCH_RECORDS",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "REDACTED",
    "Act",
    "Anchor",
    "AnchorFailed",
    "AnyCollection",
    "AnyDatabase",
    "AnyFeed",
    "AnyResults",
    "AnyTransaction",
    "AppendOnly",
    "AsOf",
    "AsyncDatabase",
    "Backup",
    "Block",
    "BlockDBError",
    "BlockNotFound",
    "Change",
    "Collection",
    "CollectionInfo",
    "CollectionNotFound",
    "CollectionSettings",
    "CollectionStats",
    "ConfigError",
    "Corruption",
    "Database",
    "DatabaseClosed",
    "DatabaseLocked",
    "DatabaseNotFound",
    "Deadlock",
    "Document",
    "DuplicateCollection",
    "DuplicateIndex",
    "DuplicateKey",
    "Explanation",
    "Feed",
    "Forbidden",
    "GoodBlock",
    "HistoryConflict",
    "IdempotencyConflict",
    "IndexInfo",
    "IndexNotFound",
    "InvalidData",
    "InvalidProof",
    "KeyNotFound",
    "Latency",
    "MasterKeyError",
    "Problem",
    "Progress",
    "Publication",
    "QueryError",
    "RangeReceipt",
    "RateLimited",
    "ReadOnly",
    "Receipt",
    "Record",
    "Redacted",
    "Redaction",
    "RemoteCollection",
    "RemoteDatabase",
    "Report",
    "RequestStatistics",
    "RequestTimeout",
    "RequestTooLarge",
    "Restored",
    "Results",
    "RunReceipt",
    "Schema",
    "SchemaVersion",
    "ScrubStatistics",
    "ServerStatistics",
    "Snapshot",
    "Statistics",
    "StorageError",
    "TableStatistics",
    "Transaction",
    "TransactionClosed",
    "TransactionInfo",
    "TransactionStatistics",
    "TransactionTimeout",
    "Unauthenticated",
    "Unavailable",
    "UniqueViolation",
    "UnsupportedFormat",
    "ValidationError",
    "Verified",
    "Violation",
    "WritesStopped",
    "backup",
    "connect",
    "connect_async",
    "merkle_levels",
    "open",
    "repair",
    "restore",
    "verify",
    "verify_receipt",
]


def open(  # noqa: A001 - the name is the interface: blockdb.open, as in dbm.open
    path: str | Path = "./blockdb_data",
    *,
    read_only: bool = False,
    create: bool = True,
    master_key: bytes | None = None,
    passphrase: str | None = None,
    ask_passphrase: Callable[[str], str] | None = None,
    **settings: Any,
) -> Database:
    """Open the database in a directory, making one where there is none (unless `create` is false).

    `settings` are the keys of `[database]` (see blockdb.config.DatabaseConfig): `memtable_size_limit` (bytes),
    `wal_sync_interval` (milliseconds; 0 forces each write to disk before it is acknowledged),
    `compaction_threshold` (tables), `blockchain_batch_size` (records in a block, fixed at creation), `redactable`
    (whether values can be erased, fixed at creation), `encryption_enabled` (fixed at creation), `master_key_file`.

    The master key of an encrypted database is the first that is given: `master_key` (32 bytes), `master_key_file`,
    BLOCKDB_MASTER_KEY; where it takes a passphrase, `passphrase`, BLOCKDB_PASSPHRASE, or the answer of
    `ask_passphrase`, which is called with the words to ask with.

    One process at a time may write; with `read_only=True` any number attach beside it and see each new record.
    Raises DatabaseLocked, DatabaseNotFound, ConfigError, Corruption, MasterKeyError, StorageError, UnsupportedFormat.
    """
    from blockdb.config import from_settings
    from blockdb.database.database import Database
    from blockdb.masterkey import source_of

    config = from_settings({"data_dir": str(path), **settings})
    source = source_of(config.master_key_file, master_key, passphrase, ask_passphrase)
    return Database(config, read_only=read_only, create=create, source=source)


def verify(
    path: str | Path,
    progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    *,
    first: bool = False,
    checkpoints: Sequence[str | Path] = (),
    keys: Sequence[str] = (),
    hashes_only: bool = False,
    anchors: Sequence[Anchor] = (),
    **secrets: Any,
) -> Report:
    """Audit a database directory without opening it, so also one that is too damaged to open. O(all bytes).

    `path` may also be that of a static export (C2SP tlog-tiles), or its http or https address. With `first` it ends
    at the first bad block, and reads no more than it takes to find that. `checkpoints` are files of signed
    checkpoints that were kept elsewhere: the history has to have them all. `keys` are verifier keys; then nobody
    else may have signed. `hashes_only` is for an export without its records. A directory is then held against its
    anchors, and further ones in `anchors`. `secrets` are those of `open`: `master_key_file`, `master_key`,
    `passphrase`, `ask_passphrase`. Raises DatabaseNotFound, MasterKeyError of an encrypted database, InvalidData for
    what is no checkpoint, key or anchor, and StorageError where something cannot be read; whatever else is wrong
    stands in the report.
    """
    from blockdb.audit.door import audit_location
    from blockdb.database.encryption import keys_for_audit
    from blockdb.layout import DatabaseFiles
    from blockdb.masterkey import source_of

    source = source_of(**secrets)
    report = audit_location(
        str(path),
        progress,
        cancel,
        first=first,
        checkpoints=checkpoints,
        keys=keys,
        hashes_only=hashes_only,
        data_keys=keys_for_audit(Path(path), source),
    )
    if report.cancelled or not (anchors or DatabaseFiles(Path(path)).anchors.exists()):
        return report
    from blockdb.database.outside import held_against_anchors

    return held_against_anchors(report, Path(path), anchors, source)


def repair(path: str | Path, progress: Callable[[Progress], None] | None = None, **secrets: Any) -> Repair:
    """Rebuild from the chain what can be derived, and set aside what cannot; nobody may be writing. O(all bytes).

    `secrets` are those of `open`. Raises DatabaseNotFound, DatabaseLocked, MasterKeyError, StorageError; and Corruption
    where not even the beginning of the chain can be read.
    """
    from blockdb.database.repairing.repair import repair
    from blockdb.masterkey import source_of

    return repair(Path(path), progress, source_of(**secrets))


def merkle_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the RFC 6962 tree over these leaf hashes: leaves first, the root alone in the last. O(n)."""
    from blockdb.ledger.merkle import levels

    return levels(leaves)


def verify_receipt(receipt: str, *keys: str) -> Verified:
    """What a receipt proves to somebody who trusts these verifier keys. Needs nothing but the text. O(log n).

    Keys of witnesses among them must all have cosigned. Raises InvalidProof, which says what is wrong.
    """
    from blockdb.ledger.note import BadNote, VerifierKey
    from blockdb.ledger.proof import BadProof
    from blockdb.ledger.receipt import check_receipt

    try:
        return check_receipt(receipt, [VerifierKey.parse(key) for key in keys])
    except (BadNote, BadProof) as error:
        raise InvalidProof(f"{error}.") from None


_LAZY = {
    "Latency": "blockdb.statistics",
    "RequestStatistics": "blockdb.statistics",
    "ScrubStatistics": "blockdb.statistics",
    "ServerStatistics": "blockdb.statistics",
    "Snapshot": "blockdb.statistics",
    "Statistics": "blockdb.statistics",
    "TableStatistics": "blockdb.statistics",
    "TransactionInfo": "blockdb.statistics",
    "TransactionStatistics": "blockdb.statistics",
    "REDACTED": "blockdb.types",
    "Act": "blockdb.types",
    "Anchor": "blockdb.types",
    "AsOf": "blockdb.types",
    "Block": "blockdb.types",
    "Change": "blockdb.types",
    "CollectionInfo": "blockdb.types",
    "CollectionStats": "blockdb.types",
    "GoodBlock": "blockdb.types",
    "IndexInfo": "blockdb.types",
    "Problem": "blockdb.types",
    "Progress": "blockdb.types",
    "Publication": "blockdb.types",
    "Record": "blockdb.types",
    "Redaction": "blockdb.types",
    "Report": "blockdb.types",
    "CollectionSettings": "blockdb.settings",
    "AnyCollection": "blockdb.interface",
    "AnyDatabase": "blockdb.interface",
    "AnyFeed": "blockdb.interface",
    "AnyResults": "blockdb.interface",
    "AnyTransaction": "blockdb.interface",
    "AsyncDatabase": "blockdb.client.aio.database",
    "Backup": "blockdb.database.backup.stream",
    "backup": "blockdb.database.backup.front",
    "restore": "blockdb.database.backup.front",
    "Collection": "blockdb.database.collection",
    "Transaction": "blockdb.database.transactions.transaction",
    "Database": "blockdb.database.database",
    "Document": "blockdb.documents.document",
    "Explanation": "blockdb.query.explanation",
    "Feed": "blockdb.storage.feed",
    "RangeReceipt": "blockdb.ledger.range_receipt",
    "Receipt": "blockdb.ledger.receipt",
    "Restored": "blockdb.database.backup.restore",
    "Results": "blockdb.database.queries.results",
    "RemoteCollection": "blockdb.client.collection",
    "RemoteDatabase": "blockdb.client.database",
    "RunReceipt": "blockdb.ledger.receipt",
    "Schema": "blockdb.documents.schema",
    "SchemaVersion": "blockdb.documents.schema",
    "Verified": "blockdb.ledger.receipt_parts",
}
"""What is loaded when it is first named, and where it is."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return found
    raise AttributeError(f"module 'blockdb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
