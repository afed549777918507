"""Backups: of one moment, beside whoever writes; and what is made of streams that are no backups."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import pytest
from zstandard import ZstdCompressor, ZstdDecompressor

import blockdb
from blockdb.database.backup import snapshot
from blockdb.format import archive, backup_header
from blockdb.format.archive import Entry
from blockdb.storage.door import Door
from blockdb.types import Act

MASTER_KEY = bytes(range(32))


def contents(db: blockdb.Database) -> dict[str, list[tuple[bytes, bytes]]]:
    """All records of all collections, in commit order."""
    return {name: [(it.key, it.value) for it in db.collection(name).records()] for name in db.collection_names()}


def restored(stream: Iterable[bytes], path: Path, **secrets: object) -> blockdb.Database:
    """What a backup becomes, open to be read, once its audit has found nothing."""
    found = blockdb.restore(stream, path, **secrets)
    assert found.report is not None
    assert found.report.problems == ()
    assert not path.with_name(path.name + ".restoring").exists()
    return blockdb.open(path, read_only=True, **secrets)


def fill(db: blockdb.Database) -> None:
    """Tables, a transaction over two collections, an index, and records in memory."""
    documents = db.create_collection("documents")
    documents.create_index("by_n", "n")
    db.put_many([(b"a%d" % number, b"value" * 9) for number in range(40)])
    documents.put(b"d", {"n": 1})
    db.flush()
    with db.transaction() as transaction:
        transaction.put(b"t", b"1")
        transaction.put(b"t", {"n": 2}, collection="documents")
    db.put(b"last", b"")


@pytest.fixture
def filled(db: blockdb.Database) -> blockdb.Database:
    fill(db)
    return db


@pytest.fixture
def stream(filled: blockdb.Database) -> bytes:
    return b"".join(filled.backup())


def unpacked(stream: bytes) -> bytes:
    return ZstdDecompressor().decompress(stream, max_output_size=1 << 27)


def test_a_copy_has_what_was_there(filled: blockdb.Database, stream: bytes, tmp_path: Path) -> None:
    before = contents(filled)
    filled.put(b"later", b"1")
    with restored([stream], tmp_path / "copy") as copy:
        assert contents(copy) == before
        assert [document.key for document in copy.collection("documents").find("n = 2")] == [b"t"]
    assert not (tmp_path / "copy" / "keys" / "signing.toml").exists()
    with pytest.raises(blockdb.ConfigError, match="key_file"):
        blockdb.open(tmp_path / "copy")
    with blockdb.open(tmp_path / "copy", key_file=str(filled.path / "keys" / "signing.toml")) as copy:
        copy.put(b"later", b"2")
        assert copy.verify().valid


def test_a_copy_with_the_signing_key_goes_on(filled: blockdb.Database, tmp_path: Path) -> None:
    with filled.backup(signing_key=True) as stream:
        blockdb.restore(stream, tmp_path / "copy")
    with blockdb.open(tmp_path / "copy") as copy:
        copy.put(b"new", b"1")
        assert copy.verify().valid


def test_beside_a_writer_of_another_handle(filled: blockdb.Database, tmp_path: Path) -> None:
    with restored(blockdb.backup(filled.path), tmp_path / "copy") as copy:
        assert contents(copy) == contents(filled)


def test_of_a_closed_database_with_packed_chain_files(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", compression_enabled=True) as db:
        fill(db)
        db.compact()
        db.put(b"more", b"1")
        before = contents(db)
    with restored(blockdb.backup(tmp_path / "db"), tmp_path / "copy") as copy:
        assert contents(copy) == before
    assert list((tmp_path / "copy").rglob("*.chain.zst"))


def test_an_encrypted_one_stays_sealed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", encryption_enabled=True, master_key=MASTER_KEY) as db:
        fill(db)
        stream, before = b"".join(db.backup(signing_key=True)), contents(db)
        beside = b"".join(blockdb.backup(tmp_path / "db"))
    assert b"value" * 9 not in unpacked(stream)
    assert blockdb.restore([stream], tmp_path / "unseen").report is None
    for name, each in (("copy", stream), ("beside", beside)):
        with restored([each], tmp_path / name, master_key=MASTER_KEY) as copy:
            assert contents(copy) == before
    with blockdb.open(tmp_path / "copy", master_key=MASTER_KEY) as copy:
        copy.put(b"new", b"1")
        assert copy.verify().valid


@pytest.mark.parametrize("key", [None, MASTER_KEY], ids=["plain", "encrypted"])
def test_the_audit_log_is_in_it(tmp_path: Path, key: bytes | None) -> None:
    def act(number: int) -> Act:
        return Act(number, "ann", "", "", "http", "put", "default", b"k", 1, 1, "ok", f"{number}")

    secrets = {} if key is None else {"master_key": key}
    with blockdb.open(tmp_path / "db", encryption_enabled=key is not None, **secrets) as db:
        log = db.audit_log()
        for number in range(5):
            log.append(act(number))
        log.sign()
        db.journal_audit_log()
        log.append(act(5))
        stream = db.backup(signing_key=True)
        log.append(act(6))
        chunks = list(stream)
    with restored(chunks, tmp_path / "copy", **secrets) as copy:
        assert [each.request_id for each in copy.acts()] == [f"{number}" for number in range(6)]
    with blockdb.open(tmp_path / "copy", **secrets) as copy:
        copy.audit_log().append(act(6))
        assert copy.verify().valid


# Beside writers.


def writing(db: blockdb.Database, stop: Event) -> Iterator[Thread]:
    """Threads that write: first to one collection then to the other, and to both at once."""
    other = db.collection("documents")

    def in_turn() -> None:
        number = 0
        while not stop.is_set():
            db.put(b"first%d" % number, b"v" * 64)
            other.put(b"second%d" % number, {"n": number})
            number += 1

    def at_once() -> None:
        number = 0
        while not stop.is_set():
            with db.transaction() as transaction:
                transaction.put(b"both%d" % number, b"v")
                transaction.put(b"both%d" % number, {"n": number}, collection="documents")
            number += 1

    yield Thread(target=in_turn)
    yield Thread(target=at_once)


def counted(records: list[tuple[bytes, bytes]], prefix: bytes) -> int:
    return sum(key.startswith(prefix) for key, _ in records)


def check_is_a_moment(db: blockdb.Database, copy: blockdb.Database) -> None:
    whole, found = contents(db), contents(copy)
    for name, records in found.items():
        assert records == whole[name][: len(records)]
    assert counted(found["default"], b"both") == counted(found["documents"], b"both")
    assert counted(found["default"], b"first") - counted(found["documents"], b"second") in (0, 1)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda db: db.backup(), id="inside"),
        pytest.param(lambda db: blockdb.backup(db.path), id="outside", marks=pytest.mark.torture),
    ],
)
def test_it_is_of_one_moment_and_writers_go_on(
    filled: blockdb.Database, tmp_path: Path, how: Callable[[blockdb.Database], blockdb.Backup]
) -> None:
    stop = Event()
    threads = list(writing(filled, stop))
    for thread in threads:
        thread.start()
    try:
        until_more(filled, 20)
        stream = how(filled)
        chunks = [next(stream)]  # the rest is left, as by a slow reader
        until_more(filled, 50)
        filled.flush()
        filled.compact()
        chunks += stream
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    with restored(chunks, tmp_path / "copy") as copy:
        check_is_a_moment(filled, copy)
        assert copy.stats().records < filled.stats().records


@pytest.mark.torture
def test_what_is_new_is_of_one_moment_too(filled: blockdb.Database, tmp_path: Path) -> None:
    stop = Event()
    threads = list(writing(filled, stop))
    streams = [[*filled.backup()]]
    (tmp_path / "0").write_bytes(b"".join(streams[0]))
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            until_more(filled, 20)
            stream = filled.backup(since=tmp_path / f"{number}")
            chunks = [next(stream)]
            until_more(filled, 20)
            filled.flush()
            streams.append([*chunks, *stream])
            (tmp_path / f"{number + 1}").write_bytes(b"".join(streams[-1]))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = blockdb.restore(streams[0], tmp_path / "copy", increments=streams[1:])
    assert found.report is not None
    assert found.report.problems == ()
    with blockdb.open(tmp_path / "copy", read_only=True) as copy:
        check_is_a_moment(filled, copy)
        assert copy.stats().records < filled.stats().records


def until_more(db: blockdb.Database, records: int) -> None:
    """Wait until so many more were stored."""
    for _ in zip(range(records), db.watch(timeout_s=20), strict=False):
        pass


def test_files_that_are_merged_away_are_still_there(filled: blockdb.Database, tmp_path: Path) -> None:
    before = contents(filled)
    with filled.backup() as stream:
        filled.put(b"x", b"1")
        filled.compact()
        with restored(stream, tmp_path / "copy") as copy:
            assert contents(copy) == before


def test_a_redaction_meanwhile_is_told(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        db.put(b"a", b"secret")
        stream = db.backup()
        db.redact(b"a", reason="asked for")
        with pytest.raises(blockdb.StorageError, match="values were redacted"):
            list(stream)
        with restored(db.backup(), tmp_path / "copy") as copy, pytest.raises(blockdb.Redacted):
            copy.get(b"a")


def test_a_collection_that_is_dropped_meanwhile_is_told(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.create_collection("gone").put(b"a", b"1")
    with blockdb.open(tmp_path / "db") as db:
        stream = db.backup()
        db.drop_collection("gone")
        with pytest.raises(blockdb.StorageError, match="taken away"):
            list(stream)


def test_without_a_moment_it_says_so(filled: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter(range(1 << 30))
    monkeypatch.setattr(snapshot, "COLLECTS", 3)
    monkeypatch.setattr(snapshot._Attempt, "_end", lambda self, path: (next(ends).to_bytes(8, "little"), 0))
    with pytest.raises(blockdb.StorageError, match="no moment"):
        blockdb.backup(filled.path)


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(blockdb.DatabaseNotFound):
        blockdb.backup(tmp_path)


def test_a_key_that_is_kept_apart_is_not_copied(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", key_file=str(tmp_path / "key.toml")) as db:
        with pytest.raises(blockdb.InvalidData, match="kept apart"):
            db.backup(signing_key=True)
        with restored(db.backup(), tmp_path / "copy"):
            pass


# What is no backup.


def refused(stream: bytes, path: Path, match: str) -> None:
    with pytest.raises(blockdb.InvalidData, match=match):
        blockdb.restore(io.BytesIO(stream), path)
    assert not path.exists()
    assert not path.with_name(path.name + ".restoring").exists()


def packed(data: bytes) -> bytes:
    return ZstdCompressor(level=1).compress(data)


def made_of(*files: tuple[str, bytes], most_bytes: int = 1 << 20) -> bytes:
    """A stream of these files, with the right digests."""
    head = backup_header.Header("id", 0, "", False, False, most_bytes, {}).encode()
    sums = {}
    data = b""
    for path, content in (("backup.json", head), *files):
        sums[path] = sha256(content).digest()
        data += archive.encode_entry(Entry(path, len(content))) + content + archive.padding(len(content))
    text = archive.encode_sums(sums)
    data += archive.encode_entry(Entry("SHA256SUMS", len(text))) + text + archive.padding(len(text))
    return packed(data + archive.END)


def test_a_directory_that_is_there_is_left_alone(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(blockdb.InvalidData, match="is there already"):
            blockdb.restore([stream], tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_stream_that_was_cut_is_told(stream: bytes, tmp_path: Path) -> None:
    data = unpacked(stream)
    for size in (0, 1, 511, 512, 2_000, len(data) // 2, len(data) - 1024, len(data) - 1):
        refused(packed(data[:size]), tmp_path / "copy", "cut")
    for size in (0, 3, len(stream) // 2):
        refused(stream[:size], tmp_path / "copy", "cut|cannot be unpacked")
    refused(packed(data + b"\0"), tmp_path / "copy", "after its end")


def test_changed_bytes_are_told(stream: bytes, tmp_path: Path) -> None:
    data = unpacked(stream)
    for at in range(7, len(data), len(data) // 12):
        refused(packed(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]), tmp_path / "copy", "no whole backup")
    half = len(stream) // 2
    refused(stream[:half] + bytes([stream[half] ^ 1]) + stream[half + 1 :], tmp_path / "copy", "no whole backup")


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_every_changed_byte_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "force", staticmethod(lambda _: None))  # nothing of it outlives the test
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"a", b"1")
        data = unpacked(b"".join(db.backup()))
    for at in range(len(data)):
        refused(packed(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]), tmp_path / "copy", "no whole backup")


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    public = ("keys/public.toml", b"x")
    refused(b"PK\3\4 something else", tmp_path / "copy", "cannot be unpacked")
    refused(made_of(public, public), tmp_path / "copy", "twice")
    refused(made_of(public, most_bytes=0), tmp_path / "copy", "more bytes than it announces")
    entry = archive.encode_entry(Entry("backup.json", 1 << 40))
    refused(packed(entry + bytes(4096)), tmp_path / "copy", "should stand there")
    with pytest.raises(blockdb.StorageError, match="free"):
        blockdb.restore([made_of(public, most_bytes=1 << 60)], tmp_path / "copy")


def test_a_bomb_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        compressing = ZstdCompressor(level=1).compressobj()
        head = backup_header.Header("id", 0, "", False, False, 1 << 20, {}).encode()
        yield compressing.compress(archive.encode_entry(Entry("backup.json", len(head))) + head)
        yield compressing.compress(
            archive.padding(len(head)) + archive.encode_entry(Entry("transactions.log", 1 << 40))
        )
        while True:
            yield compressing.compress(bytes(1 << 20))

    with pytest.raises(blockdb.InvalidData, match="more bytes than it announces"):
        blockdb.restore(chunks(), tmp_path / "copy")
