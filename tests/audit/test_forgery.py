"""What an audit finds although every check of the files matches: only the ledger itself tells."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xxhash import xxh3_64_intdigest

import blockdb
from blockdb.audit import bulk, cuts
from blockdb.format import batch, record
from blockdb.format.block import Seal
from blockdb.format.frame import CHECK_BYTES, with_check
from blockdb.format.segment import HEADER_BYTES
from blockdb.layout import DatabaseFiles
from blockdb.ledger.chain import signed
from blockdb.ledger.signature import Signer
from blockdb.lsm.bloom import filter_of, save
from tests.audit.forgery import Forger, TableParts
from tests.storage.doors import change_mark, pairs

BLOCK = 4


@pytest.fixture(params=["whole", pytest.param("cut", marks=pytest.mark.torture)], autouse=True)
def jobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chain and tables are audited as wholes, and in parts."""
    if request.param == "cut":
        monkeypatch.setattr(cuts, "STRETCH_BYTES", 1)
        monkeypatch.setattr(bulk, "RANGE_RECORDS", 3)


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    """Ten records in two blocks and a table, one more in the log alone; closed and whole."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK) as db:
        for key, value in pairs(range(10)):
            db.put(key, value)
        db.flush()
        db.put(*pairs([10])[0])
    assert blockdb.verify(db.path).valid
    return Forger(db.path)


def found(forger: Forger) -> list[blockdb.Problem]:
    report = blockdb.verify(forger.path)
    assert report.valid == (not report.problems)
    return list(report.problems)


def signer_of(forger: Forger) -> Signer:
    seeds: list[str] = []
    forger.change_toml(DatabaseFiles(forger.path).signing_key, lambda values: seeds.append(values["seed"]))
    return Signer(bytes.fromhex(seeds[0]))


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", range(8))
def test_a_sealed_value_that_was_changed_is_found_in_its_block(forger: Forger, number: int) -> None:
    forger.change_record(number, lambda frame: record.encode(frame.time_ms, frame.key, b"VALUE%d" % number))
    [problem] = found(forger)
    assert problem.block == number // BLOCK, "its own block is accused, and none of those that stand on it"
    assert problem.path.endswith("chain/00000000.chain")
    assert problem.what == f"Hash mismatch at block {problem.block}: its records do not have its Merkle root"


def test_a_time_that_was_changed_is_found(forger: Forger) -> None:
    forger.change_record(2, lambda frame: record.encode(frame.time_ms + 1, frame.key, frame.value))
    assert found(forger)[0].block == 0


def test_the_forgers_hand_alone_changes_nothing(forger: Forger) -> None:
    before = forger.chain.read_bytes()
    forger.change_record(2, lambda frame: frame.body)
    forger.change_seal(1, lambda seal: signed(seal, signer_of(forger)))
    forger.change_table(lambda parts: None)
    forger.change_toml(forger.files.manifest, lambda values: None)
    assert forger.chain.read_bytes() == before
    assert found(forger) == []


def test_records_that_changed_places_are_found(forger: Forger) -> None:
    frames = [frame for _, _, frame in forger.frames() if isinstance(frame, record.RecordFrame)]
    forger.change_record(1, lambda _: frames[2].body)
    forger.change_record(2, lambda _: frames[1].body)
    assert {problem.block for problem in found(forger) if "Merkle root" in problem.what} >= {0}


def test_a_key_that_is_there_twice_is_found_and_not_served(forger: Forger) -> None:
    """Written behind the database's back, into the open block, which no seal covers yet: an update after all."""
    forger.append(b"key00003", b"another value")
    problems = found(forger)
    assert problems
    assert problems[0].key == b"key00003"
    assert problems[0].sequence == 11
    try:
        with blockdb.open(forger.path, read_only=True) as db:
            assert db.get(b"key00003") == b"value3"
            assert not db.verify().valid
    except blockdb.Corruption:
        pass


def test_a_key_that_is_in_no_table_twice_is_found(forger: Forger) -> None:
    forger.append(b"key00010", b"another value")
    [problem] = found(forger)
    assert (problem.key, problem.sequence, problem.what) == (b"key00010", 11, "the key is stored twice")


def test_a_key_that_is_in_two_tables_is_found(tmp_path: Path) -> None:
    """Each table is right about its own records, and only one of them is served."""
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"one", b"first")
        db.flush()
        db.put(b"two", b"second")
        db.flush()
    forger = Forger(db.path)
    forger.change_record(1, lambda frame: record.encode(frame.time_ms, b"one", frame.value))
    hashed = xxh3_64_intdigest(b"one")

    def lead_there(parts: TableParts) -> None:
        parts.header = parts.header._replace(home_slots=1)
        [word] = filter(None, parts.words)
        parts.words = array("Q", [hashed % 2**16 << 48 | word % 2**48, 0])
        parts.order[0] = 0
        parts.filter = save(filter_of([hashed], 1))

    forger.change_table(lead_there, number=1)
    [problem] = found(forger)
    assert (problem.key, problem.sequence, problem.what) == (b"one", 1, "the key is stored twice")


def test_a_batch_that_announces_another_number_of_records_is_found(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put_many(pairs(range(5)))
    forger = Forger(db.path)
    content = forger.chain.read_bytes()
    end = HEADER_BYTES + batch.HEADER_BYTES
    body = bytearray(content[HEADER_BYTES + CHECK_BYTES : end])
    body[1] += 1
    forger.chain.write_bytes(content[:HEADER_BYTES] + with_check(bytes(body)) + content[end:])
    [problem] = found(forger)
    assert problem.what == "the batch does not have the records that its header announces"


def test_a_seal_before_the_last_of_its_records_is_found(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2) as db:
        for key, value in pairs(range(4)):
            db.put(key, value)
    forger = Forger(db.path)
    content = forger.chain.read_bytes()
    frames = forger.frames()
    assert isinstance(frames[-1][2], Seal)
    (last, seal_at, _), (_, end, _) = frames[-2:]
    forger.chain.write_bytes(content[:last] + content[seal_at:end] + content[last:seal_at])
    [problem] = found(forger)
    assert problem.what == "block 1 does not cover the records that follow the block before it"


def test_a_seal_after_a_cut_and_before_its_records_is_found(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2) as db:
        db.put_many(pairs(range(3)))
        for key, value in pairs(range(3, 5)):
            db.put(key, value)
    forger = Forger(db.path)
    content = forger.chain.read_bytes()
    [*_, (last, seal_at, _), (_, end, seal), _] = forger.frames()
    assert isinstance(seal, Seal)
    forger.chain.write_bytes(content[:last] + content[seal_at:end] + content[last:seal_at] + content[end:])
    [problem, *_] = found(forger)
    assert problem.what == "block 1 does not cover the records that follow the block before it"


def test_a_mark_that_ends_inside_a_seal_is_found(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2) as db:
        db.put_many(pairs(range(2)))
    forger = Forger(db.path)
    end = forger.chain.stat().st_size
    change_mark(db.path, written=end - 1, forced=end - 1, clean=False)
    [problem] = found(forger)
    assert problem.what == "the file ends inside a seal"


def test_a_seal_that_stands_twice_is_found(forger: Forger) -> None:
    """Its block is closed with the first of them, whatever the tables name."""
    content = forger.chain.read_bytes()
    *_, (_, end, _) = forger.frames()
    seal_at, seal_end = next((at, end) for at, end, frame in forger.frames() if isinstance(frame, Seal))
    forger.chain.write_bytes(content[:end] + content[seal_at:seal_end] + content[end:])
    change_mark(forger.path, written=len(content) + seal_end - seal_at, clean=True)
    [problem] = found(forger)
    assert (problem.what, problem.block) == ("the block has number 0 where 2 should follow", 0)


# ── seals ────────────────────────────────────────────────────────────────────────────────────────────────────────

HEADER_CHANGES: list[dict[str, Any]] = [
    {"number": 5},
    {"first_sequence": 3},
    {"records": 3},
    {"data_bytes": 1},
    {"first_time_ms": 1},
    {"last_time_ms": 1},
    {"previous_hash": bytes(31) + b"\1"},
    {"root": bytes(32)},
    {"collection": bytes(16)},
]


def change_header(**fields: Any) -> Callable[[Seal], Seal]:
    return lambda seal: seal._replace(header=seal.header._replace(**fields))


@pytest.mark.parametrize("change", HEADER_CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("number", [0, 1])
def test_a_header_that_was_changed_does_not_have_its_signature(
    forger: Forger, number: int, change: dict[str, Any]
) -> None:
    forger.change_seal(number, change_header(**change))
    [problem, *_] = found(forger)
    assert problem.block is not None
    assert problem.path.endswith(".chain")


@pytest.mark.parametrize("change", HEADER_CHANGES[1:], ids=lambda change: next(iter(change)))
def test_a_header_that_its_signer_made_up_is_recomputed(forger: Forger, change: dict[str, Any]) -> None:
    """Even the owner of the key cannot tell of records what they do not say."""
    signer = signer_of(forger)
    forger.change_seal(1, lambda seal: signed(change_header(**change)(seal), signer))
    assert found(forger)


def test_a_seal_of_a_stranger_is_found(forger: Forger) -> None:
    forger.change_seal(1, lambda seal: signed(seal, Signer(bytes(32))))
    [problem] = found(forger)
    assert "signed with an unknown key" in problem.what
    assert problem.block == 1


@pytest.mark.parametrize("change", [{"first_place": 48}, {"first_place": 99}, {"frontier": (bytes(32),)}], ids=str)
def test_what_stands_beside_the_header_is_recomputed_too(forger: Forger, change: dict[str, Any]) -> None:
    forger.change_seal(1, lambda seal: seal._replace(**change))
    [problem] = found(forger)
    assert problem.what == "block 1 tells other sizes, times or places than its records have"


def test_a_block_of_another_history_does_not_fit(forger: Forger) -> None:
    seals = [frame for _, _, frame in forger.frames() if isinstance(frame, Seal)]
    signer = signer_of(forger)
    other = seals[0].header._replace(root=bytes(32))
    forger.change_seal(1, lambda seal: signed(change_header(previous_hash=other.hash())(seal), signer))
    [problem, *_] = found(forger)
    assert problem.what.startswith("Hash mismatch at block 1: it does not name the hash of the block before")


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


def swap_places(parts: TableParts) -> None:
    """Two keys lead to each other's records."""
    one, other = parts.order[0], parts.order[1]
    mask = 2**48 - 1
    parts.words[one], parts.words[other] = (
        parts.words[one] & ~mask | parts.words[other] & mask,
        parts.words[other] & ~mask | parts.words[one] & mask,
    )


def swap_order(parts: TableParts) -> None:
    parts.order[0], parts.order[1] = parts.order[1], parts.order[0]


def drop_word(parts: TableParts) -> None:
    parts.words[parts.order[3]] = 0


def add_word(parts: TableParts) -> None:
    empty = [slot for slot, word in enumerate(parts.words) if not word]
    parts.words[empty[0]] = 5 << 48 | 48


def repeat_order(parts: TableParts) -> None:
    parts.order[4] = parts.order[3]


def order_beyond(parts: TableParts) -> None:
    parts.order[4] = 4_000_000


def first_is_empty(parts: TableParts) -> None:
    """The order begins with a slot that is not used."""
    parts.order[0] = list(parts.words).index(0)


def halves_exchanged(parts: TableParts) -> None:
    """Each half of the order ascends."""
    half = len(parts.order) // 2
    parts.order = parts.order[half:] + parts.order[:half]


def drop_seal(parts: TableParts) -> None:
    parts.seals.pop()


def change_seal(parts: TableParts) -> None:
    parts.seals[0] += 1


def empty_filter(parts: TableParts) -> None:
    parts.filter = save(filter_of([1], 10))


def no_filter(parts: TableParts) -> None:
    parts.filter = parts.filter[:8]


def not_even_the_number_of_functions(parts: TableParts) -> None:
    parts.filter = b""


def endless_filter(parts: TableParts) -> None:
    """It says yes to everything, and takes ages for it."""
    parts.filter = (1 << 60).to_bytes(8, "little") + b"\xff" * 16


def move_word_beyond_an_empty_slot(parts: TableParts) -> None:
    """All words are there, but a lookup ends before it comes to one of them."""
    words, slot = parts.words, min(parts.order)
    _, beyond, *_ = [at for at in range(slot + 1, len(words)) if not words[at]]
    words[beyond], words[slot] = words[slot], 0
    parts.order[parts.order.index(slot)] = beyond


def other_first(parts: TableParts) -> None:
    parts.header = parts.header._replace(first_sequence=1)


def other_collection(parts: TableParts) -> None:
    parts.header = parts.header._replace(collection=bytes(16))


def other_number(parts: TableParts) -> None:
    parts.header = parts.header._replace(number=9)


@pytest.mark.parametrize(
    "change",
    [
        swap_places,
        swap_order,
        drop_word,
        add_word,
        repeat_order,
        order_beyond,
        first_is_empty,
        halves_exchanged,
        drop_seal,
        change_seal,
        empty_filter,
        no_filter,
        not_even_the_number_of_functions,
        endless_filter,
        move_word_beyond_an_empty_slot,
        other_first,
        other_collection,
        other_number,
    ],
)
def test_a_table_that_leads_astray_is_found(forger: Forger, change: Callable[[TableParts], None]) -> None:
    forger.change_table(change)
    problems = found(forger)
    assert problems
    assert any(problem.path.endswith("tables/00000001.sst") for problem in problems)


def test_a_seal_that_the_wrong_table_names_is_found(tmp_path: Path) -> None:
    """All seals are named, and all of them once."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK) as db:
        for first in (0, 2 * BLOCK):
            db.put_many(pairs(range(first, first + 2 * BLOCK)))
            db.flush()
    forger = Forger(db.path)
    moved: list[int] = []
    forger.change_table(lambda parts: moved.append(parts.seals.pop()))
    forger.change_table(lambda parts: parts.seals.insert(0, moved[0]), number=1)
    problems = found(forger)
    assert {problem.what for problem in problems} == {"the table does not name the seals that the chain has"}
    assert len(problems) == 2


def test_an_order_is_wrong_whatever_its_ends_have_in_common(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put_many([(b"ab1", b""), (b"ab3", b""), (b"zz2", b"")])
        db.flush()
    forger = Forger(db.path)

    def exchange(parts: TableParts) -> None:
        parts.order[1], parts.order[2] = parts.order[2], parts.order[1]

    forger.change_table(exchange)
    [problem] = found(forger)
    assert (problem.what, problem.key) == ("the key order is wrong", b"ab3")


def test_a_record_that_no_lookup_comes_to_is_named(forger: Forger) -> None:
    forger.change_table(drop_word)
    found_problems = [(problem.what, problem.key, problem.sequence) for problem in found(forger)]
    assert ("the table does not lead to the record", b"key00003", 3) in found_problems


# ── the files around ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        {"flushed_sequence": 9},
        {"tables": []},
        {"tables": [1, 2]},
        {"collection": "col_00000000-0000-0000-0000-000000000000"},
        {"replay": {"place": 48, "sequence": 0, "head_seal": 60}},
        {"replay": {"place": 48, "sequence": 4, "head_seal": 0}},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_the_chain_is_found(forger: Forger, change: dict[str, Any]) -> None:
    forger.change_toml(forger.files.manifest, lambda values: values.update(change))
    assert any(problem.path.endswith(("manifest.toml", ".sst")) for problem in found(forger))


def test_metadata_of_another_collection_is_found(forger: Forger) -> None:
    forger.change_toml(forger.files.metadata, lambda values: values.update(id="col_" + "0" * 8))
    assert any(problem.path.endswith("metadata.toml") for problem in found(forger))


def test_other_keys_are_found(forger: Forger) -> None:
    files = DatabaseFiles(forger.path)
    stranger = Signer(bytes(32)).public_key.hex()
    forger.change_toml(files.public_keys, lambda values: values.update(keys=[stranger]))
    problems = found(forger)
    assert any(problem.path == "keys/signing.toml" for problem in problems)
    assert sum("unknown key" in problem.what for problem in problems) == 2
    forger.change_toml(files.public_keys, lambda values: values.update(keys=[]))
    assert not blockdb.verify(forger.path).valid


def test_a_lock_file_that_is_used_for_something_else_is_found(forger: Forger) -> None:
    (forger.path / "LOCK").write_text("hello")
    [problem] = found(forger)
    assert (problem.path, problem.offset) == ("LOCK", 0)


def test_an_audit_of_a_ruin_ends(forger: Forger) -> None:
    """Whatever is missing, it names it, and a thousand problems are enough."""
    for file in (forger.files.mark, forger.files.metadata, DatabaseFiles(forger.path).signing_key):
        file.unlink()
    assert len(found(forger)) >= 2
    forger.chain.unlink()
    assert any(problem.path.endswith(".chain") for problem in found(forger))
    with blockdb.open(forger.path / "big", blockchain_batch_size=1) as db:
        db.put_many(pairs(range(1200)))
    big = Forger(forger.path / "big")
    files = DatabaseFiles(big.path)
    big.change_toml(files.public_keys, lambda values: values.update(keys=[]))
    assert len(found(big)) == 1000


def test_a_replay_point_inside_a_record_is_found(forger: Forger) -> None:
    forger.change_toml(
        forger.files.manifest, lambda values: values["replay"].update(place=values["replay"]["place"] + 1)
    )
    assert any(problem.path.endswith("manifest.toml") for problem in found(forger))


def test_a_word_with_the_hash_of_another_key_is_found(forger: Forger) -> None:
    def change_hash(parts: TableParts) -> None:
        parts.words[parts.order[3]] ^= 1 << 50

    forger.change_table(change_hash)
    assert any(problem.path.endswith("tables/00000001.sst") for problem in found(forger))
