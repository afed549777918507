"""Erasing values for good, while every hash and proof stays."""

import copy
import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import time_ns
from typing import Any

import pytest

import blockdb
from blockdb.database import core
from blockdb.database.redaction import record_event
from blockdb.format import record, segment
from blockdb.format.frame import BadFrame, with_check
from blockdb.format.place import split_place
from blockdb.storage import log as log_module
from blockdb.storage.door import Door
from blockdb.storage.redaction import Redactions, load, save
from blockdb.storage.store import Store
from tests.storage.doors import StillDoor, TroubledDoor, collection_of, copy_of, open_through, until
from tests.storage.redacting import (
    REASON,
    SETTINGS,
    Ledger,
    answer,
    assert_gone,
    bytes_below,
    key_of,
    redactions_in,
    secret,
)


@pytest.fixture(params=[pytest.param(False, marks=pytest.mark.torture), True], ids=["plain", "packed"])
def db(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[blockdb.Database]:
    """Twenty records: in a batch and alone, in a table and in memory, in a closed file and in the live one."""
    with open_through(StillDoor(), tmp_path / "db", **SETTINGS, compression_enabled=request.param) as db:
        db.put_many([(key_of(number), secret(number)) for number in range(6)])
        db.put(b"empty", b"")
        db.compact()
        for number in range(6, 12):
            db.put(key_of(number), secret(number))
        db.flush()
        db.put_many([(key_of(number), secret(number)) for number in range(12, 19)])
        yield db


GONE = [1, 5, 7, 13, 18]


def test_the_values_are_nowhere_and_the_ledger_is_what_it_was(db: blockdb.Database) -> None:
    before = Ledger(db)
    sizes = db.stats().data_bytes
    done = db.redact_many([key_of(number) for number in GONE], reason=REASON)
    assert len(done.sequences) == len(GONE)
    assert done.files == (2 if db.stats().compression_enabled else 1)
    assert not done.quarantined
    assert_gone(db.path, [secret(number) for number in GONE])
    assert db.stats().data_bytes == sizes
    before.check(db)
    assert db.verify().valid
    db.compact()
    db.close()
    assert_gone(db.path, [secret(number) for number in GONE])
    assert blockdb.verify(db.path).valid
    with blockdb.open(db.path) as again:
        before.check(again)
        assert again.stats().data_bytes == sizes
        assert answer(again.get, key_of(18)) is blockdb.Redacted
        assert again.get(key_of(17)) == secret(17)


@pytest.mark.parametrize("again", [False, True], ids=["same handle", "attached"])
def test_what_each_way_of_reading_says(db: blockdb.Database, again: bool) -> None:
    for number in range(19):
        assert db.get(key_of(number)) == secret(number), "so that it is cached"
    db.redact_many([key_of(number) for number in GONE], reason=REASON)
    with blockdb.open(db.path, read_only=True) if again else nullcontext(db) as reader:
        for number in range(19):
            key, is_gone = key_of(number), number in GONE
            assert answer(reader.get, key) == (blockdb.Redacted if is_gone else secret(number))
            assert reader.exists(key)
            found = reader.record(key)
            assert found is not None
            assert (found.redacted, found.value is blockdb.REDACTED, found.value) == (
                (True, True, b"") if is_gone else (False, False, secret(number))
            )
        at_last = blockdb.AsOf(sequence=19)
        assert answer(lambda key: reader.get(key, as_of=at_last), key_of(1)) is blockdb.Redacted
        assert reader.get(key_of(1), as_of=blockdb.AsOf(sequence=0)) is None
        items = dict(reader.scan())
        assert len(items) == reader.count() == reader.stats().records == 20
        assert [key for key, value in items.items() if value is blockdb.REDACTED] == sorted(map(key_of, GONE))
        assert items[b"empty"] == b""
        assert items[b"empty"] is not blockdb.REDACTED
        assert list(reader.scan(reverse=True)) == sorted(items.items(), reverse=True)
        assert len(list(reader.scan(as_of=at_last))) == 20
        assert sum(found.redacted for found in reader.records()) == len(GONE)
        assert sum(found.redacted for n in range(6) for found in reader.block_records(n)) == len(GONE)


def test_the_key_is_not_free_again(db: blockdb.Database) -> None:
    db.redact(key_of(1), reason=REASON)
    with pytest.raises(blockdb.DuplicateKey):
        db.put(key_of(1), b"another")
    with pytest.raises(blockdb.DuplicateKey):
        db.put_many([(key_of(1), b"another")])
    with pytest.raises(blockdb.Redacted, match="person:1"):
        db.redact(key_of(1), reason="once more")


def test_an_empty_value_is_redacted_too(db: blockdb.Database) -> None:
    db.redact(b"empty", reason=REASON)
    assert answer(db.get, b"empty") is blockdb.Redacted
    assert db.verify().valid


def test_the_keys_of_a_call_may_repeat_and_may_be_none(db: blockdb.Database) -> None:
    assert db.redact_many([], reason=REASON) == blockdb.Redaction((), 0, False)
    assert db.redact_many([key_of(2), key_of(2)], reason=REASON).sequences == (2,)


def test_what_stands_for_a_redacted_value_is_one_object() -> None:
    assert blockdb.REDACTED == b""
    assert repr(blockdb.REDACTED) == "REDACTED"
    for twin in (pickle.loads(pickle.dumps(blockdb.REDACTED)), copy.copy(blockdb.REDACTED)):
        assert twin is blockdb.REDACTED
    error = pickle.loads(pickle.dumps(blockdb.Redacted(b"k", 0, "who", "why")))
    assert str(error).startswith("The value of key 'k' was redacted at 1970-01-01 00:00:00 UTC by who (why): ")


def test_it_is_not_stored_as_if_it_were_a_value(db: blockdb.Database) -> None:
    """Whoever copies a database by its scan learns that there is something which cannot be copied."""
    for store in (lambda: db.put(b"copy", blockdb.REDACTED), lambda: db.put_many([(b"copy", blockdb.REDACTED)])):
        with pytest.raises(blockdb.InvalidData, match="gone"):
            store()
    assert not db.exists(b"copy")


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_other_collections_refuse_and_say_why(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
        with pytest.raises(blockdb.InvalidData, match=r"cover the values themselves.*redactable = true"):
            db.redact(b"key", reason=REASON)
        assert db.get(b"key") == b"value"
        assert not collection_of(db.path).redactions.exists()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"keys": [""]}, "A key is bytes"),
    "too many": ({"keys": [b"k"] * 10_001}, "at most 10000 keys"),
    "no reason": ({"reason": " \n"}, "The reason of a redaction is text"),
    "half a character": ({"reason": "\ud800"}, "The reason of a redaction is text"),
    "a long reason": ({"reason": "é" * 2049}, "The reason of a redaction is text"),
    "nobody": ({"by": ""}, "The author of a redaction is text"),
    "no text": ({"by": 7}, "The author of a redaction is text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(db: blockdb.Database, name: str) -> None:
    arguments, words = REFUSED[name]
    before = bytes_below(db.path)
    with pytest.raises(blockdb.InvalidData, match=words):
        db.redact_many(**{"keys": [key_of(1)], "reason": REASON, **arguments})
    assert bytes_below(db.path) == before
    assert db.get(key_of(1)) == secret(1)


def test_a_key_that_is_not_stored_is_refused_with_all_others(db: blockdb.Database) -> None:
    with pytest.raises(blockdb.KeyNotFound, match="'nobody' is not stored"):
        db.redact_many([key_of(1), b"nobody"], reason=REASON)
    assert db.get(key_of(1)) == secret(1)


# ── what is left to see ──────────────────────────────────────────────────────────────────────────────────────────

CANDIDATES = [b"positive", b"negative", *(b"%d" % number for number in range(8))]


def test_a_short_value_cannot_be_guessed_from_what_remains(tmp_path: Path) -> None:
    """One of ten known values: what remains is its digest with a salt of 128 bits, which is nowhere."""
    with blockdb.open(tmp_path / "db", **SETTINGS) as db:
        db.put(b"result", b"positive")
        file = collection_of(db.path).segment(0)
        before = record.decode(file.read_bytes(), segment.HEADER_BYTES)
        salt = before.body[len(before.leaf) :][: record.SALT_BYTES]
        db.redact(b"result", reason=REASON)
        after = record.decode(file.read_bytes(), segment.HEADER_BYTES)
    assert after.leaf == before.leaf
    assert after.body == after.leaf + bytes(record.SALT_BYTES + len(b"positive"))
    digest = after.leaf[-record.DIGEST_BYTES :]
    known = [bytes(record.SALT_BYTES) + value for value in CANDIDATES] + CANDIDATES
    assert digest not in [record.sha256(data).digest() for data in known]
    assert digest == record.sha256(salt + b"positive").digest(), "who knew the salt could tell"
    for content in bytes_below(tmp_path / "db").values():
        assert salt not in content


def test_only_zeros_stand_for_a_redacted_value() -> None:
    body = record.encode_redactable(1, b"key", b"value", bytes(range(16)))
    erased = record.redacted(body)
    frame = record.decode(with_check(erased), 0)
    assert (frame.is_redacted, frame.leaf, frame.data_bytes) == (True, record.leaf_of(body), 8)
    assert record.redacted(erased) == erased
    for at in range(len(record.leaf_of(body)), len(body)):
        changed = bytearray(erased)
        changed[at] = 1
        with pytest.raises(BadFrame):
            record.decode(with_check(bytes(changed)), 0)
    zeros = record.encode_redactable(1, b"key", bytes(5), bytes(16))
    assert record.decode(with_check(zeros), 0).value == bytes(5), "zeros that fit their digest are a value"


# ── beside others ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_attachment_serves_nothing_any_more(db: blockdb.Database) -> None:
    with blockdb.open(db.path, read_only=True) as reader:
        for _ in range(2):
            assert [reader.get(key_of(number)) for number in range(19)] == [secret(number) for number in range(19)]
        for number in GONE:
            db.redact(key_of(number), reason=REASON)
            assert answer(reader.get, key_of(number)) is blockdb.Redacted
        assert dict(reader.scan()) == dict(db.scan())
        assert reader.verify().valid
        db.put(b"more", b"value")
        assert reader.get(b"more") == b"value"


READER = """
import sys, blockdb
with blockdb.open(sys.argv[1], read_only=True) as db:
    for line in sys.stdin:
        try:
            print(db.get(line.strip().encode()), flush=True)
        except blockdb.Redacted as error:
            print(error, flush=True)
"""


def test_another_process_serves_nothing_any_more(db: blockdb.Database) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(db.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked(number: int) -> str:
            print(key_of(number).decode(), file=process.stdin, flush=True)
            return process.stdout.readline().strip() if process.stdout else ""

        for number in [*GONE, *GONE]:
            assert asked(number) == str(secret(number)), "also from its cache"
        for number in GONE:
            db.redact(key_of(number), reason=REASON, by="me")
            assert asked(number).startswith(f"The value of key 'person:{number}' was redacted at 20")
        assert asked(2) == str(secret(2))
        process.stdin.close()


def test_readers_meanwhile_see_the_value_or_that_it_is_gone(db: blockdb.Database) -> None:
    wrong: list[object] = []
    stop = Event()

    def look(reader: blockdb.Database, rng: Random) -> None:
        number = rng.randrange(19)
        assert answer(reader.get, key_of(number)) in (blockdb.Redacted, secret(number))
        for found in (*reader.scan(prefix=b"person"), *((found.key, found.value) for found in reader.records(0, 6))):
            assert found[1] in (b"", secret(int(found[0][7:])))

    def read(reader: blockdb.Database) -> None:
        rng = Random(0)
        try:
            while not stop.is_set():
                look(reader, rng)
        except Exception as error:
            wrong.append(error)

    with blockdb.open(db.path, read_only=True, cache_size_limit=0) as attached:
        threads = [Thread(target=read, args=(reader,)) for reader in (db, attached, attached)]
        for thread in threads:
            thread.start()
        for number in range(0, 19, 2):
            db.redact(key_of(number), reason=REASON)
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not wrong


def test_a_sealing_process_beside_is_not_disturbed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True, blockchain_batch_size=2) as db:
        for number in range(100):
            db.put(key_of(number), secret(number))
        db.redact_many([key_of(number) for number in range(0, 100, 7)], reason=REASON)
        for number in range(100, 150):
            db.put(key_of(number), secret(number))
        assert db.stats().blocks == 75
        assert db.verify().valid
    assert_gone(tmp_path / "db", [secret(number) for number in range(0, 100, 7)])


# ── when something goes wrong ────────────────────────────────────────────────────────────────────────────────────

TROUBLES = [
    ("create", "redactions.toml.tmp"),
    ("open_append", ".chain.tmp"),
    ("rename", "00000000.chain"),
    ("remove", ".chain.old"),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: "-".join(trouble))
@pytest.mark.parametrize("reopened", [False, True], ids=["same handle", "reopened"])
def test_what_failed_half_way_is_finished(tmp_path: Path, trouble: tuple[str, str], reopened: bool) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", **SETTINGS) as db:
        files = collection_of(db.path)
        db.put_many([(key_of(number), secret(number)) for number in range(9)])
        before = Ledger(db)
        db.redact(key_of(4), reason="another")
        door.failing[trouble] = errno.ENOSPC
        with pytest.raises(blockdb.StorageError, match="free some space"):
            db.redact(key_of(3), reason=REASON, by="me")
        door.failing.clear()
        if not reopened:
            assert db.redact(key_of(3), reason=REASON, by="me").sequences == (3,)
    begun = trouble[0] != "create" or not reopened
    with blockdb.open(tmp_path / "db") as db:
        assert answer(db.get, key_of(3)) == (blockdb.Redacted if begun else secret(3))
        before.check(db)
        assert db.verify().valid
        events = redactions_in(db)
    assert [event["records"][0]["sequence"] for event in events] == [4, 3][: 1 + begun]
    assert_gone(tmp_path / "db", [secret(4), secret(3)][: 1 + begun])
    assert not [path.name for path in files.chain.iterdir() if path.suffix not in (".chain", ".zst")]


def test_the_journal_tells_when_who_and_why(db: blockdb.Database) -> None:
    before_ms = time_ns() // 1_000_000
    db.redact_many([key_of(1), key_of(2)], reason=REASON, by="the keeper")
    db.redact(key_of(3), reason="another", by="another")
    [event, _] = redactions_in(db)
    assert event["records"] == [{"sequence": number, "key": key_of(number).hex()} for number in (1, 2)]
    assert (event["by"], event["reason"], event["collection"]) == ("the keeper", REASON, db.stats().collection_id)
    assert before_ms <= event["time_ms"] <= time_ns() // 1_000_000
    for read_only in (False, True):
        with blockdb.open(db.path, read_only=True) if read_only else nullcontext(db) as reader:
            with pytest.raises(
                blockdb.Redacted, match=r"UTC by the keeper \(asked for by the person\): it is gone"
            ) as raised:
                reader.get(key_of(2))
            assert (raised.value.key, raised.value.time_ms) == (key_of(2), event["time_ms"])
            assert (raised.value.by, raised.value.reason) == ("the keeper", REASON)


def test_the_author_is_the_user_unless_somebody_else_is_named(db: blockdb.Database, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")
    db.redact(key_of(1), reason=REASON)
    assert redactions_in(db)[0]["by"] == "somebody"


def test_the_journal_has_it_before_a_byte_is_erased(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise blockdb.StorageError("no journal")

    monkeypatch.setattr(core, "record_event", refuse)
    with pytest.raises(blockdb.StorageError, match="no journal"):
        db.redact(key_of(1), reason=REASON)
    assert any(secret(1) in data for data in bytes_below(db.path).values())
    assert load(Door(), collection_of(db.path), db.stats().collection_id).keys == [key_of(1)]


def test_an_event_that_is_there_is_forced_before_it_is_believed(db: blockdb.Database) -> None:
    """It may be that of a process which was killed before it was on the disk."""
    db.redact(key_of(1), reason=REASON)
    [event] = redactions_in(db)
    journal = db._core.notary.journal()
    assert journal is not None
    assert isinstance(journal.reader, Store)
    forces = journal.reader.force_latency.count
    journal.reader._log._set_forced(segment.HEADER_BYTES)
    record_event(journal, event)
    assert journal.reader.force_latency.count > forces
    assert redactions_in(db) == [event]


def test_where_files_have_one_name_alone(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    db.redact_many([key_of(number) for number in GONE], reason=REASON)
    assert_gone(db.path, [secret(number) for number in GONE])
    assert db.verify().valid


def test_the_old_file_is_overwritten_before_it_goes(db: blockdb.Database) -> None:
    """Who has it mapped, or finds its blocks on the disk, does not find the value."""
    with blockdb.open(db.path, read_only=True) as reader:
        assert reader.get(key_of(1)) == secret(1)
        mapped = list(reader._reader.chain._maps)
        newest, end = split_place(reader._reader.end)
        db.redact_many([key_of(number) for number in GONE], reason=REASON)
        for file, buffer in enumerate(mapped):
            held = buffer[: end if file == newest else None]  # what was reserved is no more, and kills who looks there
            assert not any(secret(number)[:16] in held for number in GONE)


def test_both_forms_of_a_chain_file(db: blockdb.Database) -> None:
    """A writer was killed between packing a chain file and removing it."""
    if not db.stats().compression_enabled:
        return
    files = collection_of(db.path)
    data = bytes_below(db.path)[files.packed(0)]
    db.close()
    files.segment(0).write_bytes(data)
    left = files.segment(0).with_name("00000000.chain.old")
    left.write_bytes(data)
    save(Door(), files, Redactions(files.root.name, event=_event(1), places=(_place(data, 1),)))
    with blockdb.open(db.path) as db:
        assert answer(db.get, key_of(1)) is blockdb.Redacted
    assert not left.exists()
    assert_gone(db.path, [secret(1)])


def test_an_old_file_whose_successor_was_packed_meanwhile(db: blockdb.Database) -> None:
    """A writer was killed before it overwrote the old file, and the next one packed the new one at once."""
    files = collection_of(db.path)
    data = bytes_below(db.path)[files.packed(0) if files.packed(0).exists() else files.segment(0)]
    db.redact(key_of(1), reason=REASON)
    db.close()
    left = files.segment(0).with_name("00000000.chain.old")
    left.write_bytes(data)
    save(Door(), files, Redactions(files.root.name, event=_event(1), places=(_place(data, 1),)))
    blockdb.open(db.path).close()
    assert not left.exists()


def _event(number: int) -> str:
    about = {"event": "redaction", "collection": "x", "id": "x", "by": "me", "reason": REASON, "time_ms": 0}
    return json.dumps({**about, "records": [{"sequence": number, "key": key_of(number).hex()}]})


def _place(data: bytes, number: int) -> int:
    return data.index(key_of(number)) - record.HEADER_BYTES


def test_a_place_where_no_such_record_is_stops_the_opening(db: blockdb.Database) -> None:
    files = collection_of(db.path)
    db.close()
    for places in ((5 << 32,), (segment.HEADER_BYTES + 1,)):
        save(Door(), files, Redactions(files.root.name, event=_event(1), places=places))
        with pytest.raises((blockdb.Corruption, blockdb.StorageError)):
            blockdb.open(db.path)
    with blockdb.open(db.path, read_only=True) as reader:
        assert reader.get(key_of(1)) == secret(1)


# ── any order of calls ───────────────────────────────────────────────────────────────────────────────────────────


class Run:
    """A database, what was put into it, and what was redacted."""

    def __init__(self, path: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.path = path
        self.stored: dict[bytes, bytes] = {}
        self.gone: dict[bytes, bytes] = {}
        self.db = self.opened()
        self.reader = blockdb.open(path, read_only=True)
        self.ledger = Ledger(self.db)

    def opened(self) -> blockdb.Database:
        return open_through(StillDoor(), self.path, **SETTINGS, compression_enabled=self.rng.random() < 0.6)

    def put(self) -> None:
        number = len(self.stored)
        items = [(key_of(n), secret(n)) for n in range(number, number + self.rng.choice([1, 1, 1, 5]))]
        self.db.put_many(items) if len(items) > 1 else self.db.put(*items[0])
        self.stored.update(items)

    def redact(self) -> None:
        left = sorted(self.stored.keys() - self.gone)
        keys = self.rng.sample(left, min(len(left), self.rng.choice([1, 1, 3])))
        self.db.redact_many(keys, reason=REASON)
        self.gone.update((key, self.stored[key]) for key in keys)

    def work(self) -> None:
        self.rng.choice([self.db.flush, self.db.compact])()

    def reopen(self) -> None:
        self.db.close()
        self.db = self.opened()

    def attach(self) -> None:
        self.reader.close()
        self.reader = blockdb.open(self.path, read_only=True)

    def look(self) -> None:
        until(lambda: self.reader.count() == len(self.stored))  # it may follow the mark of a writer that has closed
        for reader in (self.db, self.reader):
            self.ledger.check(reader)
            expected = {key: blockdb.REDACTED if key in self.gone else value for key, value in self.stored.items()}
            found = dict(reader.scan())
            assert found == expected
            assert {key for key, value in found.items() if value is blockdb.REDACTED} == self.gone.keys()
            assert [record.value for record in reader.records()] == list(expected.values())
            for key in self.rng.sample(sorted(self.stored), min(4, len(self.stored))):
                assert answer(reader.get, key) == (blockdb.Redacted if key in self.gone else self.stored[key])
        self.ledger = Ledger(self.db)
        assert_gone(self.path, list(self.gone.values()))

    def go(self, steps: int) -> None:
        actions = [self.put, self.redact, self.work, self.reopen, self.attach, self.look]
        for action in self.rng.choices(actions, [12, 4, 2, 1, 1, 2], k=steps):
            action()
        self.look()
        assert self.db.verify().valid
        self.db.close()
        self.reader.close()
        with blockdb.open(copy_of(self.path, self.path.with_name("copy")), read_only=True) as copied:
            self.ledger.check(copied)


def run(path: Path, seed: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEGMENT_SOFT_BYTES", "PACKED_SEGMENT_BYTES"):
        monkeypatch.setattr(log_module, name, 1500)
    Run(path, seed).go(steps)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_calls(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "db", seed, 40, monkeypatch)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_orders_of_calls(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "db", seed, 150, monkeypatch)
