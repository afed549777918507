"""Cutting logs off after a place in them, in a database that nobody has open and that has no name yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blockdb.database.backup.deriving import rebuild
from blockdb.database.backup.scanning import Reach
from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption
from blockdb.format import audit_log, transaction
from blockdb.format import mark as mark_format
from blockdb.format.audit_log import Position, start_of, walk
from blockdb.format.block import encode_seal
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from blockdb.format.packed import unpack
from blockdb.format.place import place_of, split_place
from blockdb.format.transaction import LogHeader
from blockdb.format.walk import DamagedChain
from blockdb.layout import AuditLogFiles, CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import Note
from blockdb.storage.audit_log import file_numbers
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata


def cut_collection(
    door: Door, files: CollectionFiles, metadata: Metadata, reach: Reach, indexes: Sequence[IndexDefinition]
) -> None:
    """Leave of a collection what is in reach, and make anew what follows from that. O(bytes). Raises Corruption."""
    end = cut_chain(door, files, reach)
    _write_mark(door, files, metadata.uuid, end)
    records = rebuild(door, files, metadata, end, indexes)
    if records != reach.records:
        raise Corruption(str(files.chain), None, f"it has {records} records where there should be {reach.records}")


def cut_chain(door: Door, files: CollectionFiles, reach: Reach) -> int:
    """Cut the chain off, but not the seals of blocks that stay; gives where it ends then."""
    last, offset = split_place(reach.end)
    for number in segment_numbers(door.names(files.chain)):
        if number > last:
            door.remove(files.segment(number))
            door.remove(files.packed(number))
    path = files.segment(last)
    if door.inode(path) is None:  # the file to which the next commit goes must not be packed
        try:
            door.replace(path, unpack(door.read(files.packed(last))))
        except BadFrame as error:
            raise Corruption(str(files.packed(last)), None, str(error)) from None
        door.remove(files.packed(last))
    seals = b"".join(map(encode_seal, reach.seals))
    descriptor = door.open_append(path)
    try:
        door.truncate(descriptor, offset)
        door.write_all(descriptor, seals)
        door.force(descriptor)
    finally:
        door.close(descriptor)
    return place_of(last, offset + len(seals))


def _write_mark(door: Door, files: CollectionFiles | AuditLogFiles, owner: bytes, end: int) -> None:
    door.replace(files.mark, mark_format.encode(Mark(owner, door.boot_id(), end, end, clean=True)))


def forget_checkpoint(door: Door, files: CollectionFiles, records: int) -> None:
    """Remove the last checkpoint that was signed where it is of more records than there are."""
    try:
        size = Checkpoint.parse(Note.parse(files.checkpoint.read_text()).text).size
    except FileNotFoundError:
        return
    except ValueError:
        size = records + 1
    if size > records:
        door.remove(files.checkpoint)


def renew_transactions(door: Door, files: DatabaseFiles, database: bytes, last: int) -> None:
    """Put an empty log of transactions in the place of the one that there is: all up to number `last` are done."""
    if door.inode(files.transactions) is None:
        return
    header = LogHeader(database, last + 1)
    end = header.base + transaction.HEADER_BYTES
    door.replace(files.transactions, transaction.encode_header(header))
    door.replace(files.transactions_mark, mark_format.encode(Mark(database, door.boot_id(), end, end, clean=True)))


def cut_acts(door: Door, files: AuditLogFiles, database: bytes, time_ms: int, least: int) -> int | None:
    """Leave of the audit log what was entered by a time, and `least` entries. O(bytes).

    Gives how many are left, None where none had to go. Raises Corruption.
    """
    for number in file_numbers(door, files):
        path, data = files.file(number), door.read(files.file(number))
        position = _position_at(data, time_ms, least)
        if position is None or position.offset == len(data):
            continue
        if not position.sequence:
            door.remove_tree(files.root)
            return 0
        for later in file_numbers(door, files)[number + 1 :]:
            door.remove(files.file(later))
        descriptor = door.open_append(path)
        try:
            door.truncate(descriptor, position.offset)
            door.force(descriptor)
        finally:
            door.close(descriptor)
        _write_mark(door, files, database, place_of(number, position.offset))
        return position.sequence
    return None


def _position_at(data: bytes, time_ms: int, least: int) -> Position | None:
    """Where the last entry of a file ends that stays; None where it cannot be read, as the audit will say."""
    try:
        position = start_of(audit_log.decode_header(data))
        for act, after in walk(data, position):
            if act.time_ms > time_ms and after.sequence > least:
                break
            position = after
    except (BadFrame, DamagedChain):
        return None
    return position


def without_later(metadata: Metadata, told: Sequence[int], records: int, time_ms: int) -> Metadata:
    """The metadata with the schemas that were set by a time; those are told of whose versions the journal names."""
    entries = tuple(
        replace(entry, is_told=entry.version in told)
        for entry in metadata.schemas
        if entry.time_ms <= time_ms and entry.first_sequence <= records
    )
    return replace(metadata, schemas=entries)
