"""Repairing the log of transactions: a new one, with the decisions that are intact, in the place of a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.errors import BlockDBError, Corruption
from blockdb.format import segment, transaction
from blockdb.format import walk as walking
from blockdb.format.frame import BadFrame
from blockdb.format.place import place_of
from blockdb.format.transaction import Decision, LogHeader
from blockdb.format.walk import DamagedChain
from blockdb.layout import DatabaseFiles
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import PREFIX
from blockdb.storage.recovery import read_mark
from blockdb.storage.transaction_log import TransactionLog, load


def rebuild_transactions(
    door: Door,
    files: DatabaseFiles,
    names: Mapping[str, str],
    set_aside: Callable[[Path], object],
    note: Callable[[str], object],
) -> None:
    """Make a new log where it is damaged, and say so. Raises StorageError.

    Its numbers begin behind all that the collections have, so that every batch there counts. What is intact of the old
    one is decided once more: whoever opens the database next stores what is missing of it.
    """
    if DEFAULT_COLLECTION not in names:
        return
    uuid = _uuid(names[DEFAULT_COLLECTION])
    try:
        if load(door, files, uuid) is None or not isinstance(read_mark(door, files.transactions_mark, uuid), str):
            return
    except Corruption:
        pass
    decisions = _intact(door, files)
    base = 1 + max([0, *_numbers(door, files, names.values()), *(decision.number for decision in decisions)])
    for path in (files.transactions, files.transactions_mark):
        set_aside(path)
    door.replace(files.transactions, transaction.encode_header(LogHeader(uuid, base)))
    log = TransactionLog(door, files, uuid)
    for decision in decisions:
        log.decide(decision.writes)
    log.close()
    note(f"made a new log of transactions, with {len(decisions)} that may have to be finished")


def _uuid(collection_id: str) -> bytes:
    return UUID(collection_id.removeprefix(PREFIX)).bytes


def _intact(door: Door, files: DatabaseFiles) -> list[Decision]:
    """The decisions before the damage."""
    found: list[Decision] = []
    with suppress(FileNotFoundError, BadFrame, BlockDBError, DamagedChain):
        data = door.read(files.transactions)
        for decision, _ in transaction.walk(data, transaction.decode_header(data).base):
            found.append(decision)
    return found


def _numbers(door: Door, files: DatabaseFiles, ids: Iterable[str]) -> Iterator[int]:
    """The numbers of all transactions that have batches in these collections. O(records)."""
    for collection_id in ids:
        chain = Chain(door, files.collection(collection_id), _uuid(collection_id))
        last = chain.segments() - 1
        for stretch in chain.stretches(place_of(0, segment.HEADER_BYTES), place_of(last, chain.used(last))):
            yield from walking.transactions(stretch.buffer, stretch.first, stretch.last)
