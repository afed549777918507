"""Which function answers which operation. A server does not start while one has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from blockdb.server.handlers import (
    cluster,
    collections,
    database,
    monitoring,
    plain,
    proofs,
    queries,
    records,
    transactions,
)
from blockdb.wire.table import OPERATIONS

__all__ = ["HANDLERS", "require_complete"]

Handler = Callable[[Any, Any], Any]

HANDLERS: Final[Mapping[str, Handler]] = {
    "store": plain.store,
    "fetch": plain.fetch,
    "store_batch": plain.store_batch,
    "create_collection": collections.create_collection,
    "list_collections": plain.list_collections,
    "show_collection": plain.show_collection,
    "drop_collection": plain.drop_collection,
    "store_document": plain.store_document,
    "list_documents": plain.list_documents,
    "fetch_document": plain.fetch_document,
    "add_index": plain.add_index,
    "drop_index": plain.drop_index,
    "show_collection_stats": collections.statistics,
    "verify_collection": plain.verify_collection,
    "cluster_status": cluster.status,
    "cluster_health": cluster.health,
    "cluster_members": cluster.members,
    "add_node": cluster.add,
    "remove_node": cluster.remove,
    "cluster_transfer": cluster.transfer,
    "cluster_events": cluster.events,
    "health": monitoring.health,
    "health_live": monitoring.health_live,
    "health_ready": monitoring.health_ready,
    "metrics": monitoring.metrics,
    "stats": monitoring.stats,
    "verify": plain.verify,
    "put": records.put,
    "put_many": records.put_many,
    "get": records.get,
    "exists": records.exists,
    "record": records.record,
    "scan": records.scan,
    "count": records.count,
    "records": records.in_commit_order,
    "redact": records.redact,
    "import_records": records.import_records,
    "watch": records.watch,
    "blocks": records.blocks,
    "block": records.block,
    "block_records": records.block_records,
    "block_leaves": records.block_leaves,
    "collections": collections.catalogue,
    "describe": collections.describe,
    "drop": collections.drop,
    "total_stats": collections.total_stats,
    "indexes": collections.indexes,
    "create_index": collections.create_index,
    "set_schema": collections.set_schema,
    "schemas": collections.schemas,
    "schema_version": collections.schema_version,
    "find": queries.find,
    "explain": queries.explain,
    "document": queries.document,
    "begin": transactions.begin,
    "transactions": transactions.under_way,
    "transaction_put": transactions.put,
    "transaction_get": transactions.get,
    "transaction_exists": transactions.exists,
    "transaction_scan": transactions.scan,
    "transaction_find": transactions.find,
    "commit": transactions.commit,
    "abort": transactions.abort,
    "prove": proofs.prove,
    "prove_absent": proofs.prove_absent,
    "prove_range": proofs.prove_range,
    "prove_run": proofs.prove_run,
    "checkpoint": proofs.checkpoint,
    "database_checkpoint": proofs.database_checkpoint,
    "consistency": proofs.consistency,
    "database_consistency": proofs.database_consistency,
    "root": proofs.root,
    "database_root": proofs.database_root,
    "tile": proofs.tile,
    "keys": proofs.keys,
    "rotate_key": proofs.rotate_key,
    "anchors": proofs.anchors,
    "publish": proofs.publish,
    "check_anchors": proofs.check_anchors,
    "whoami": database.whoami,
    "about": database.about,
    "database_statistics": database.database_statistics,
    "server_statistics": monitoring.server_statistics,
    "alerts": monitoring.alerts,
    "statistics": database.statistics,
    "audit": database.audit,
    "audit_collection": database.audit_collection,
    "audit_log": database.audit_log,
    "backup": database.backup,
    "flush": database.flush,
    "compact": database.compact,
    "flush_collection": database.flush_collection,
    "compact_collection": database.compact_collection,
}


def require_complete() -> None:
    """Raise LookupError unless each operation has its function, and each function its operation."""
    names = {operation.name for operation in OPERATIONS}
    if len(names) != len(OPERATIONS):
        raise LookupError("two operations have the same name")
    if odd := names ^ HANDLERS.keys():
        raise LookupError(f"no operation, or no function: {', '.join(sorted(odd))}")
