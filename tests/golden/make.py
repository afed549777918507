"""Makes the golden databases: `python -m tests.golden.make VERSION [NAME ...]` writes them to tests/golden/VERSION.

It is run once for each version of a format that is written, or for a new kind of file, and what it made is kept:
every later version of BlockDB must open those directories and find in them what stands beside them in JSON. No test
runs it.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import blockdb
from blockdb.cluster.consensus import disk
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.database.encryption import new_data_key
from blockdb.format import mark as mark_format
from blockdb.format import packed as packed_format
from blockdb.format.consensus import Entry, HardState, Kind, Member, Members, Role, encode_members
from blockdb.format.place import split_place
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.raft.messages import SnapshotHead
from blockdb.storage import audit_log, log, marked_log
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata, save_metadata
from blockdb.types import Act

SETTINGS: dict[str, Any] = {"blockchain_batch_size": 3, "compaction_threshold": 100}
OTHER_MACHINE = b"another boot id!"


def plain(path: Path) -> None:
    """Two chain files, a merged table and a young one, a batch over several blocks, and records in the log alone."""
    vars(log)["SEGMENT_SOFT_BYTES"] = 1_000
    with blockdb.open(path, **SETTINGS) as db:
        db.put(b"\x00\xff", b"any byte")
        db.put("grüße".encode(), b"in UTF-8")
        db.put(b"empty", b"")
        db.put(b"long", bytes(range(256)) * 2)
        db.flush()
        db.put_many([(b"batch:%d" % number, b"value %d" % number) for number in range(8)])
        db.compact()
        db.put_many([(b"table:%d" % number, b"value %d" % number) for number in range(5)])
        db.flush()
        db.put_many([(b"log:%d" % number, b"value %d" % number) for number in range(3)])
        db.put(b"last", b"in the open block")


def killed(path: Path) -> None:
    """What a power cut left behind: the mark of another machine, and the beginning of one more batch."""
    with tempfile.TemporaryDirectory() as directory, blockdb.open(Path(directory) / "db", **SETTINGS) as db:
        db.put_many([(b"flushed:%d" % number, b"value %d" % number) for number in range(4)])
        db.flush()
        db.put_many([(b"written:%d" % number, b"value %d" % number) for number in range(4)])
        shutil.copytree(db.path, path)
        db.put_many([(b"torn:%d" % number, b"value %d" % number) for number in range(2)])
        whole = collection_of(db.path).segment(0).read_bytes()
    files = collection_of(path)
    size = files.segment(0).stat().st_size
    files.segment(0).write_bytes(whole[: size + 40])
    mark = mark_format.decode(files.mark.read_bytes())
    files.mark.write_bytes(mark_format.encode(mark._replace(boot_id=OTHER_MACHINE)))


def reserved(path: Path) -> None:
    """What a killed process left that forced each write: zeros behind a torn batch, and in the last value."""
    vars(marked_log)["LEAST_RESERVED_BYTES"] = 500
    with (
        tempfile.TemporaryDirectory() as directory,
        blockdb.open(Path(directory) / "db", **SETTINGS, wal_sync_interval=0) as db,
    ):
        db.put_many([(b"flushed:%d" % number, b"value %d" % number) for number in range(4)])
        db.flush()
        db.put_many([(b"written:%d" % number, b"value %d" % number) for number in range(3)])
        db.put(b"zeros", bytes(50))
        shutil.copytree(db.path, path)
        db.put_many([(b"torn:%d" % number, b"value %d" % number) for number in range(2)])
        whole = collection_of(db.path).segment(0).read_bytes()
    files = collection_of(path)
    before, mark = files.segment(0).read_bytes(), mark_format.decode(files.mark.read_bytes())
    written = split_place(mark.written)[1]
    files.segment(0).write_bytes((before[:written] + whole[written : written + 40]).ljust(len(before), b"\0"))
    files.mark.write_bytes(mark_format.encode(mark._replace(boot_id=OTHER_MACHINE)))


def redactable(path: Path) -> None:
    """Records whose leaves cover a salted hash of the value."""
    blockdb.open(path, **SETTINGS).close()
    file = collection_of(path).metadata
    save_metadata(Door(), file, replace(load_metadata(Door(), file), redactable=True))
    with blockdb.open(path) as db:
        db.put_many([(b"secret:%d" % number, b"value %d" % number) for number in range(4)])
        db.flush()
        db.put(b"secret:4", b"")


def redacted(path: Path) -> None:
    """Records whose values were erased, a long and an empty one among them; and the journal that tells of it."""
    vars(packed_format)["CHUNK_BYTES"] = 200
    with blockdb.open(path, **SETTINGS, redactable=True, compression_enabled=True) as db:
        db.put_many([(b"secret:%d" % number, b"value %d" % number) for number in range(5)])
        db.put(b"long", bytes(range(256)) * 2)
        db.put(b"empty", b"")
        db.compact()
        db.put_many([(b"later:%d" % number, b"value %d" % number) for number in range(4)])
        for keys in ([b"secret:1", b"long"], [b"later:2"], [b"empty"]):
            db.redact_many(keys, reason="asked for by the person", by="the keeper")
        db.put(b"last", b"in the live chain file")


def packed(path: Path) -> None:
    """Packed chain files of several chunks, with a batch over chunks, a block over files, and the replay point in one.

    The last chain file is not packed, and seals the block to which the last records of the packed ones belong.
    """
    vars(log)["PACKED_SEGMENT_BYTES"] = 1_000
    vars(packed_format)["CHUNK_BYTES"] = 200
    with blockdb.open(path, **SETTINGS, compression_enabled=True) as db:
        db.put(b"empty", b"")
        db.put(b"long", bytes(range(256)) * 2)
        db.put_many([(b"batch:%d" % number, b"value %d" % number) for number in range(20)])
        for number in range(19):
            db.put(b"single:%d" % number, b"value " * number)
        db.compact()
        db.put_many([(b"log:%d" % number, b"value %d" % number) for number in range(3)])
        db.put(b"last", b"in the chain file that is not packed")


def proven(path: Path) -> None:
    """A node file, checkpoints, a journal with states and a change of keys; `RECEIPTS` has what was proven then."""
    with blockdb.open(path, **SETTINGS) as db:
        db.put_many([(b"key:%03d" % number, b"v%d" % number) for number in range(259)])
        db.flush()
        old = db.verifier_key()
        RECEIPTS["record"] = (old, db.prove(b"key:007").text)
        RECEIPTS["run"] = (old, db.prove_run(250, 9).text)
        RECEIPTS["range"] = (old, db.prove_range(prefix=b"key:00").text)
        RECEIPTS["absent"] = (old, db.prove_absent(b"nothing").text)
        db.checkpoint()
        new = db.rotate_key()
        db.put(b"signed with the new key", b"")
        RECEIPTS["rotated"] = (new, db.prove(b"signed with the new key").text)
        RECEIPTS["database"] = (new, db.checkpoint())


def encrypted(path: Path) -> None:
    """Sealed files of all kinds under two data keys: packed and plain chain files, tables, nodes, the signing key."""
    vars(log)["SEALED_SEGMENT_BYTES"] = 1_000
    vars(packed_format)["CHUNK_BYTES"] = 200
    os.environ["BLOCKDB_MASTER_KEY"] = MASTER_KEY.hex()
    with blockdb.open(path, **SETTINGS, encryption_enabled=True) as db:
        db.put(b"empty", b"")
        db.put(b"long", bytes(range(256)) * 2)
        db.put_many([(b"batch:%03d" % number, b"value %d" % number) for number in range(256)])
        db.compact()
    new_data_key(path, MasterKeySource())
    with blockdb.open(path) as db:
        for number in range(30):
            db.put(b"single:%d" % number, b"value " * number)
        db.flush()
        db.put_many([(b"log:%d" % number, b"value %d" % number) for number in range(3)])


def decided(path: Path) -> None:
    """Transactions over two collections, of which a killed writer left the last two unfinished in one of them.

    Not described in JSON: `test_golden` says what must be there.
    """
    with tempfile.TemporaryDirectory() as directory, blockdb.open(Path(directory) / "db", **SETTINGS) as db:
        users = DatabaseFiles(db.path).collection(db.create_collection("users", created_by="the maker").id)
        early: dict[Path, bytes] = {}
        for number in range(5):
            with db.transaction() as tx:
                tx.put_many([(b"%d.%d" % (number, part), b"value") for part in range(2)])
                tx.put(b"%d" % number, b"in users", collection="users")
            if number == 0:
                db.flush()
            if number == 2:
                early = {file: file.read_bytes() for file in (users.segment(0), users.mark)}
        shutil.copytree(db.path, path)
        for file, content in early.items():
            (path / file.relative_to(db.path)).write_bytes(content)


def indexed(path: Path) -> None:
    """Documents with values of all kinds, and indexes: a merged file, a young one, and entries in the log alone.

    Not described in JSON: `test_golden` says what must be there.
    """
    with blockdb.open(path, **SETTINGS) as db:
        for at in range(0, len(INDEXED), 5):
            db.put_many([(b"%d" % number, {"n": number, "v": INDEXED[number]}) for number in range(at, at + 5)])
            if not at:
                db.create_index("n", ["n"], unique=True)
                db.create_index("v", ["v", "v[]"], sparse=True)
                continue
            if at < 15:
                db.flush()
            if at == 5:
                db.compact()


def audited(path: Path) -> None:
    """An audit log of two files, whose entries say all sorts of things; the journal has its head, of two lives.

    Not described in JSON: `test_golden` says what must be there.
    """
    vars(audit_log)["FILE_BYTES"] = 500
    for half in (AUDITED[:7], AUDITED[7:]):
        with blockdb.open(path, **SETTINGS) as db:
            for act in half:
                db.audit_log().append(act)


def replicated(path: Path) -> None:
    """The log of consensus of a node, of four files, the first of which are gone: not a database by itself.

    Not described in JSON: `REPLICATED` says what must be there.
    """
    vars(disk)["FILE_BYTES"] = 300
    path.mkdir()
    log = DiskLog.open(Door(), DatabaseFiles(path).raft, "golden", "node1")
    for index in range(1, 10):
        log.store(HardState(1, "node1", index - 1), [Entry(index, 1, Kind.COMMAND, b"replaced")])
    head, members, *entries = REPLICATED
    log.compact(SnapshotHead(head.index, head.term, GOLDEN_MEMBERS))
    log.store(HardState(2, "node2", 6), [members, *entries[:2]])
    log.store(None, entries[2:])
    log.close()


GOLDEN_MEMBERS = Members((Member("node1", "10.0.0.1:8080", "10.0.0.1:9080"), Member("grüße", role=Role.REPLICA)))
REPLICATED: list[Entry] = [
    Entry(6, 1, Kind.COMMAND, b""),
    Entry(7, 2, Kind.MEMBERS, encode_members(GOLDEN_MEMBERS)),
    Entry(8, 2, Kind.BEGINNING),
    *(Entry(index, 2, Kind.COMMAND, bytes(range(index * 20))) for index in (9, 10, 11)),
]
"""The entry that the log begins behind, and those that it has."""

AUDITED: list[Act] = [
    Act(1_700_000_000_000, "ann", "1f2e3d4c", "192.0.2.7:50123", "http", "put", "default", b"user:1", 6, 1, "ok", "r1"),
    Act(1_700_000_000_001, "nobody", "", "192.0.2.9:1", "grpc", "put", None, b"", 0, 0, "Unauthenticated", "r2"),
    Act(1_700_000_000_002, "grüße", "", "", "local", "drop", "users", b"\xff\x00", 2, 250, "Forbidden", ""),
    Act(1_700_000_000_003, "x" * 201, "", "", "local", "put", "users", bytes(65), 65, 1, "ok", "\ud800"),
    *(Act(number, "ann", "", "", "local", "flush", None, b"", 0, 0, "ok", "") for number in range(6)),
]
"""Entries, as they were appended."""

INDEXED: list[Any] = [
    *(None, False, True, 0, -1, 2**53 + 1, -(2**64) - 1, 10**400, 1.5, -1e300),
    *("", "a", "a\x00b\x01", "grüße", "\U0001f980", [], [1, "x", None], [[2.5]], {}, {"b": [True], "a": "c"}),
]
"""Values, in the order of their records."""

MASTER_KEY = bytes(range(32))
"""Of the encrypted ones."""

RECEIPTS: dict[str, tuple[str, str]] = {}
"""Verifier keys and receipts, and a checkpoint, by name; filled by `proven`."""

DATABASES: dict[str, Callable[[Path], None]] = {
    "plain": plain,
    "killed": killed,
    "reserved": reserved,
    "redactable": redactable,
    "packed": packed,
    "redacted": redacted,
    "proven": proven,
    "encrypted": encrypted,
    "decided": decided,
    "indexed": indexed,
    "audited": audited,
    "replicated": replicated,
}


def collection_of(path: Path) -> CollectionFiles:
    """The files of the one collection of a database that has no journal yet."""
    [root] = DatabaseFiles(path).collections.iterdir()
    return CollectionFiles(root)


def describe(db: blockdb.Database) -> dict[str, object]:
    """What is to be found in a database for ever."""
    return {
        "collection_id": db.stats().collection_id,
        "public_key": db.public_key.hex(),
        "head_hash": db.stats().head_hash.hex(),
        "blocks": [{"hash": block.hash.hex(), "root": block.root.hex(), "count": block.count} for block in db.blocks()],
        "records": [
            {"key": record.key.hex(), "value": record.value.hex(), "time_ms": record.time_ms, "block": record.block}
            | ({"redacted": True} if record.redacted else {})
            for record in db.records()
        ],
    }


def main(version: str, *names: str) -> None:
    """Make all databases of a version that has none yet, or those with these names."""
    directory = Path(__file__).parent / version
    directory.mkdir(exist_ok=bool(names))
    for name in names or DATABASES:
        if (directory / name).exists():
            raise FileExistsError(f"{directory / name} is kept for ever")
        DATABASES[name](directory / name)
        if name in ("decided", "indexed", "audited", "replicated"):
            continue
        with blockdb.open(directory / name, read_only=True) as db:
            (directory / f"{name}.json").write_text(json.dumps(describe(db), indent=1) + "\n")
        if RECEIPTS and name == "proven":
            (directory / f"{name}.receipts").write_text(json.dumps(RECEIPTS, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
