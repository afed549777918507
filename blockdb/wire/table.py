"""The table of operations. Doors, client, documentation and authorization are all drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from blockdb.security.roles import Reach, Right
from blockdb.wire import reaching
from blockdb.wire.cluster import CLUSTER
from blockdb.wire.messages import collections, plain, proofs, queries, records, server, transactions
from blockdb.wire.monitoring import MONITORING
from blockdb.wire.operation import Kind, Nothing, Operation
from blockdb.wire.tokens import TOKENS

__all__ = ["BY_NAME", "OPERATIONS"]

READ, WRITE, AUDIT, MANAGE, OPERATE = Right
API: Final = "/api/v1"
ONE: Final = f"{API}/collections/{{collection}}"
TRANSACTION: Final = f"{API}/transactions/{{transaction}}"


def _of_batch(request: plain.Batch) -> Reach:
    """The keys of a batch."""
    return Reach(request.collection, tuple(each.key for each in request.operations))


def _of_beside(request: records.InCollection) -> Reach:
    """All of a collection, although one key or range is asked for: a proof of it tells the keys beside it."""
    return Reach(request.collection)


def _of_shape(request: records.InCollection) -> Reach:
    """How a collection is made up, and its hashes: nothing of what its keys and values say."""
    return Reach(request.collection, ())


_of_nobody, _of_key, _of_range = reaching.of_nobody, reaching.of_key, reaching.of_range
_of_database, _of_collection = reaching.of_database, reaching.of_collection

REST: Final = (
    Operation(
        "store", "POST", f"{API}/put", WRITE, _of_key, records.Put, plain.Told, "Store a record.",
        is_quick=True, is_rest=True, errors=("DuplicateKey",),
    ),
    Operation(
        "fetch", "GET", f"{API}/get/{{key}}", READ, _of_key, plain.Fetch, plain.Fetched, "Read a value.",
        is_quick=True, is_rest=True, errors=("NotFound", "Redacted"),
    ),
    Operation(
        "store_batch", "POST", f"{API}/batch", WRITE, _of_batch, plain.Batch, plain.BatchDone,
        "Store records, all of them or none.", is_rest=True, errors=("DuplicateKey",),
    ),
    Operation(
        "create_collection", "POST", f"{API}/collections", MANAGE, _of_database, collections.CreateCollection,
        collections.Created, "Make a collection.", errors=("DuplicateCollection", "ConfigError"),
    ),
    Operation(
        "list_collections", "GET", f"{API}/collections", READ, _of_nobody, Nothing, plain.CollectionList,
        "List the collections that one may touch.", is_rest=True,
    ),
    Operation(
        "show_collection", "GET", ONE, READ, _of_shape, records.InCollection, plain.CollectionShown,
        "Show a collection.", is_rest=True, errors=("CollectionNotFound",),
    ),
    Operation(
        "drop_collection", "DELETE", ONE, MANAGE, _of_collection, records.InCollection, plain.Told,
        "Drop a collection with all that it holds.", is_rest=True, errors=("CollectionNotFound",),
    ),
    Operation(
        "store_document", "POST", f"{ONE}/documents", WRITE, _of_key, records.Put, plain.Told, "Store a document.",
        is_quick=True, is_rest=True, errors=("DuplicateKey", "ValidationError", "UniqueViolation"),
    ),
    Operation(
        "list_documents", "GET", f"{ONE}/documents", READ, reaching.of_prefix, plain.ListDocuments,
        plain.DocumentList, "List documents in the order of their keys.", is_rest=True,
    ),
    Operation(
        "fetch_document", "GET", f"{ONE}/documents/{{key}}", READ, _of_key, plain.Fetch, plain.FetchedDocument,
        "Read a document.", is_quick=True, is_rest=True, errors=("NotFound", "Redacted"),
    ),
    Operation(
        "add_index", "POST", f"{ONE}/indexes", MANAGE, _of_collection, collections.CreateIndex, plain.Told,
        "Make an index.", is_rest=True, is_long=True, errors=("DuplicateIndex", "UniqueViolation"),
    ),
    Operation(
        "drop_index", "DELETE", f"{ONE}/indexes/{{index}}", MANAGE, _of_collection, collections.ByIndex, plain.Told,
        "Drop an index.", errors=("IndexNotFound",),
    ),
    Operation(
        "show_collection_stats", "GET", f"{ONE}/stats", READ, _of_shape, records.InCollection,
        collections.CollectionStatistics, "How much a collection holds.",
    ),
    Operation(
        "verify_collection", "POST", f"{ONE}/verify", AUDIT, _of_collection, records.InCollection,
        plain.CollectionVerification, "Recompute every hash of a collection.", is_rest=True, is_long=True,
    ),
    Operation(
        "verify", "POST", "/verify", AUDIT, _of_database, Nothing, plain.Verification,
        "Recompute every hash of the database.", is_rest=True, is_long=True,
    ),
)  # fmt: skip
"""What plain HTTP has: endpoints with exactly these fields."""

RECORDS: Final = (
    Operation(
        "put", "POST", f"{ONE}/records", WRITE, _of_key, records.Put, records.Stored, "Store a record.",
        status=201, is_quick=True, errors=("DuplicateKey", "ValidationError", "UniqueViolation"),
    ),
    Operation(
        "put_many", "POST", f"{ONE}/batch", WRITE, reaching.of_item, records.PutMany, records.Stored,
        "Store a batch, all of it or nothing.", status=201,
        errors=("DuplicateKey", "ValidationError", "UniqueViolation"),
    ),
    Operation(
        "get", "GET", f"{ONE}/values/{{key}}", READ, _of_key, records.Get, records.Found, "Read a value.",
        is_quick=True, errors=("Redacted",),
    ),
    Operation(
        "exists", "GET", f"{ONE}/keys/{{key}}", READ, _of_key, records.ByKey, records.Existence,
        "Whether a key is stored.", is_quick=True,
    ),
    Operation(
        "record", "GET", f"{ONE}/records/{{key}}", READ, _of_key, records.ByKey, records.RecordFound,
        "A record with its sequence number, time and block.",
    ),
    Operation(
        "scan", "GET", f"{ONE}/scan", READ, _of_range, records.Scan, records.Page,
        "Keys and values in key order, a page at a time of one snapshot.",
    ),
    Operation(
        "count", "POST", f"{ONE}/count", READ, _of_range, records.Count, records.Counted,
        "How many keys a range has, or documents a filter lets through.", errors=("QueryError",),
    ),
    Operation(
        "records", "GET", f"{ONE}/log", READ, _of_collection, records.InCommitOrder, records.Records,
        "Records in commit order.",
    ),
    Operation(
        "redact", "POST", f"{ONE}/redact", MANAGE, reaching.of_keys, records.Redact, records.Redacted,
        "Erase the values of keys for good; hashes and proofs stay.", is_long=True,
        errors=("KeyNotFound", "Redacted"),
    ),
    Operation(
        "import_records", "POST", f"{ONE}/import", WRITE, reaching.of_item, records.Import, records.Imported,
        "Store a stream of records, a batch at a time.", kind=Kind.REQUESTS, is_long=True, errors=("DuplicateKey",),
    ),
    Operation(
        "watch", "GET", f"{ONE}/watch", READ, reaching.of_prefix, server.Watch, server.Watched,
        "Each record as it is stored, in commit order.", kind=Kind.ANSWERS, is_long=True,
    ),
)  # fmt: skip

BLOCKS: Final = (
    Operation(
        "blocks", "GET", f"{ONE}/blocks", READ, _of_shape, records.Blocks, records.BlockList, "Sealed blocks.",
    ),
    Operation(
        "block_records", "GET", f"{ONE}/block-records/{{number}}", READ, _of_collection, records.ByNumber,
        records.Records, "The records of a block.", errors=("BlockNotFound",),
    ),
    Operation(
        "block_leaves", "GET", f"{ONE}/block-leaves/{{number}}", READ, _of_collection, records.ByNumber, records.Leaves,
        "The leaf hashes of a block.", errors=("BlockNotFound",),
    ),
    Operation(
        "block", "GET", f"{ONE}/blocks/{{number}}", READ, _of_shape, records.ByNumber, records.BlockFound,
        "A sealed block.", errors=("BlockNotFound",),
    ),
)  # fmt: skip

COLLECTIONS: Final = (
    Operation(
        "collections", "GET", f"{API}/catalogue", READ, _of_nobody, Nothing, collections.Catalogue,
        "The collections that one may touch, with all that is known of them.",
    ),
    Operation(
        "describe", "GET", f"{ONE}/info", READ, _of_shape, records.InCollection, collections.Described,
        "All that is known of a collection.", errors=("CollectionNotFound",),
    ),
    Operation(
        "locate", "GET", f"{ONE}/identity", READ, _of_shape, records.InCollection, collections.Located,
        "Id and name of a collection: nothing that its partitions would have to be asked for.",
        errors=("CollectionNotFound",),
    ),
    Operation(
        "drop", "POST", f"{ONE}/drop", MANAGE, _of_collection, records.InCollection, collections.Dropped,
        "Drop a collection, and tell what it was.", errors=("CollectionNotFound",),
    ),
    Operation(
        "total_stats", "GET", f"{API}/totals", READ, _of_database, Nothing, collections.Totals,
        "All collections together.",
    ),
    Operation(
        "indexes", "GET", f"{ONE}/indexes", READ, _of_shape, records.InCollection, collections.Indexes,
        "The indexes of a collection.",
    ),
    Operation(
        "create_index", "PUT", f"{ONE}/indexes", MANAGE, _of_collection, collections.CreateIndex, collections.Indexed,
        "Make an index, and tell what it is.", is_long=True, errors=("DuplicateIndex", "UniqueViolation"),
    ),
    Operation(
        "set_schema", "PUT", f"{ONE}/schema", MANAGE, _of_collection, collections.SetSchema,
        collections.SchemaVersionInfo, "Have documents from now on be as a schema says.", is_long=True,
    ),
    Operation(
        "schemas", "GET", f"{ONE}/schemas", READ, _of_shape, records.InCollection, collections.Schemas,
        "All versions of the schema.",
    ),
    Operation(
        "schema_version", "GET", f"{ONE}/schema-version/{{sequence}}", READ, _of_shape, collections.BySequence,
        collections.Version, "The version of the schema under which a record was stored.",
    ),
)  # fmt: skip

QUERIES: Final = (
    Operation(
        "find", "POST", f"{ONE}/find", READ, _of_collection, queries.Find, queries.Documents,
        "The documents that a filter lets through, a page at a time.", errors=("QueryError",),
    ),
    Operation(
        "explain", "POST", f"{ONE}/explain", READ, _of_collection, queries.Explain, queries.Explained,
        "How a query is answered.", errors=("QueryError",),
    ),
    Operation(
        "document", "GET", f"{ONE}/document/{{key}}", READ, _of_key, records.ByKey, queries.DocumentFound,
        "A document with all that is known of it.",
    ),
)  # fmt: skip

TRANSACTIONS: Final = (
    Operation(
        "begin", "POST", f"{API}/transactions", READ, _of_nobody, transactions.Begin, transactions.Begun,
        "Begin a transaction.", status=201,
    ),
    Operation(
        "transactions", "GET", f"{API}/transactions", AUDIT, _of_database, Nothing, transactions.Transactions,
        "The transactions that are under way.",
    ),
    Operation(
        "transaction_put", "POST", f"{TRANSACTION}/put", WRITE, reaching.of_item, transactions.TransactionPut, Nothing,
        "Have a transaction store records.", errors=("TransactionClosed", "Deadlock", "DuplicateKey"),
    ),
    Operation(
        "transaction_get", "POST", f"{TRANSACTION}/get", READ, _of_key, transactions.TransactionKey, records.Found,
        "Read a value within a transaction.", errors=("TransactionClosed", "Deadlock"),
    ),
    Operation(
        "transaction_exists", "POST", f"{TRANSACTION}/exists", READ, _of_key, transactions.TransactionKey,
        records.Existence, "Whether a key is stored, within a transaction.", errors=("TransactionClosed", "Deadlock"),
    ),
    Operation(
        "transaction_scan", "POST", f"{TRANSACTION}/scan", READ, _of_range, transactions.TransactionScan, records.Page,
        "Keys and values within a transaction.", errors=("TransactionClosed", "Deadlock"),
    ),
    Operation(
        "transaction_find", "POST", f"{TRANSACTION}/find", READ, _of_collection, transactions.TransactionFind,
        transactions.TransactionDocuments, "Documents within a transaction.", errors=("TransactionClosed", "Deadlock"),
    ),
    Operation(
        "commit", "POST", f"{TRANSACTION}/commit", READ, _of_nobody, transactions.Commit, transactions.Committed,
        "Store all that a transaction wrote, or nothing.", errors=("TransactionClosed", "DuplicateKey"),
    ),
    Operation(
        "abort", "DELETE", TRANSACTION, READ, _of_nobody, transactions.ByTransaction, Nothing, "Give a transaction up.",
        errors=("TransactionClosed",),
    ),
)  # fmt: skip

PROOFS: Final = (
    Operation(
        "prove", "GET", f"{ONE}/proofs/{{key}}", READ, _of_key, records.ByKey, proofs.Receipt,
        "A receipt for a record.", errors=("KeyNotFound",),
    ),
    Operation(
        "prove_absent", "GET", f"{ONE}/absences/{{key}}", READ, _of_beside, records.ByKey, proofs.Receipt,
        "A receipt that a key is not stored.",
    ),
    Operation(
        "prove_range", "GET", f"{ONE}/range-proof", READ, _of_beside, records.Range, proofs.Receipt,
        "A receipt for all records of a range of keys.",
    ),
    Operation(
        "prove_run", "GET", f"{ONE}/run-proof", READ, _of_collection, proofs.Run, proofs.Receipt,
        "A receipt for records that stand one after the other.",
    ),
    Operation(
        "checkpoint", "GET", f"{ONE}/checkpoint", READ, _of_shape, records.InCollection, proofs.Note,
        "A signed checkpoint of a collection.",
    ),
    Operation(
        "database_checkpoint", "GET", f"{API}/checkpoint", READ, _of_nobody, Nothing, proofs.Note,
        "A signed checkpoint of the database.",
    ),
    Operation(
        "consistency", "GET", f"{ONE}/consistency", READ, _of_shape, proofs.Growth, proofs.Consistency,
        "That a tree begins with a smaller one.",
    ),
    Operation(
        "database_consistency", "GET", f"{API}/consistency", READ, _of_nobody, proofs.DatabaseGrowth,
        proofs.Consistency, "That the journal's tree begins with a smaller one.",
    ),
    Operation(
        "root", "GET", f"{ONE}/roots/{{size}}", READ, _of_shape, proofs.BySize, proofs.Root,
        "The root of the tree over the first records.",
    ),
    Operation(
        "database_root", "GET", f"{API}/roots/{{size}}", READ, _of_nobody, proofs.DatabaseSize, proofs.Root,
        "The root of the journal's tree.",
    ),
    Operation(
        "tile", "GET", f"{ONE}/tiles/{{path}}", READ, _of_collection, proofs.ByTile, proofs.Chunk,
        "A tile, an entry bundle or the checkpoint, as C2SP tlog-tiles has them.", kind=Kind.BYTES,
    ),
    Operation(
        "keys", "GET", f"{API}/keys", READ, _of_nobody, Nothing, proofs.Keys, "The keys that sign checkpoints.",
    ),
    Operation(
        "rotate_key", "POST", f"{API}/keys/rotate", OPERATE, _of_database, Nothing, proofs.Keys,
        "Have a new key sign from now on.",
    ),
    Operation(
        "anchors", "GET", f"{API}/anchors", AUDIT, _of_database, Nothing, proofs.Anchors,
        "What remembers the checkpoints outside of the database.",
    ),
    Operation(
        "publish", "POST", f"{API}/anchors/publish", OPERATE, _of_database, Nothing, proofs.Published,
        "Give a checkpoint to all anchors.", is_long=True,
    ),
    Operation(
        "check_anchors", "POST", f"{API}/anchors/check", AUDIT, _of_database, Nothing, proofs.Problems,
        "Hold the history against its anchors.", is_long=True,
    ),
)  # fmt: skip

DATABASE: Final = (
    Operation(
        "whoami", "GET", f"{API}/whoami", READ, _of_nobody, Nothing, server.Whoami, "Who is asking.",
    ),
    Operation("about", "GET", f"{API}/about", READ, _of_nobody, Nothing, server.About, "What is served."),
    Operation(
        "database_statistics", "GET", f"{API}/statistics", AUDIT, _of_database, Nothing, server.Snapshot,
        "All that is counted and timed of the default collection and the database.",
    ),
    Operation(
        "statistics", "GET", f"{ONE}/statistics", READ, _of_shape, records.InCollection, server.Snapshot,
        "All that is counted and timed of a collection.",
    ),
    Operation(
        "audit", "POST", f"{API}/audit", AUDIT, _of_database, Nothing, server.Audited,
        "Recompute every hash of the database: how far it is, then the report.", kind=Kind.ANSWERS, is_long=True,
    ),
    Operation(
        "audit_collection", "POST", f"{ONE}/audit", AUDIT, _of_collection, records.InCollection, server.Audited,
        "Recompute every hash of a collection: how far it is, then the report.", kind=Kind.ANSWERS, is_long=True,
    ),
    Operation(
        "backup", "GET", f"{API}/backup", OPERATE, _of_database, server.Backup, proofs.Chunk,
        "A copy of all collections as of this moment, as a stream.", kind=Kind.BYTES, is_long=True,
    ),
    Operation(
        "backup_since", "POST", f"{API}/backup", OPERATE, _of_database, server.BackupSince, proofs.Chunk,
        "What is new since an older backup, as a stream.", kind=Kind.BYTES, is_long=True,
    ),
    Operation(
        "flush", "POST", f"{API}/flush", OPERATE, _of_database, Nothing, Nothing,
        "Write everything in memory to tables.", is_long=True,
    ),
    Operation(
        "compact", "POST", f"{API}/compact", OPERATE, _of_database, Nothing, Nothing, "Merge all tables.",
        is_long=True,
    ),
    Operation(
        "flush_collection", "POST", f"{ONE}/flush", OPERATE, _of_collection, records.InCollection, Nothing,
        "Write what a collection has in memory to tables.", is_long=True,
    ),
    Operation(
        "compact_collection", "POST", f"{ONE}/compact", OPERATE, _of_collection, records.InCollection, Nothing,
        "Merge the tables of a collection.", is_long=True,
    ),
    Operation(
        "audit_log", "GET", f"{API}/audit-log", AUDIT, _of_database, server.Acts, server.AuditLog,
        "Who did what: entries of the audit log.",
    ),
)  # fmt: skip

OPERATIONS: Final = (
    *REST, *CLUSTER, *MONITORING, *RECORDS, *BLOCKS, *COLLECTIONS, *QUERIES, *TRANSACTIONS, *PROOFS, *DATABASE,
    *TOKENS,
)  # fmt: skip

BY_NAME: Final[Mapping[str, Operation]] = {operation.name: operation for operation in OPERATIONS}
