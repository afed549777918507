"""Auditing what follows from a collection's chain and is kept beside it: the node file and the last checkpoint."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from blockdb.audit.files import map_file
from blockdb.audit.findings import Findings
from blockdb.audit.history import first_unfit, is_of, own_state
from blockdb.audit.seals import Placed, SealAudit
from blockdb.audit.stretch import Whole
from blockdb.format import nodes
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.layout import CollectionFiles
from blockdb.ledger.merkle import CHUNK, node_hash
from blockdb.ledger.note import BadNote


class Derived:
    """Both as they are now, to be held against a chain that is read after them, so beside a writer too."""

    def __init__(
        self, name: str, collection_id: str, files: CollectionFiles, findings: Findings, keys: DataKeys | None = None
    ) -> None:
        self._name = name
        self._id = collection_id
        self._files = files
        self._findings = findings
        self._nodes = (map_file(files.nodes, findings, keys) or None) if _has_bytes(files.nodes) else None
        self._note: bytes | None = None
        try:
            self._note = files.checkpoint.read_bytes()
        except FileNotFoundError:
            pass
        except OSError as error:
            findings.add(files.checkpoint, f"the file cannot be read: {error.strerror}")

    def check(self, whole: Whole, end: int | None, in_tables: int) -> None:
        """Hold them against a chain in which nothing is wrong; `in_tables` records of it are in tables."""
        self._check_nodes(whole.chunks, whole.chain.collection, in_tables)
        if self._note is not None:
            self._check_checkpoint(self._note, whole, end)

    def _check_nodes(self, chunks: Sequence[bytes], collection: bytes, in_tables: int) -> None:
        if self._nodes is None:
            return
        path, buffer = self._files.nodes, self._nodes
        try:
            nodes.check_header(buffer, collection)
        except BadFrame as error:
            self._findings.add(path, str(error), offset=0)
            return
        # What is beyond the tables is not forced to disk yet, and whoever writes next takes it away.
        count = min(nodes.chunks_in(len(buffer)), in_tables // CHUNK, len(chunks))
        for number, (first, node) in enumerate(_nodes(chunks[:count])):
            offset = nodes.HEADER_BYTES + number * nodes.NODE_BYTES
            found = buffer[offset : offset + nodes.NODE_BYTES]
            if found != node:
                what = "the node is not that of the records"
                self._findings.add(
                    path,
                    what,
                    offset=offset,
                    sequence=first,
                    expected=f"node {node.hex()}",
                    found=f"node {found.hex()}",
                )
                return

    def _check_checkpoint(self, note: bytes, whole: Whole, end: int | None) -> None:
        path = self._files.checkpoint
        try:
            state = own_state(note, whole.chain.public_keys.values())
        except BadNote as error:
            self._findings.add(path, str(error))
            return
        if not is_of(state, self._id, self._name):
            what = "the checkpoint is that of another collection"
            self._findings.add(path, what, expected=self._id, found=state.origin)
            return
        places = list(whole.seals)
        at = min(bisect_left(list(whole.seals.values()), state.size), len(places) - 1)
        known = [Placed(places[at], whole.chain.seal_at(places[at]))] if places else []
        unfit = first_unfit(SealAudit(whole.chain, (), end, known), [state])
        if unfit is not None:
            self._findings.add(path, unfit.what, expected=unfit.expected, found=unfit.found)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _nodes(chunks: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """What the node file should have for these chunks, with the first record under each node."""
    waiting: dict[int, bytes] = {}
    for chunk, node in enumerate(chunks):
        level = 0
        yield chunk * CHUNK, node
        while level in waiting:
            level, node = level + 1, node_hash(waiting.pop(level), node)
            yield (chunk + 1 - (1 << level)) * CHUNK, node
        waiting[level] = node
