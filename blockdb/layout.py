"""Which file is which: the names of everything in a database directory.

LOCK                                    kernel lock of the writer, always empty
scrub.toml                              what the scrubber did and found
restored.toml                           of a database that was restored as of a moment: to which, and from what
server/tokens.toml, server/tokens.lock  who may ask a server for what, and the lock of whoever changes that
transactions.log                        what transactions over several collections decided
transactions.mark                       how far that log is good
audit/<number>.acts                     the audit log: who did what
audit/acts.mark                         how far that log is good
audit/head                              how many entries it has and the hash of the last, signed
raft/<number>.log                       of a node of a cluster: the replicated log
raft/log.mark                           how far that log is good
raft/head.toml                          what the log begins behind, and with which file
raft/state.toml                         the last term, and who got the vote in it
raft/id.toml                            which node of which cluster this is
raft/mending.toml                       which entries were lost to damage, until they are back
raft/restoring.toml                     the snapshot that is being taken over
raft/stream.toml                        which stream the database follows, where that is the log
raft/applied                            how far the replicated log is in the database
raft/<number>.outcomes                  what became of the last commands
raft/<number>.pending                   transactions over several partitions that have not ended
nats/                                   of a node that has a NATS server of its own: what that server keeps
partitions/<partition>/                 of a node that keeps some partitions of a cluster: a database each
nats/id.toml                            of a node over NATS JetStream: which node of which cluster this is
raft/incoming/, raft/replaced/          a copy of another node's database, and what it takes the place of
keys/signing.toml, keys/public.toml     the Ed25519 key, and all public keys that ever signed
keys/encryption.toml                    of an encrypted database: its data keys, wrapped by the master key
global_metadata/collections.toml        the registry of collections
global_metadata/anchors.toml            the files and witnesses elsewhere that are given each checkpoint
collections/col_<uuid>.dropped/         what is left of a collection that is being removed
collections/col_<uuid>/
    metadata.toml                       what the collection is: id, name, settings
    pending.toml                        while it is made or dropped: what the journal is to say of that
    manifest.toml                       which tables count, and from where the log is replayed
    log.mark                            how far the log is good
    redactions.toml                     how many redactions there were, and the one that is under way
    chain/<number>.chain                the records and seals, in commit order
    chain/<number>.chain.zst            the same, packed
    tables/<number>.sst                 key -> place in the chain
    indexes.toml                        the indexes, and which of their files count
    indexes/<number>.idx                values of fields -> places in the chain
    tree.nodes                          upper nodes of the Merkle tree, for proofs
    checkpoint                          the last checkpoint that was signed
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SEGMENT_SUFFIX = ".chain"
ZSTD = ".zst"
PACKED_SUFFIX = SEGMENT_SUFFIX + ZSTD
TABLE_SUFFIX = ".sst"
DROPPED_SUFFIX = ".dropped"
INDEX_SUFFIX = ".idx"
ACTS_SUFFIX = ".acts"
RAFT_SUFFIX = ".log"
OLD_SUFFIX = ".old"
"""A chain file whose place another one took, until its values are overwritten."""


class DatabaseFiles(NamedTuple):
    """The files of a whole database."""

    root: Path
    key_file: Path | None = None
    """Where the signing key is, if it is kept apart from the data."""

    @property
    def lock(self) -> Path:
        """The file whose kernel lock the writer holds."""
        return self.root / "LOCK"

    @property
    def keys(self) -> Path:
        """The directory of keys."""
        return self.root / "keys"

    @property
    def signing_key(self) -> Path:
        """The secret key."""
        return self.key_file or self.keys / "signing.toml"

    @property
    def public_keys(self) -> Path:
        """The public keys."""
        return self.keys / "public.toml"

    @property
    def keyring(self) -> Path:
        """The wrapped data keys; its existence is what makes a database an encrypted one."""
        return self.keys / "encryption.toml"

    @property
    def registry(self) -> Path:
        """The registry of collections; its existence is what makes a directory a database."""
        return self.root / "global_metadata" / "collections.toml"

    @property
    def anchors(self) -> Path:
        """The list of anchors."""
        return self.root / "global_metadata" / "anchors.toml"

    @property
    def collections(self) -> Path:
        """The directory of the collections' directories."""
        return self.root / "collections"

    @property
    def transactions(self) -> Path:
        """What transactions over several collections decided."""
        return self.root / "transactions.log"

    @property
    def transactions_mark(self) -> Path:
        """How far that log is good."""
        return self.root / "transactions.mark"

    @property
    def audit_log(self) -> AuditLogFiles:
        """Who did what."""
        return AuditLogFiles(self.root / "audit")

    @property
    def raft(self) -> RaftFiles:
        """What a node of a cluster keeps: the replicated log, and how far it was applied."""
        return RaftFiles(self.root / "raft")

    @property
    def nats(self) -> NatsFiles:
        """What a node of a cluster over NATS JetStream keeps beside its databases."""
        return NatsFiles(self.root / "nats")

    @property
    def partitions(self) -> Path:
        """The directory of the databases of partitions, each by the name of its partition."""
        return self.root / "partitions"

    @property
    def scrub_state(self) -> Path:
        """What the scrubber did and found."""
        return self.root / "scrub.toml"

    @property
    def restored(self) -> Path:
        """To which moment of the past it was restored, and from what."""
        return self.root / "restored.toml"

    @property
    def server(self) -> Path:
        """The directory of what a server keeps for itself."""
        return self.root / "server"

    @property
    def tokens(self) -> Path:
        """The tokens of a server."""
        return self.server / "tokens.toml"

    @property
    def tokens_lock(self) -> Path:
        """The file whose kernel lock whoever changes the tokens holds."""
        return self.server / "tokens.lock"

    @property
    def quarantine(self) -> Path:
        """Where a repair puts what it replaces."""
        return self.root / "quarantine"

    def collection(self, collection_id: str) -> CollectionFiles:
        """The files of one collection."""
        return CollectionFiles(self.collections / collection_id)


class CollectionFiles(NamedTuple):
    """The files of one collection."""

    root: Path

    @property
    def metadata(self) -> Path:
        """What the collection is."""
        return self.root / "metadata.toml"

    @property
    def pending(self) -> Path:
        """What the journal is to say of a collection that is being made or dropped."""
        return self.root / "pending.toml"

    @property
    def manifest(self) -> Path:
        """Which tables count."""
        return self.root / "manifest.toml"

    @property
    def mark(self) -> Path:
        """How far the log is good."""
        return self.root / "log.mark"

    @property
    def redactions(self) -> Path:
        """How many redactions there were, and the one that is under way."""
        return self.root / "redactions.toml"

    @property
    def chain(self) -> Path:
        """The directory of chain files."""
        return self.root / "chain"

    @property
    def tables(self) -> Path:
        """The directory of tables."""
        return self.root / "tables"

    @property
    def index_list(self) -> Path:
        """The indexes, and which of their files count."""
        return self.root / "indexes.toml"

    @property
    def indexes(self) -> Path:
        """The directory of index files."""
        return self.root / "indexes"

    @property
    def nodes(self) -> Path:
        """The upper nodes of the Merkle tree."""
        return self.root / "tree.nodes"

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint that was signed."""
        return self.root / "checkpoint"

    def segment(self, number: int) -> Path:
        """A chain file."""
        return self.chain / f"{number:08d}{SEGMENT_SUFFIX}"

    def packed(self, number: int) -> Path:
        """A chain file that was packed."""
        return self.chain / f"{number:08d}{PACKED_SUFFIX}"

    def table(self, number: int) -> Path:
        """A table."""
        return self.tables / f"{number:08d}{TABLE_SUFFIX}"

    def index_file(self, number: int) -> Path:
        """A file of an index."""
        return self.indexes / f"{number:08d}{INDEX_SUFFIX}"


class AuditLogFiles(NamedTuple):
    """The files of an audit log."""

    root: Path

    def file(self, number: int) -> Path:
        """A file of entries."""
        return self.root / f"{number:08d}{ACTS_SUFFIX}"

    @property
    def mark(self) -> Path:
        """How far the log is good."""
        return self.root / "acts.mark"

    @property
    def head(self) -> Path:
        """The last head that was signed."""
        return self.root / "head"


class RaftFiles(NamedTuple):
    """The files of consensus."""

    root: Path

    def file(self, number: int) -> Path:
        """A file of entries."""
        return self.root / f"{number:08d}{RAFT_SUFFIX}"

    @property
    def mark(self) -> Path:
        """How far the log is good."""
        return self.root / "log.mark"

    @property
    def head(self) -> Path:
        """What the log begins behind, and with which file."""
        return self.root / "head.toml"

    @property
    def state(self) -> Path:
        """The last term, and who got the vote in it."""
        return self.root / "state.toml"

    @property
    def id(self) -> Path:
        """Which node of which cluster it is; its existence is what makes the directory a log."""
        return self.root / "id.toml"

    @property
    def mending(self) -> Path:
        """Which entries were lost to damage, until they are back."""
        return self.root / "mending.toml"

    @property
    def restoring(self) -> Path:
        """The snapshot that is being taken over, until the log begins behind it."""
        return self.root / "restoring.toml"

    @property
    def stream(self) -> Path:
        """Which stream the database follows, where a stream is the log."""
        return self.root / "stream.toml"

    @property
    def applied(self) -> Path:
        """How far the log is in the database."""
        return self.root / "applied"

    def outcomes(self, number: int) -> Path:
        """What became of some of the last commands."""
        return self.root / f"{number:08d}.outcomes"

    def pending(self, number: int) -> Path:
        """The transactions over several partitions that have not ended."""
        return self.root / f"{number:08d}.pending"

    @property
    def incoming(self) -> Path:
        """The directory of a copy of another node's database, until it is taken over."""
        return self.root / "incoming"

    @property
    def replaced(self) -> Path:
        """The directory of what such a copy takes the place of, until all of it is there."""
        return self.root / "replaced"


class NatsFiles(NamedTuple):
    """The files of a node whose log is NATS JetStream."""

    root: Path

    @property
    def id(self) -> Path:
        """Which node of which cluster it is; its existence is what makes the directory that of such a node."""
        return self.root / "id.toml"


def segment_numbers(names: Iterable[str]) -> list[int]:
    """The numbers of the chain files, packed or not, among the names in their directory; sorted, each once."""
    found = {number_of(name, suffix) for name in names for suffix in (SEGMENT_SUFFIX, PACKED_SUFFIX)}
    return sorted(number for number in found if number is not None)


def number_of(name: str, suffix: str) -> int | None:
    """The number in the name of a segment or table, or None where the name is not one."""
    stem = name.removesuffix(suffix)
    return int(stem) if stem != name and len(stem) == 8 and stem.isascii() and stem.isdigit() else None
