"""Auditing a database directory: metadata, keys, mark, chain and tables of every collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from blockdb.audit.bulk import BulkAudit
from blockdb.audit.chain import Cancelled, ChainAudit
from blockdb.audit.doubt import Doubt
from blockdb.audit.files import buffers_of, chain_files, map_file, read_values
from blockdb.audit.findings import Findings
from blockdb.audit.stretch import Chain
from blockdb.audit.tables import TableAudit, open_table
from blockdb.errors import DatabaseNotFound, MasterKeyError
from blockdb.format import mark as mark_format
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import KEYRING, DataKeys
from blockdb.format.mark import Mark
from blockdb.format.place import place_of
from blockdb.format.segment import HEADER_BYTES
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.ledger.signature import Signer, key_id_of
from blockdb.machine import boot_id
from blockdb.types import Progress, Report

ProgressCallback = Callable[[Progress], None]
CancelCallback = Callable[[], bool]

ATTEMPTS = 5
"""A live writer may replace tables, or change the mark, while they are read; then they are looked at again."""


def audit(
    path: Path,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    keys: DataKeys | None = None,
) -> Report:
    """Recompute everything in a database directory and hold it against what is stored. O(all bytes).

    Works beside a writer. `progress` is called every few thousand records; `cancel` is asked as often. `keys` are those
    of an encrypted database. Raises DatabaseNotFound, and MasterKeyError where they are missing; whatever else is wrong
    stands in the report.
    """
    start = perf_counter()
    files = DatabaseFiles(path)
    if not path.is_dir() or not (files.registry.exists() or files.collections.exists()):
        raise DatabaseNotFound(f"{path} is no database: it has no registry of collections. Check the path.")
    run = _Run(files, progress, cancel, keys)
    cancelled = False
    try:
        run.database()
    except Cancelled:
        cancelled = True
    problems = tuple(run.findings.problems)
    elapsed_ms = (perf_counter() - start) * 1000
    return Report(not problems and not cancelled, run.blocks, run.records, problems, elapsed_ms, cancelled)


class _Run:
    def __init__(
        self,
        files: DatabaseFiles,
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
        keys: DataKeys | None,
    ) -> None:
        self._files = files
        self._keys = keys
        self._progress = progress
        self._cancel = cancel
        self.findings = Findings(files.root)
        self._told = (0, 0)
        self.records = 0
        self.blocks = 0

    def database(self) -> None:
        """Audit what belongs to the database, then each collection."""
        files, findings = self._files, self.findings
        if files.lock.exists() and files.lock.stat().st_size:
            findings.add(files.lock, "the lock file should be empty", offset=0)
        if files.keyring.exists() and read_values(files.keyring, KEYRING, findings) is None and self._keys is None:
            return  # nothing can be opened
        if files.keyring.exists() and self._keys is None:
            raise MasterKeyError(f"The database at {files.root} is encrypted: to audit it, give its master key.")
        public_keys = self._public_keys()
        registry = read_values(files.registry, "registry", findings)
        for collection_id in sorted((registry or {}).get("collections", {}).values()):
            self._collection(collection_id, files.collection(collection_id), public_keys)

    def _public_keys(self) -> dict[bytes, bytes]:
        files, findings = self._files, self.findings
        public = read_values(files.public_keys, "list of public keys", findings) or {"keys": []}
        keys = [bytes.fromhex(text) for text in public["keys"]]
        secret = None
        if files.signing_key.exists():
            secret = read_values(files.signing_key, "signing key", findings, self._keys)
        if secret is not None and Signer(bytes.fromhex(secret["seed"])).public_key not in keys:
            findings.add(files.signing_key, "its public key is not among the public keys")
        return {key_id_of(key): key for key in keys}

    def _collection(self, collection_id: str, files: CollectionFiles, public_keys: dict[bytes, bytes]) -> None:
        metadata = read_values(files.metadata, "collection", self.findings)
        if metadata is not None and metadata.get("id") != collection_id:
            self.findings.add(files.metadata, "the metadata is that of another collection")
        if metadata is not None and metadata.get("encrypted") and self._keys is None:
            self.findings.add(self._files.keyring, "the file is missing, and there is an encrypted collection")
            return
        if metadata is not None and self._keys is not None and not metadata.get("encrypted"):
            self.findings.add(
                files.metadata, "the collection is encrypted and has no data keys, or the other way round"
            )
            return
        collection = UUID(collection_id.removeprefix("col_")).bytes
        for _ in range(ATTEMPTS):
            before = len(self.findings.problems)
            manifest = read_values(files.manifest, "manifest", self.findings)
            tables = self._tables(files, manifest, collection)
            if len(self.findings.problems) == before or manifest == read_values(
                files.manifest, "manifest", self.findings
            ):
                break
            del self.findings.problems[before:]
        if manifest is not None and manifest.get("collection") != collection_id:
            self.findings.add(files.manifest, "the manifest is that of another collection")
        mark = self._mark(files, collection)
        segments = self._segments(files)
        if segments is None:
            return
        end, forced = self._end(files, mark, segments), self._forced(mark, manifest)
        total = (manifest or {}).get("flushed_sequence", 0)
        watched = (manifest or {"replay": {"sequence": 0}})["replay"]["sequence"]
        tell = self._teller(total)
        chain_of_all = Chain(collection, public_keys, buffers_of(segments), self._keys)
        bulk = BulkAudit(chain_of_all, tables, files, tell, watched)
        exact = ChainAudit(collection, public_keys, tables, self.findings, tell, watched)
        chain = self._audited(bulk, exact, segments, end, forced)
        if chain.intact and manifest is not None:
            self._check_manifest(files, manifest, chain, tables)

    def _audited(
        self,
        bulk: BulkAudit,
        exact: ChainAudit,
        segments: Sequence[tuple[Path, Buffer]],
        end: int | None,
        forced: int | None,
    ) -> BulkAudit | ChainAudit:
        """Audit the chain and its tables: in bulk, and where that leaves a doubt, record by record."""
        if end is not None:
            try:
                bulk.run(end)
            except Doubt:
                bulk.records = bulk.blocks = 0
            else:
                return bulk
            finally:
                self._count(bulk)
        try:
            exact.run(segments, end, forced)
        except Doubt:
            self.findings.add(segments[0][0].parent, "the chain files changed while they were read")
        finally:
            self._count(exact)
        return exact

    def _count(self, chain: BulkAudit | ChainAudit) -> None:
        self.records += chain.records
        self.blocks += chain.blocks

    def _mark(self, files: CollectionFiles, collection: bytes) -> Mark | None:
        wrong = "the mark belongs to another collection"
        for _ in range(ATTEMPTS):
            try:
                mark = mark_format.decode(files.mark.read_bytes())
            except OSError as error:
                wrong = f"the file cannot be read: {error.strerror}"
            except BadFrame as error:
                wrong = str(error)
            else:
                if mark.collection == collection:
                    return mark
        self.findings.add(files.mark, wrong)
        return None

    def _end(self, files: CollectionFiles, mark: Mark | None, segments: Sequence[tuple[Path, Buffer]]) -> int | None:
        """Where the audit ends: at what was written, as far as the mark can be believed; else at the last byte."""
        if mark is None or self._is_cut_off(mark):
            return None
        last = len(segments) - 1
        if mark.written >> 32 > last:
            self.findings.add(files.segment(last + 1), "the chain file is missing")
            return None
        if last > mark.written >> 32 and len(segments[last][1]) == HEADER_BYTES:
            last -= 1  # it was begun for a record that never came
        at_end = mark.written == place_of(last, len(segments[last][1]))
        if mark.clean and not at_end:
            self.findings.add(segments[last][0], "the chain file does not have the size that it had when it was closed")
        return mark.written if mark.clean or mark.written >> 32 == last else None

    def _forced(self, mark: Mark | None, manifest: dict[str, Any] | None) -> int | None:
        """Up to where a power cut left everything on the disk; None where there was none."""
        if mark is None or not self._is_cut_off(mark):
            return None
        return max(mark.forced, int((manifest or {}).get("flushed_place", 0)))

    @staticmethod
    def _is_cut_off(mark: Mark) -> bool:
        """Whether the machine went down under the writer: then the mark may be older than the chain, or younger."""
        return not mark.clean and not mark.is_of(boot_id())

    def _segments(self, files: CollectionFiles) -> Sequence[tuple[Path, Buffer]] | None:
        names = [path.name for path in files.chain.iterdir()] if files.chain.is_dir() else []
        return chain_files(files, max(len(segment_numbers(names)), 1), self.findings, self._keys)

    def _tables(self, files: CollectionFiles, manifest: dict[str, Any] | None, collection: bytes) -> list[TableAudit]:
        tables = []
        for number in (manifest or {}).get("tables", []):
            path = files.table(number)
            buffer = map_file(path, self.findings, self._keys)
            table = open_table(path, buffer, collection, self.findings) if buffer is not None else None
            if table is not None and table.header.number != number:
                self.findings.add(path, f"the file holds table {table.header.number}", offset=0)
            if table is not None:
                tables.append(table)
        return tables

    def _check_manifest(
        self,
        files: CollectionFiles,
        manifest: dict[str, Any],
        chain: BulkAudit | ChainAudit,
        tables: list[TableAudit],
    ) -> None:
        covered = 0
        for table in tables:
            if table.header.first_sequence != covered:
                self.findings.add(
                    table.path, f"the table begins with record {table.header.first_sequence}, not {covered}"
                )
            covered = table.header.first_sequence + table.header.records
        if len(tables) == len(manifest["tables"]) and covered != manifest["flushed_sequence"]:
            self.findings.add(files.manifest, f"its tables hold {covered} records, not {manifest['flushed_sequence']}")
        replay = manifest["replay"]
        before, at = chain.watched_places
        sealed = chain.seals.get(replay["head_seal"]) if replay["head_seal"] else 0
        if sealed != replay["sequence"] or not before < replay["place"] <= at:
            self.findings.add(files.manifest, "it does not name the place of a seal from which the log goes on")

    def _teller(self, total: int) -> Callable[[int, int], None]:
        def tell(records: int, blocks: int) -> None:
            if self._cancel is not None and self._cancel():
                raise Cancelled
            if self._progress is not None:
                self._told = max(self._told, (self.records + records, self.blocks + blocks))
                self._progress(Progress(self._told[0], max(total, self._told[0]), self._told[1]))

        return tell
