"""Repair: rebuild from the chain what can be derived, set aside what cannot, and say what became of each record.

Nothing is thrown away: every file that is changed or replaced stands in `quarantine/` before. The chain itself can
only be kept up to the first damaged byte, since what follows no longer has its place in the Merkle tree; the records
after it that are still intact are written to a file of JSON lines, ready to be imported again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.database import creation
from blockdb.database.encryption import opened_for_repair
from blockdb.database.proofs import keys
from blockdb.database.repairing import audit_log
from blockdb.database.repairing.damaged import (
    bytes_of,
    content_of,
    first_damage,
    in_base64,
    intact_records,
    segments_of,
)
from blockdb.database.repairing.derived import Told, derive_metadata, schemas_told, with_schemas
from blockdb.database.repairing.rebuilding import Extent, definitions_of, rebuild_indexes, rebuild_tables
from blockdb.database.repairing.transactions import rebuild_transactions
from blockdb.errors import BlockDBError, Corruption, DatabaseNotFound
from blockdb.format import mark as mark_format
from blockdb.format import packed
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from blockdb.format.place import place_of
from blockdb.format.reserved import end_of
from blockdb.format.segment import SegmentHeader
from blockdb.layout import DROPPED_SUFFIX, CollectionFiles, DatabaseFiles
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import Note
from blockdb.masterkey import MasterKeySource
from blockdb.storage import redaction
from blockdb.storage.door import Door, guarded
from blockdb.storage.metadata import Metadata, load_metadata, load_registry, save_metadata, save_registry
from blockdb.storage.recovery import read_mark
from blockdb.storage.redaction import Redactions
from blockdb.types import REDACTED, Progress, Report


@dataclass
class Repair:
    """What was found, what was done, and what is left."""

    before: Report
    after: Report
    actions: list[str] = field(default_factory=list)
    """What was done, in words."""
    quarantine: Path | None = None
    """Where everything that was replaced stands."""
    salvaged: int = 0
    """Records that had to leave the chain; they stand in `salvaged.jsonl` in the quarantine."""


def repair(
    path: Path, progress: Callable[[Progress], None] | None = None, source: MasterKeySource | None = None
) -> Repair:
    """Repair a database that nobody is writing. O(all bytes).

    `source` is where the master key of an encrypted one comes from. Raises DatabaseNotFound, DatabaseLocked,
    MasterKeyError, StorageError; and Corruption where not even the beginning of the chain can be read.
    """
    files, door = DatabaseFiles(path), Door()
    if not files.collections.is_dir():
        raise DatabaseNotFound(f"{path} is no database: it has no collections. Check the path.")
    with guarded(f"repairing {path}"):
        locks: list[int] = []
        try:
            locks.extend(map(door.lock, (files.lock, path)))
            plain, door = door, opened_for_repair(door, files, source or MasterKeySource())
            options = Options(data_keys=door.keys)
            before = audit(path, progress, options=options)
            result = Repair(before, before)
            if not before.valid:
                _Workshop(door, plain, files, result).rebuild()
        finally:
            for descriptor in locks:
                door.unlock(descriptor)
        if audit_log.is_named(files, before.problems):
            audit_log.go_on(path, source)
        if not before.valid:
            result.after = audit(path, progress, options=options)
        return result


class _Workshop:
    def __init__(self, door: Door, plain: Door, files: DatabaseFiles, result: Repair) -> None:
        """`plain` is the door that takes files as they are on the disk."""
        self._door = door
        self._plain = plain
        self._files = files
        self._result = result
        self._told: Told = {}
        self._quarantine = files.quarantine / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")

    def rebuild(self) -> None:
        """Make the database whole again, from the outside in."""
        if self._files.lock.stat().st_size:
            self._set_aside(self._files.lock)
            self._door.write_all(self._door.open_append(self._files.lock), b"")
        self._rebuild_keys()
        ids = sorted(path.name for path in self._files.collections.iterdir() if path.suffix != DROPPED_SUFFIX)
        names = self._names(ids)
        self._told = schemas_told(self._door, self._files)
        for name, collection_id in names.items():
            files = self._files.collection(collection_id)
            if self._is_named(files) and not self._is_lost(files, name):
                self._rebuild_collection(files, name, collection_id)
        rebuild_transactions(self._door, self._files, names, self._set_aside, self._note)
        problems = self._result.before.problems
        if audit_log.is_named(self._files, problems):
            audit_log.set_aside(self._files, problems, self._set_aside, self._note)

    def _is_named(self, files: CollectionFiles) -> bool:
        """Whether something of a collection was found wrong: the others are left as they are."""
        path = files.root.relative_to(self._files.root).as_posix() + "/"
        return any(f"{problem.path}/".startswith(path) for problem in self._result.before.problems)

    def _is_lost(self, files: CollectionFiles, name: str) -> bool:
        """Whether the directory of a collection is gone: then the registry forgets it, unless it is the default one."""
        if files.root.exists() or name == creation.DEFAULT_COLLECTION:
            return False
        self._set_aside(self._files.registry, copy=True)
        known = load_registry(self._door, self._files.registry)
        save_registry(self._door, self._files.registry, {other: id_ for other, id_ in known.items() if other != name})
        self._note(f"took collection {name} out of the registry: its directory {files.root.name} is gone")
        return True

    def _rebuild_keys(self) -> None:
        door, files = self._door, self._files
        try:
            known = keys.load_public_keys(door, files)
        except BlockDBError:
            known = []
            self._set_aside(files.public_keys)
        try:
            public_key = keys.load_signer(door, files).public_key
        except BlockDBError:
            self._set_aside(files.signing_key)
            public_key = keys.create_signer(door, files).public_key
            self._note("made a new signing key; blocks that were signed with the lost one keep its signature")
        if public_key not in known:
            keys.save_public_keys(door, files, [*known, public_key])
            self._note("rebuilt the list of public keys")

    def _names(self, ids: list[str]) -> dict[str, str]:
        try:
            return load_registry(self._door, self._files.registry)
        except BlockDBError:
            self._set_aside(self._files.registry)
        names = {}
        for collection_id in ids:
            try:
                name = load_metadata(self._door, self._files.collection(collection_id).metadata).name
            except BlockDBError:
                name = creation.DEFAULT_COLLECTION if len(ids) == 1 else collection_id
            names[collection_id if name in names else name] = collection_id
        save_registry(self._door, self._files.registry, names)
        self._note("rebuilt the registry from the collections' directories")
        return names

    def _rebuild_collection(self, files: CollectionFiles, name: str, collection_id: str) -> None:
        metadata = self._metadata(files, name, collection_id)
        redactions = self._redactions(files, collection_id)
        end = self._cut(files, metadata, frozenset(redactions.keys))
        if redactions.event:  # whoever opens it for writing finishes what is left of it
            places = tuple(place for place in redactions.places if place < end)
            redaction.save(self._door, files, replace(redactions, places=places))
        for path in (files.manifest, files.mark, files.nodes, *sorted(files.tables.iterdir())):
            self._set_aside(path)
        self._door.make_directory(files.tables)
        records = rebuild_tables(self._door, files, metadata, end)
        mark = Mark(metadata.uuid, self._door.boot_id(), end, end, clean=True)
        self._door.replace(files.mark, mark_format.encode(mark))
        self._note(f"rebuilt manifest, mark and tables of collection {name} from the {records} records of its chain")
        self._fit_schemas(files, metadata, records)
        self._rebuild_indexes(files, metadata, Extent(records, end))
        self._withdraw_checkpoint(files, name, records)

    def _fit_schemas(self, files: CollectionFiles, metadata: Metadata, records: int) -> None:
        fitting = with_schemas(metadata, self._told, records)
        if fitting.schemas != metadata.schemas:
            save_metadata(self._door, files.metadata, fitting)
            versions = f"{fitting.schemas[-1].version} versions" if fitting.schemas else "none"
            self._note(f"held the schemas of collection {metadata.name} against the journal: {versions}")

    def _rebuild_indexes(self, files: CollectionFiles, metadata: Metadata, extent: Extent) -> None:
        if files.indexes.exists() or files.index_list.exists():
            definitions = definitions_of(self._door, self._files, metadata.id)
            for path in (files.index_list, *(sorted(files.indexes.iterdir()) if files.indexes.exists() else ())):
                self._set_aside(path)
            names = rebuild_indexes(self._door, files, metadata, definitions, extent)
            self._note(f"rebuilt the indexes of collection {metadata.name}: {', '.join(names) or 'none'}")

    def _withdraw_checkpoint(self, files: CollectionFiles, name: str, records: int) -> None:
        """A checkpoint of more records than are left can never be extended: say so, and let new ones be signed."""
        try:
            size = Checkpoint.parse(Note.parse(files.checkpoint.read_text()).text).size
        except FileNotFoundError:
            return
        except ValueError:
            self._set_aside(files.checkpoint)
            return
        if size > records:
            self._set_aside(files.checkpoint)
            self._note(
                f"the last checkpoint of collection {name} covers {size} records: whoever keeps it will find the loss"
            )

    def _redactions(self, files: CollectionFiles, collection_id: str) -> Redactions:
        try:
            return redaction.load(self._door, files, collection_id)
        except BlockDBError:
            self._set_aside(files.redactions)
            redactions = Redactions(collection_id)
            redaction.save(self._door, files, redactions)
            self._note("lost what redaction was under way, if one was: see in the journal, and make it again")
            return redactions

    def _metadata(self, files: CollectionFiles, name: str, collection_id: str) -> Metadata:
        try:
            metadata = load_metadata(self._door, files.metadata)
            if metadata.id == collection_id:
                return metadata
        except BlockDBError:
            pass
        self._set_aside(files.metadata)
        metadata = derive_metadata(self._door, files, name, collection_id)
        save_metadata(self._door, files.metadata, metadata)
        self._note(f"derived the metadata of collection {name}: blocks of {metadata.blockchain_batch_size} records")
        return metadata

    def _cut(self, files: CollectionFiles, metadata: Metadata, redacted: Set[bytes]) -> int:
        """Keep the chain up to the first damage, and return its end; save what is intact after it.

        Not the values of the keys that were being redacted.
        """
        numbers = segments_of(files)
        self._unpack_damaged(files, numbers)
        self._give_back(files, metadata, numbers[-1])
        records = 0
        for position, number in enumerate(numbers):
            buffer = content_of(self._door, files, number)
            damage, records = first_damage(buffer, SegmentHeader(metadata.uuid, position, records), number)
            if damage is None:
                continue
            if number == 0 and damage == 0:
                raise Corruption(str(files.segment(0)), 0, "the header of the first chain file is damaged")
            following = [content_of(self._door, files, other) for other in numbers[position + 1 :]]
            self._salvage([buffer[damage:], *following], redacted)
            for other in reversed(numbers[position:]):
                self._set_aside(files.packed(other))
                self._set_aside(files.segment(other), copy=other == number and damage > 0)
            if damage == 0:
                return self._end_in(files, numbers[position - 1])
            self._truncate(files.segment(number), damage)
            self._note(
                f"kept the chain of collection {metadata.name} up to byte {damage} of {files.segment(number).name}"
            )
            return place_of(number, damage)
        return self._end_in(files, numbers[-1])

    def _give_back(self, files: CollectionFiles, metadata: Metadata, number: int) -> None:
        """Cut off what a writer reserved, unless the mark tells that there were records."""
        mark = read_mark(self._door, files.mark, metadata.uuid)
        if files.segment(number).exists() and not self._door.is_sealing:
            data = files.segment(number).read_bytes()
            end = end_of(data)
            if end < len(data) and (isinstance(mark, str) or mark.written <= place_of(number, end)):
                self._truncate(files.segment(number), end)

    def _end_in(self, files: CollectionFiles, number: int) -> int:
        """The place after the last commit, in the file to which the next one goes: it must not be packed."""
        data = content_of(self._door, files, number)
        if files.packed(number).exists():
            self._door.replace(files.segment(number), data)
            self._door.remove(files.packed(number))
        return place_of(number, len(data))

    def _unpack_damaged(self, files: CollectionFiles, numbers: list[int]) -> None:
        """Put what is left of a damaged packed chain file in its place, unpacked; an intact one counts."""
        for number in numbers:
            path, packed_path = files.segment(number), files.packed(number)
            if not packed_path.exists():
                continue
            data = bytes_of(self._door, packed_path)
            try:
                unpacked = packed.unpack(data)
            except BadFrame:
                if not path.exists():
                    self._door.replace(path, packed.salvage(data))
                    self._note(f"unpacked what can be had of {packed_path.name}")
                self._set_aside(packed_path)
            else:
                if path.exists() and bytes_of(self._door, path) != unpacked:
                    self._set_aside(path)

    def _salvage(self, stretches: list[bytes], redacted: Set[bytes]) -> None:
        found = [item for stretch in stretches for item in intact_records(stretch)]
        records = [(key, value) for key, value in found if value is not REDACTED and key not in redacted]
        if len(records) < len(found):
            self._note(f"left {len(found) - len(records)} redacted records out: they have nothing to be imported again")
        if not records:
            return
        lines = [
            json.dumps({"key": in_base64(key), "value": in_base64(value), "encoding": "base64"}) + "\n"
            for key, value in records
        ]
        creation.make_root(self._door, self._quarantine)
        self._door.create(self._quarantine / "salvaged.jsonl", "".join(lines).encode())
        self._door.force_directory(self._quarantine)
        self._result.salvaged += len(records)
        self._note(f"wrote {len(records)} intact records from after the damage to salvaged.jsonl; import it again")
        if self._door.is_sealing:
            self._note("salvaged.jsonl is encrypted: `blockdb encryption open FILE | blockdb import -` imports it")

    def _truncate(self, path: Path, size: int) -> None:
        descriptor = self._door.open_append(path)
        try:
            self._door.truncate(descriptor, size)
            self._door.force(descriptor)
        finally:
            self._door.close(descriptor)

    def _set_aside(self, path: Path, *, copy: bool = False) -> None:
        if not path.exists():
            return
        target = self._quarantine / path.relative_to(self._files.root)
        creation.make_root(self._door, target.parent)
        if copy:
            self._plain.create(target, path.read_bytes())
            self._door.force_directory(target.parent)
        else:
            self._door.rename(path, target)
            self._door.force_directory(path.parent)
        self._result.quarantine = self._quarantine

    def _note(self, action: str) -> None:
        self._result.actions.append(action)
