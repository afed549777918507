"""Encrypted databases: what is on the disk, who can open it, what becomes of keys, and that nothing else differs."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from errno import EIO
from pathlib import Path
from struct import pack
from typing import Any
from uuid import UUID

import pytest
from xxhash import xxh3_64_intdigest

import blockdb
from blockdb.database import encryption
from blockdb.format import keyring, packed, sealed
from blockdb.format.keyring import DataKeys
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.masterkey import MasterKeySource
from blockdb.storage import log as log_module
from blockdb.storage import packed as packing
from blockdb.storage import seals, surroundings
from blockdb.storage.table_makers import TableMakers
from blockdb.storage.upkeep import Upkeep
from tests.storage.doors import TroubledDoor, collection_of, copy_of, pairs, until

MASTER, OTHER = b"m" * 32, b"o" * 32
RECORDS = 600
ENCRYPTED: dict[str, Any] = {"encryption_enabled": True, "master_key": MASTER, "blockchain_batch_size": 50}


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEALED_SEGMENT_BYTES", 10_000)
    monkeypatch.setattr(keyring.Argon2.__new__, "__defaults__", (1, 8192))


def secret_of(number: int) -> tuple[bytes, bytes]:
    return b"secret key %05d" % number, b"confidential value %05d" % number * 3


def fill(db: blockdb.Database, first: int = 0, stop: int = RECORDS) -> None:
    """Single records, batches, several tables, packed chain files, and records in the log alone."""
    third = (stop - first) // 3
    for number in range(first, first + third):
        db.put(*secret_of(number))
    db.flush()
    db.put_many(map(secret_of, range(first + third, first + 2 * third)))
    db.flush()
    for number in range(first + 2 * third, stop):
        db.put(*secret_of(number))


def assert_whole(db: blockdb.Database, records: int = RECORDS) -> None:
    assert dict(db.scan()) == dict(map(secret_of, range(records)))
    assert all(db.get(key) == value for key, value in map(secret_of, range(0, records, 7)))
    assert [(record.key, record.value) for record in db.records()] == list(map(secret_of, range(records)))
    report = db.verify()
    assert report.valid, report.problems


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was closed, with everything in it."""
    path = tmp_path_factory.mktemp("encrypted") / "db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "SEALED_SEGMENT_BYTES", 10_000)
        with blockdb.open(path, **ENCRYPTED) as db:
            fill(db)
            until(lambda: len(list(collection_of(path).chain.glob("*.zst"))) > 3)
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return copy_of(made, tmp_path / "db")


def keys_of(path: Path, master: bytes = MASTER) -> DataKeys:
    found = encryption.keys_for_audit(path, MasterKeySource(key=master))
    assert found is not None
    return found


def contents_of(path: Path, file: Path) -> bytes:
    """What a sealed file holds."""
    binding = sealed.binding_of(*file.parts)
    assert binding is not None
    return sealed.open_file(file.read_bytes(), binding, keys_of(path))


# ── what is on the disk ──────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_on_the_disk_tells_what_was_stored(path: Path) -> None:
    everything = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    for word in (b"secret", b"key 00", b"confidential", b"value"):
        assert word not in everything
    for number in range(RECORDS):
        hashed = xxh3_64_intdigest(secret_of(number)[0])
        assert pack("<Q", hashed) not in everything
    for table in collection_of(path).tables.iterdir():
        plain = contents_of(path, table)
        words = {word for at in range(256, len(plain) - 8, 8) if any((word := plain[at : at + 8])[6:])}
        assert len(words) > 100
        assert not any(word in everything for word in words)
    seed = Signer(_seed(path))
    assert bytes(seed._key) not in everything
    assert bytes(seed._key).hex().encode() not in everything


def _seed(path: Path) -> bytes:
    text = contents_of(path, DatabaseFiles(path).signing_key).decode()
    return bytes.fromhex(text.split('seed = "')[1][:64])


def test_keys_stand_wrapped_alone(path: Path) -> None:
    everything = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    for key in (MASTER, *keys_of(path).values()):
        assert key not in everything
        assert key.hex().encode() not in everything


@pytest.mark.parametrize("compressed", [False, True])
def test_hashes_are_those_without_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    monkeypatch.setattr(surroundings.Surroundings, "new_id", lambda *_: UUID(int=77))
    monkeypatch.setattr(surroundings, "time_ns", lambda: 1_700_000_000_000_000_000)
    found = []
    for name, settings in (("plain", {"blockchain_batch_size": 50}), ("encrypted", ENCRYPTED)):
        with blockdb.open(tmp_path / name, compression_enabled=compressed, **settings) as db:
            fill(db)
            assert_whole(db)
            assert db.stats().encrypted == (name == "encrypted")
            found.append([(block.hash, block.root, block.previous_hash) for block in db.blocks()])
    assert found[0] == found[1]
    assert len(found[0]) == RECORDS // 50


def test_what_is_full_is_packed_uncompressed_or_compressed(path: Path) -> None:
    def share() -> float:
        files = list(collection_of(path).chain.glob("*.zst"))
        return sum(len(packed.unpack(contents_of(path, file))) for file in files) / sum(
            len(contents_of(path, file)) for file in files
        )

    assert 0.9 < share() < 1
    with blockdb.open(path, master_key=MASTER, compression_enabled=True) as db:
        db.put_many((b"more %d" % number, bytes(300)) for number in range(300))
        db.compact()
        assert db.verify().valid
    assert share() > 1.5


def test_statistics_are_of_what_is_on_the_disk(path: Path) -> None:
    with blockdb.open(path, master_key=MASTER) as db:
        db.compact()  # packs what is still to be packed
        statistics = db.stats()
        files = [file for file in collection_of(path).root.rglob("*") if file.is_file()]
        assert statistics.encrypted
        assert statistics.disk_bytes == sum(file.stat().st_size for file in files)
        db.put(b"a key", b"value")
        assert db.stats().bytes_written > len(b"a key" + b"value") + sealed.PIECE_EXTRA_BYTES


# ── who can open it ──────────────────────────────────────────────────────────────────────────────────────────────


def test_it_opens_with_its_key(path: Path) -> None:
    with blockdb.open(path, master_key=MASTER) as db:
        assert_whole(db)
    with blockdb.open(path, read_only=True, master_key=MASTER) as db:
        assert_whole(db)
    assert blockdb.verify(path, master_key=MASTER).valid


@pytest.mark.parametrize("secret", [{}, {"master_key": OTHER}, {"passphrase": "words"}], ids=str)
@pytest.mark.parametrize(
    "use",
    [blockdb.open, lambda path, **given: blockdb.open(path, read_only=True, **given), blockdb.verify, blockdb.repair],
    ids=["open", "attach", "verify", "repair"],
)
def test_without_the_right_key_nothing_happens(path: Path, use: Callable[..., Any], secret: dict[str, Any]) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    wanted = keyring.master_id(MASTER)
    with pytest.raises(blockdb.MasterKeyError, match=rf"{wanted}.*--master-key-file.*BLOCKDB_MASTER_KEY") as caught:
        use(path, **secret)
    if "master_key" in secret:
        assert keyring.master_id(OTHER) in str(caught.value)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_an_audit_without_keys_says_so(path: Path) -> None:
    from blockdb.audit.auditor import audit

    with pytest.raises(blockdb.MasterKeyError, match="to audit it, give its master key"):
        audit(path)


def test_a_passphrase_opens_what_was_made_with_it(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return "a long sentence"

    with blockdb.open(tmp_path / "db", encryption_enabled=True, ask_passphrase=ask) as db:
        db.put(b"key", b"value")
    for given in ({"passphrase": "a long sentence"}, {"ask_passphrase": ask}):
        with blockdb.open(tmp_path / "db", **given) as db:
            assert db.get(b"key") == b"value"
    assert asked == ["New passphrase: ", "The same again: ", "Passphrase: "]
    with pytest.raises(blockdb.MasterKeyError, match=r"from the caller is a wrong one.*BLOCKDB_PASSPHRASE"):
        blockdb.open(tmp_path / "db", passphrase="another")
    with pytest.raises(blockdb.MasterKeyError, match="its passphrase is missing"):
        blockdb.open(tmp_path / "db", master_key=MASTER)


@pytest.mark.parametrize("secret", [{}, {"passphrase": ""}], ids=str)
def test_no_encrypted_database_is_made_without_a_key(tmp_path: Path, secret: dict[str, Any]) -> None:
    with pytest.raises(blockdb.MasterKeyError):
        blockdb.open(tmp_path / "db", encryption_enabled=True, **secret)
    with blockdb.open(tmp_path / "db", **ENCRYPTED) as db:
        db.put(b"key", b"value")


def test_a_setting_that_contradicts_the_database_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(blockdb.ConfigError, match=r"it is false, and the database at .* is encrypted"):
        blockdb.open(path, encryption_enabled=False, master_key=MASTER)
    blockdb.open(tmp_path / "plain").close()
    for read_only in (False, True):
        with pytest.raises(blockdb.ConfigError, match=r"it is true, and the database at .* is not encrypted"):
            blockdb.open(tmp_path / "plain", encryption_enabled=True, master_key=MASTER, read_only=read_only)
    blockdb.open(tmp_path / "plain", encryption_enabled=False).close()


def test_without_its_keyring_it_is_said_to_be_missing(path: Path) -> None:
    file = DatabaseFiles(path).keyring
    file.unlink()
    for use in (blockdb.open, blockdb.repair):
        with pytest.raises(blockdb.Corruption, match=r"the file is missing, and the database is encrypted") as caught:
            use(path, master_key=MASTER)
        assert caught.value.path == str(file)
    problems = blockdb.verify(path, master_key=MASTER).problems
    assert "keys/encryption.toml" in {problem.path for problem in problems}


def test_a_plain_file_is_not_taken_for_a_sealed_one(path: Path) -> None:
    """Else whoever can write to the disk could put in records of his own."""
    segment = max(collection_of(path).chain.glob("*.chain"))
    segment.write_bytes(contents_of(path, segment))
    with pytest.raises(blockdb.Corruption, match="is not sealed") as caught:
        blockdb.open(path, master_key=MASTER)
    assert caught.value.path == str(segment)
    assert not blockdb.verify(path, master_key=MASTER).valid


def test_a_piece_of_the_log_that_was_changed_is_named(path: Path) -> None:
    segment = max(collection_of(path).chain.glob("*.chain"))
    data = bytearray(segment.read_bytes())
    data[-20] ^= 1
    segment.write_bytes(data)
    with pytest.raises(blockdb.Corruption, match="what is sealed there was changed, or belongs elsewhere") as caught:
        blockdb.open(path, master_key=MASTER)
    assert caught.value.path == str(segment)


# ── beside it ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_attachment_follows_its_writer(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", **ENCRYPTED) as db:
        fill(db, 0, 30)
        with blockdb.open(tmp_path / "db", read_only=True, master_key=MASTER) as reader:
            for number in range(30, 60):
                db.put(*secret_of(number))
                assert reader.get(secret_of(number)[0]) == secret_of(number)[1]
            fill(db, 60)
            db.compact()
            assert_whole(reader)
        assert_whole(db)


def test_an_attachment_lets_go_of_what_was_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.storage.attachment.FILES_CHECK_S", 0.0)
    with blockdb.open(tmp_path / "db", **ENCRYPTED) as db, monkeypatch.context() as patch:
        patch.setattr(Upkeep, "_pack", lambda _: None)
        fill(db)
        with blockdb.open(tmp_path / "db", read_only=True, master_key=MASTER) as reader:
            assert_whole(reader)
            assert all(vars(reader._reader.chain)["_maps"])
            patch.undo()
            db.compact()
            assert reader.get(secret_of(0)[0]) == secret_of(0)[1]
            *packed_ones, newest = vars(reader._reader.chain)["_maps"]
            assert (any(packed_ones), len(packed_ones) > 3, bool(newest)) == (False, True, True)
            held = [file for file in vars(reader._door)["_logs"] if file.suffix == ".chain"]
            assert held == list(collection_of(db.path).chain.glob("*.chain"))


@pytest.mark.torture
def test_processes_help_with_encrypted_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing, packing, building tables and merging them, each in a process that is given the keys."""
    succeeded: list[str] = []
    run, make = packing.run_python, TableMakers.make

    def noted(name: str, argument: str, secret: bytes) -> bool:
        assert secret.hex() not in argument
        done = run(name, argument, secret)
        succeeded.append(name if done else f"{name} failed")
        return done

    def noted_too(*job: Any) -> bytes | None:
        said = make(*job)
        succeeded.append("tables failed" if said is None else "tables")
        return said

    monkeypatch.setattr(packing, "run_python", noted)
    monkeypatch.setattr(TableMakers, "make", noted_too)
    monkeypatch.setattr(packing, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr("blockdb.storage.maintenance.WORTHWHILE_RECORDS", 0)
    monkeypatch.setattr(seals, "BUSY_BLOCKS", 2)
    monkeypatch.setattr(seals, "BUSY_S", 3600.0)
    monkeypatch.setattr("blockdb.audit.collection.WORTHWHILE_BYTES", 0)
    monkeypatch.setattr("blockdb.audit.collection.BULK_BYTES", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(log_module, "SEALED_SEGMENT_BYTES", 40_000)
    with blockdb.open(tmp_path / "db", **ENCRYPTED) as db:
        fill(db)
        assert vars(db._store)["_seals"]._process is not None
        db.compact()
        assert_whole(db)
    assert set(succeeded) == {"blockdb.storage.packed", "tables"}


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_redacted_value_is_gone_from_what_files_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    if not is_packed:
        monkeypatch.setattr(Upkeep, "_pack", lambda _: None)
    monkeypatch.setattr("blockdb.storage.attachment.FILES_CHECK_S", 0.0)
    path, (key, value) = tmp_path / "db", secret_of(5)
    with blockdb.open(path, redactable=True, **ENCRYPTED) as db:
        fill(db)
        db.compact()
        with blockdb.open(path, read_only=True, master_key=MASTER) as reader:
            assert reader.get(key) == value
            db.redact(key, reason="a test", by="tester")
            with pytest.raises(blockdb.Redacted):
                reader.get(key)
            assert reader.get(secret_of(6)[0]) == secret_of(6)[1]
        with pytest.raises(blockdb.Redacted):
            db.get(key)
        report = db.verify()
        assert report.valid, report.problems
    for file in collection_of_default(path).chain.iterdir():
        held = contents_of(path, file)
        held = packed.unpack(held) if file.suffix == ".zst" else held
        assert value not in held
    everything = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    assert key not in everything
    assert key.hex().encode() not in everything
    with blockdb.open(path, master_key=MASTER) as db:
        assert db.verify().valid


def collection_of_default(path: Path) -> CollectionFiles:
    with blockdb.open(path, read_only=True, master_key=MASTER) as db:
        return DatabaseFiles(path).collection(db.stats().collection_id)


def test_the_scrubber_reads_it_and_notes_no_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.database.scrubber.FIRST_AFTER_S", 0.0)
    with blockdb.open(path, master_key=MASTER, scrub_rate_limit=1 << 30) as db:
        until(lambda: db.stats().scrub.passes)
        assert db.stats().scrub.failure is None
        assert db.stats().scrub.problems == ()


def test_no_one_tampers_with_it_in_the_lab(path: Path) -> None:
    from blockdb.tampering.lab import Lab

    with pytest.raises(blockdb.InvalidData, match="is encrypted"):
        Lab(path)


# ── keys that change ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_master_key_is_changed_and_no_file_but_the_keyring(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    master_id = encryption.rewrap(path, MasterKeySource(key=MASTER), MasterKeySource(key=OTHER))
    assert master_id == keyring.master_id(OTHER) == encryption.describe(path)["master_id"]
    changed = [file for file, data in before.items() if file.read_bytes() != data]
    assert changed == [DatabaseFiles(path).keyring]
    with blockdb.open(path, master_key=OTHER) as db:
        assert_whole(db)
    with pytest.raises(blockdb.MasterKeyError):
        blockdb.open(path, master_key=MASTER)


def test_a_key_gives_way_to_a_passphrase_and_back(path: Path) -> None:
    words = MasterKeySource(environ={}, passphrase="some words")
    encryption.rewrap(path, MasterKeySource(key=MASTER), words)
    with blockdb.open(path, passphrase="some words") as db:
        assert_whole(db)
    encryption.rewrap(path, words, MasterKeySource(key=OTHER))
    blockdb.open(path, master_key=OTHER).close()


@pytest.mark.parametrize("call", ["create", "force", "rename"])
@pytest.mark.parametrize("change", [encryption.rewrap, encryption.new_data_key])
def test_a_change_of_keys_that_fails_anywhere_leaves_what_opens(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, change: Callable[..., str]
) -> None:
    """The one file that changes is replaced at once; a process that is killed leaves what these leave."""
    door = TroubledDoor()
    door.failing[call] = EIO
    monkeypatch.setattr(encryption, "Door", lambda: door)
    others = [MasterKeySource(key=OTHER)] if change is encryption.rewrap else []
    with pytest.raises(blockdb.StorageError):
        change(path, MasterKeySource(key=MASTER), *others)
    monkeypatch.undo()
    with blockdb.open(path, master_key=MASTER) as db:
        assert_whole(db)


def test_new_files_take_a_new_data_key_and_old_ones_stay_readable(path: Path) -> None:
    old = {file: file.read_bytes() for file in collection_of(path).chain.iterdir()}
    current = encryption.new_data_key(path, MasterKeySource(key=MASTER))
    assert len(encryption.describe(path)["older"]) == 1
    with blockdb.open(path, master_key=MASTER) as db:
        fill(db, RECORDS, 2 * RECORDS)
        db.compact()
        assert_whole(db, 2 * RECORDS)
    taken = {
        file.name: sealed.decode_header(file.read_bytes()).key_id.hex()
        for file in collection_of(path).root.rglob("*.[cs][hs]*")
        if file.is_file()
    }
    assert set(taken.values()) == {current, *encryption.describe(path)["older"]}
    assert taken[max(name for name in taken if ".chain" in name)] == current
    assert all(taken[file.name] != current for file in old if file.suffix == ".zst")
    assert all(taken[file.name] == current for file in collection_of(path).tables.iterdir())


def test_an_attachment_learns_of_a_new_data_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.storage.attachment.FILES_CHECK_S", 0.0)
    with blockdb.open(path, read_only=True, master_key=MASTER) as reader:
        assert reader.get(secret_of(1)[0]) is not None
        encryption.new_data_key(path, MasterKeySource(key=MASTER))
        with blockdb.open(path, master_key=MASTER) as db:
            fill(db, RECORDS, 2 * RECORDS)
            assert_whole(reader, 2 * RECORDS)


def test_keys_are_changed_by_no_one_beside_a_writer(path: Path) -> None:
    with blockdb.open(path, master_key=MASTER), pytest.raises(blockdb.DatabaseLocked):
        encryption.new_data_key(path, MasterKeySource(key=MASTER))


def test_keys_of_a_plain_database_are_not_changed(tmp_path: Path) -> None:
    blockdb.open(tmp_path / "db").close()
    with pytest.raises(blockdb.ConfigError, match="is not encrypted"):
        encryption.rewrap(tmp_path / "db", MasterKeySource(key=MASTER), MasterKeySource(key=OTHER))
    with pytest.raises(blockdb.DatabaseNotFound):
        encryption.describe(tmp_path / "nothing")


# ── repair ───────────────────────────────────────────────────────────────────────────────────────────────────────


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


@pytest.mark.parametrize("pattern", ["tables/*.sst", "manifest.toml", "log.mark", "metadata.toml"])
def test_what_can_be_derived_is_rebuilt_encrypted(path: Path, pattern: str) -> None:
    flip(min(collection_of(path).root.glob(pattern)), 60)
    result = blockdb.repair(path, master_key=MASTER)
    assert not result.before.valid
    assert result.after.valid, result.after.problems
    test_nothing_on_the_disk_tells_what_was_stored(path)
    with blockdb.open(path, master_key=MASTER) as db:
        assert_whole(db)


@pytest.mark.parametrize("number", [2, -1])
def test_the_chain_is_kept_up_to_the_damage_and_what_is_salvaged_is_sealed(path: Path, number: int) -> None:
    file = sorted(collection_of(path).chain.iterdir())[number]
    flip(file, 400)
    result = blockdb.repair(path, master_key=MASTER)
    assert result.after.valid, result.after.problems
    assert result.quarantine is not None
    assert result.salvaged
    assert b"secret" not in b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    with blockdb.open(path, master_key=MASTER) as db:
        kept = dict(db.scan())
        assert db.verify().valid
    salvaged_file = result.quarantine / "salvaged.jsonl"
    assert sealed.is_sealed(salvaged_file.read_bytes())
    lines = encryption.contents(path, MasterKeySource(key=MASTER), salvaged_file).splitlines()
    salvaged = {base64.b64decode(item["key"]): base64.b64decode(item["value"]) for item in map(json.loads, lines)}
    everything = dict(map(secret_of, range(RECORDS)))
    assert {**kept, **salvaged}.items() <= everything.items()
    assert len(kept) + len(salvaged) > 0.6 * RECORDS
    assert (result.quarantine / file.relative_to(path)).exists()


def test_an_older_copy_of_the_newest_chain_file_is_found(path: Path, tmp_path: Path) -> None:
    older = copy_of(path, tmp_path / "older")
    with blockdb.open(path, master_key=MASTER) as db:
        db.put_many(pairs(range(20)))
    newest = max(collection_of(path).chain.glob("*.chain"))
    shutil.copyfile(collection_of(older).chain / newest.name, newest)
    with pytest.raises(blockdb.Corruption, match="was cut"):
        blockdb.open(path, master_key=MASTER)
    assert not blockdb.verify(path, master_key=MASTER).valid
