"""Auditing a database directory: lock file, keys, registry, and every collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import UUID

from blockdb.audit.acts import check_acts, heads_in
from blockdb.audit.chain import Cancelled
from blockdb.audit.collection import CollectionAudit, Options
from blockdb.audit.files import read_values
from blockdb.audit.findings import Findings
from blockdb.audit.handovers import strangers
from blockdb.audit.history import JOURNAL_COLLECTION, Trusted, is_of
from blockdb.audit.redactions import check_redactions, check_state, state_of
from blockdb.audit.schemas import check_schemas
from blockdb.audit.states import Audited, check_states, uuid_of
from blockdb.audit.transactions import check_transactions
from blockdb.audit.watch import CancelCallback, ProgressCallback, Watch
from blockdb.errors import DatabaseNotFound, MasterKeyError
from blockdb.format.keyring import KEYRING
from blockdb.layout import DatabaseFiles
from blockdb.ledger.signature import Signer, key_id_of
from blockdb.types import GoodBlock, Report

DEFAULT_COLLECTION: Final = "default"
"""The collection by whose UUID the database goes."""
RESTORED: Final = "restored database"
NOBODY: Final = str(UUID(int=0))


def audit(
    path: Path,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    options: Options | None = None,
    pace: Callable[[int], None] | None = None,
) -> Report:
    """Recompute everything in a database directory and hold it against what is stored. O(all bytes).

    Works beside a writer. `progress` is called every few thousand records; `cancel` is asked as often; `pace` hears
    how many bytes were read each time, and may take its time. Raises DatabaseNotFound, and MasterKeyError where the
    keys of an encrypted database are missing; whatever else is wrong stands in the report.
    """
    start = perf_counter()
    files = DatabaseFiles(path)
    if not path.is_dir() or not (files.registry.exists() or files.collections.exists()):
        raise DatabaseNotFound(f"{path} is no database: it has no registry of collections. Check the path.")
    run = _Run(files, Watch(progress, cancel, pace), options or Options())
    cancelled = False
    try:
        run.database()
    except Cancelled:
        cancelled = True
    problems = tuple(run.findings.problems)
    return Report(
        valid=not problems and not cancelled,
        blocks=run.blocks,
        records=run.records,
        problems=problems,
        elapsed_ms=(perf_counter() - start) * 1000,
        cancelled=cancelled,
        last_good=tuple(run.last_good),
        read_bytes=run.watch.read_bytes,
        notes=tuple(run.notes),
    )


class _Run:
    def __init__(self, files: DatabaseFiles, watch: Watch, options: Options) -> None:
        self._files = files
        self._options = options
        self.watch = watch
        self.findings = Findings(files.root)
        self.records = 0
        self.blocks = 0
        self.last_good: list[GoodBlock] = []
        self.notes: list[str] = []
        self._known: dict[bytes, bytes] = {}
        self._audited: dict[str, Audited] = {}

    def database(self) -> None:
        """Audit what belongs to the database, then each collection."""
        files, findings = self._files, self.findings
        if files.lock.exists() and files.lock.stat().st_size:
            findings.add(files.lock, "the lock file should be empty", offset=0)
        if not self._can_open():
            return
        self._known = self._public_keys(findings)
        registry = read_values(files.registry, "registry", findings)
        named: dict[str, str] = (registry or {}).get("collections", {})
        if self._options.only is not None:
            named = {name: id_ for name, id_ in named.items() if id_ == self._options.only}
        # The journal first: what it says of the others is older than what is read of them.
        for name, collection_id in sorted(named.items(), key=lambda item: (item[0] != JOURNAL_COLLECTION, item[1])):
            trusted = [state for state in self._options.trusted if is_of(state, collection_id, name)]
            self._collection(name, collection_id, trusted)
        self.notes += check_redactions(files, named, findings, self._options.data_keys)
        if self._options.only is None:
            check_transactions(files, findings, self._options.data_keys)
            self._check_acts(named)
        self._check_journal(named)
        for state in self._options.trusted:
            if not any(is_of(state, collection_id, name) for name, collection_id in named.items()):
                what = f"there is no collection whose checkpoint that in {state.name} could be"
                findings.add(files.registry, what, expected=state.origin, found=", ".join(named.values()) or "none")

    def _can_open(self) -> bool:
        """Whether there are the keys that it takes. A damaged keyring is noted. Raises MasterKeyError."""
        files, keys = self._files, self._options.data_keys
        if not files.keyring.exists():
            return True
        is_intact = read_values(files.keyring, KEYRING, self.findings) is not None
        if is_intact and keys is None:
            raise MasterKeyError(f"The database at {files.root} is encrypted: to audit it, give its master key.")
        return keys is not None

    def _check_journal(self, named: Mapping[str, str]) -> None:
        others, collection_id = dict(self._audited), named.get(JOURNAL_COLLECTION)
        journal = others.pop(uuid_of(collection_id), None) if collection_id is not None else None
        if journal is not None:
            now = self._named_now()
            gone = set(named.values()) - set(now.values())  # dropped meanwhile, of which the journal told later
            present = {uuid_of(id_) for id_ in {*named.values(), *now.values()}}
            self.notes += check_states(journal, others, present, self.findings)
            check_schemas(self._files, named, journal.records(), self.findings, self._options.data_keys)
            self.notes += [f"The collection {id_} was dropped while it was looked at." for id_ in sorted(gone)]
        if not self._options.public_keys:
            self.notes += strangers(list(self._known.values()), journal.records() if journal is not None else ())

    def _check_acts(self, named: Mapping[str, str]) -> None:
        journal = self._audited.get(uuid_of(named.get(JOURNAL_COLLECTION, NOBODY)))
        told = heads_in(journal.records()) if journal is not None else []
        default = named.get(DEFAULT_COLLECTION)
        database = None if default is None else UUID(uuid_of(default)).bytes
        findings, keys, log = self.findings, self._options.data_keys, self._files.audit_log
        values = read_values(self._files.restored, RESTORED, findings) if self._files.restored.exists() else None
        restored = None if values is None else int(values.get("acts", 0))
        self.notes += check_acts(log, database, told, self._keys_now(), findings, keys, self.watch, restored=restored)

    def _named_now(self) -> dict[str, str]:
        """What the registry names at this moment: a writer may make and drop collections."""
        found = read_values(self._files.registry, "registry", Findings(self._files.root)) or {}
        names: dict[str, str] = found.get("collections", {})
        return names

    def _public_keys(self, findings: Findings) -> dict[bytes, bytes]:
        files = self._files
        public = read_values(files.public_keys, "list of public keys", findings) or {"keys": []}
        keys = [bytes.fromhex(text) for text in public["keys"]]
        secret = None
        if files.signing_key.exists():
            secret = read_values(files.signing_key, "signing key", findings, self._options.data_keys)
        if secret is not None and Signer(bytes.fromhex(secret["seed"])).public_key not in keys:
            findings.add(files.signing_key, "its public key is not among the public keys")
        return {key_id_of(key): key for key in self._options.public_keys or keys}

    def _keys_now(self) -> dict[bytes, bytes]:
        return {**self._known, **self._public_keys(Findings(self._files.root))}

    def _collection(self, name: str, collection_id: str, trusted: Sequence[Trusted]) -> None:
        options = replace(self._options, trusted=tuple(trusted))
        files = self._files.collection(collection_id)

        def new() -> CollectionAudit:
            check_state(collection_id, files, self.findings, options.data_keys)
            return CollectionAudit(name, collection_id, files, self._keys_now, self.findings, self.watch, options)

        problems, before = len(self.findings.problems), state_of(files)
        audit_ = new()
        try:
            audit_.run()
            if len(self.findings.problems) > problems and state_of(files) != before:
                # values were erased meanwhile, also from the files that were being read: look at those in their place
                del self.findings.problems[problems:]
                audit_ = new()
                audit_.run()
            if len(self.findings.problems) > problems and collection_id not in self._named_now().values():
                del self.findings.problems[problems:]  # it was dropped meanwhile
        finally:
            self.records, self.blocks = self.records + audit_.records, self.blocks + audit_.blocks
            self.watch.begin_with(self.records, self.blocks)
            self.last_good += [] if audit_.last_good is None else [audit_.last_good]
            self.notes += audit_.notes
            if audit_.audited is not None:
                self._audited[uuid_of(collection_id)] = audit_.audited
