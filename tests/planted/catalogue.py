"""All planted bugs by name: the component, and what goes wrong."""

from __future__ import annotations

from typing import Final

from tests.planted import (
    backup_room,
    client_room,
    document_room,
    explorer_room,
    grpc_room,
    guard_room,
    index_room,
    many_rooms,
    monitoring_room,
    other_rooms,
    outside,
    proof_room,
    pure_rooms,
    query_room,
    reading_room,
    redaction_room,
    sealing_room,
    serving_room,
    storage_room,
    trail_room,
    transaction_room,
)
from tests.planted.planting import Bug

COMPONENTS: Final[dict[str, dict[str, Bug]]] = {
    "format": pure_rooms.FORMAT,
    "ledger": pure_rooms.LEDGER,
    "lsm": pure_rooms.LSM,
    "log": storage_room.LOG,
    "files": storage_room.FILES,
    "recovery": storage_room.RECOVERY,
    "writing": storage_room.WRITING,
    "many": many_rooms.MANY,
    "client": client_room.CLIENT,
    "documents": document_room.DOCUMENTS,
    "indexing": index_room.INDEXING,
    "reading": reading_room.READING,
    "sealing": sealing_room.SEALING,
    "redaction": redaction_room.REDACTION,
    "locking": transaction_room.LOCKING,
    "transactions": transaction_room.TRANSACTIONS,
    "query": query_room.QUERY,
    "audit": other_rooms.AUDIT,
    "database": other_rooms.DATABASE,
    "tampering": other_rooms.TAMPERING,
    "explorer": explorer_room.EXPLORER,
    "config": other_rooms.CONFIG,
    "commands": other_rooms.COMMANDS,
    "proving": proof_room.PROVING,
    "witness": outside.WITNESS,
    "serving": serving_room.SERVING,
    "server": serving_room.SERVER,
    "anchors": outside.ANCHORS,
    "trail": trail_room.TRAIL,
    "grpc": grpc_room.GRPC,
    "monitoring": monitoring_room.MONITORING,
    "guard": guard_room.GUARD,
    "backup": backup_room.BACKUP,
    "retrying": backup_room.RETRYING,
}
BUGS: Final = {f"{component}:{name}": bug for component, bugs in COMPONENTS.items() for name, bug in bugs.items()}
