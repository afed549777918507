"""What an audit names: the place of each kind of damage, what was expected and found, and the last good block."""

import json
from array import array
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from xxhash import xxh3_64_intdigest

import blockdb
from blockdb.audit import collection, cuts
from blockdb.audit.auditor import audit
from blockdb.audit.bulk import BulkAudit
from blockdb.audit.chain import ChainAudit
from blockdb.audit.collection import Options
from blockdb.audit.doubt import Doubt
from blockdb.format import nodes, record
from blockdb.format.block import Seal
from blockdb.format.frame import with_check
from blockdb.format.record import RecordFrame
from blockdb.format.table import word
from blockdb.layout import DatabaseFiles
from blockdb.ledger.chain import signed
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import Frontier, root_of
from blockdb.ledger.note import NoteSigner, VerifierKey
from blockdb.ledger.signature import Signer
from blockdb.ledger.state import CollectionState, encode_state
from blockdb.lsm.bloom import filter_of, save
from tests.audit.forgery import Forger, TableParts
from tests.commands.conftest import Run, here, run
from tests.fault.support import copy_of
from tests.storage.doors import change_mark, pairs

__all__ = ["here", "run"]

BLOCK = 4
RECORDS = 42
STRANGER = Signer(bytes(32))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten blocks of four records and two more records; the first thirty are in a table. Closed."""
    with blockdb.open(tmp_path_factory.mktemp("audit") / "db", blockchain_batch_size=BLOCK) as db:
        db.put_many(pairs(range(9)))
        for key, value in pairs(range(9, 30)):
            db.put(key, value)
        db.flush()
        for key, value in pairs(range(30, RECORDS)):
            db.put(key, value)
    return db.path


@pytest.fixture
def forger(whole: Path, tmp_path: Path) -> Forger:
    return Forger(copy_of(whole, tmp_path / "db"))


@pytest.fixture(autouse=True)
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 100)


def seals_of(forger: Forger) -> list[Seal]:
    return [frame for _, _, frame in forger.frames() if isinstance(frame, Seal)]


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def good(report: blockdb.Report) -> tuple[int, int, bytes, bytes]:
    [found] = report.last_good
    return found.number, found.size, found.root, found.hash


def assert_good(report: blockdb.Report, forger: Forger, whole: Path, number: int) -> None:
    """It is the block of this number as it was before the damage."""
    header = seals_of(Forger(whole))[number].header
    assert good(report) == (number, (number + 1) * BLOCK, header.root, header.hash())


# ── what is named ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [0, 5, 8, 17, 33, 41])
def test_a_flipped_byte_is_named_with_its_record(forger: Forger, whole: Path, number: int) -> None:
    """In a batch too, which is one commit; and the key, where a table bears it out."""
    at, end, frame = [step for step in forger.frames() if isinstance(step[2], RecordFrame)][number]
    assert isinstance(frame, RecordFrame)
    flip(forger.chain, end - 1)
    report = blockdb.verify(forger.path)
    [problem] = report.problems
    assert (problem.offset, problem.block, problem.sequence) == (at, number // BLOCK, number)
    assert problem.path == forger.chain.relative_to(forger.path).as_posix()
    assert problem.key == (frame.key if number < 30 else None)
    assert problem.expected == f"check {forger.chain.read_bytes()[at : at + 4].hex()}"
    assert problem.found == f"check {with_check(frame.body[:-1] + bytes([frame.body[-1] ^ 1]))[:4].hex()}"
    if number >= BLOCK:
        assert_good(report, forger, whole, number // BLOCK - 1)
    else:
        assert report.last_good == ()


def test_a_key_that_was_damaged_is_not_named(forger: Forger) -> None:
    at, _, _ = forger.frames()[20]
    flip(forger.chain, at + record.HEADER_BYTES)
    [problem] = blockdb.verify(forger.path).problems
    assert (problem.offset, problem.key) == (at, None)


@pytest.mark.parametrize("number", [0, 17, 39])
def test_another_value_is_named_with_both_roots(forger: Forger, whole: Path, number: int) -> None:
    forger.change_record(number, lambda frame: record.encode(frame.time_ms, frame.key, b"V" + frame.value[1:]))
    report = blockdb.verify(forger.path)
    [problem] = report.problems
    block = number // BLOCK
    assert problem.block == block
    assert problem.expected == seals_of(forger)[block].header.root.hex()
    assert problem.found not in (None, problem.expected)
    assert report.records == RECORDS, "all that follows was audited"
    if block:
        assert_good(report, forger, whole, block - 1)


def rewritten(forger: Forger, change: Callable[[list[bytes]], None]) -> None:
    """Change the frames of the chain file, each of them whole."""
    data = forger.chain.read_bytes()
    steps = forger.frames()
    frames = [data[at:end] for at, end, _ in steps]
    change(frames)
    content = data[: steps[0][0]] + b"".join(frames)
    forger.chain.write_bytes(content)
    change_mark(forger.path, written=len(content), forced=len(content))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frames: frames.insert(30, frames.pop(31)), "swapped"),
        (lambda frames: frames.pop(31), "deleted"),
        (lambda frames: frames.insert(31, with_check(record.encode(1, b"new", b"record"))), "inserted"),
        (lambda frames: frames.insert(31, frames[30]), "twice"),
    ],
    ids=["swapped", "deleted", "inserted", "twice"],
)
@pytest.mark.parametrize("first", [False, True])
def test_whole_frames_in_another_order_are_found_in_their_block(
    forger: Forger, whole: Path, change: Callable[[list[bytes]], None], named: str, first: bool
) -> None:
    frames = forger.frames()
    block = sum(isinstance(frame, Seal) for _, _, frame in frames[:31])
    assert isinstance(frames[30][2], RecordFrame)
    assert isinstance(frames[31][2], RecordFrame)
    rewritten(forger, change)
    report = blockdb.verify(forger.path, first=first)
    assert not report.valid
    in_blocks = [problem.block for problem in report.problems if problem.block is not None]
    assert in_blocks[0] == block
    assert_good(report, forger, whole, block - 1)
    if first:
        assert set(in_blocks) == {block}


def rechained(forger: Forger, block: int, signer: Signer) -> None:
    """Change a value and make all seals from there on fit again."""
    forger.change_record(block * BLOCK, lambda frame: record.encode(frame.time_ms, frame.key, b"V" + frame.value[1:]))
    resealed(forger, block, signer)


def resealed(forger: Forger, block: int, signer: Signer) -> None:
    """Make all seals from a block on fit the records."""
    leaves = [frame for _, _, frame in forger.frames() if isinstance(frame, RecordFrame)]
    seals = seals_of(forger)
    frontier = Frontier(seals[block].header.first_sequence, seals[block].frontier)
    previous = seals[block].header.previous_hash
    for number in range(block, len(seals)):
        before = frontier.hashes
        first, count = seals[number].header.first_sequence, seals[number].header.records
        frontier.extend([sha256(frame.leaf).digest() for frame in leaves[first : first + count]])
        header = seals[number].header._replace(root=frontier.root(), previous_hash=previous)
        seal = signed(seals[number]._replace(header=header, frontier=before), signer)
        forger.change_seal(number, lambda _, seal=seal: seal)  # type: ignore[misc]
        previous = header.hash()


def signer_of(forger: Forger) -> Signer:
    seeds: list[str] = []
    forger.change_toml(DatabaseFiles(forger.path).signing_key, lambda values: seeds.append(values["seed"]))
    return Signer(bytes.fromhex(seeds[0]))


def test_a_chain_made_anew_without_the_key_is_found_by_its_first_seal(forger: Forger, whole: Path) -> None:
    rechained(forger, 6, STRANGER)
    report = blockdb.verify(forger.path, first=True)
    [problem] = report.problems
    assert (problem.block, problem.found) == (6, STRANGER.key_id.hex())
    assert "unknown key" in problem.what
    assert_good(report, forger, whole, 5)
    assert not report.last_good[0].recomputed
    assert report.records == 0
    assert [problem.block for problem in blockdb.verify(forger.path).problems] == [6, 7, 8, 9]


def test_a_chain_and_its_public_keys_made_anew_are_found_by_a_key_from_outside(forger: Forger) -> None:
    true_key = str(VerifierKey("db", signer_of(forger).public_key))
    rechained(forger, 6, STRANGER)
    keys = DatabaseFiles(forger.path).public_keys
    forger.change_toml(keys, lambda values: values["keys"].append(STRANGER.public_key.hex()))
    assert blockdb.verify(forger.path).valid, "whoever believes the directory believes its keys"
    report = blockdb.verify(forger.path, keys=[true_key])
    assert [problem.block for problem in report.problems] == [6, 7, 8, 9]


# ── first ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fill(db: blockdb.Database, first: int, stop: int, value: bytes = bytes(100)) -> None:
    for number in range(first, stop, 20):
        db.put_many([(b"key%07d" % n, value) for n in range(number, min(number + 20, stop))])


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three thousand records in thirty blocks, all in tables but the last hundred; closed."""
    with blockdb.open(tmp_path_factory.mktemp("larger") / "db", blockchain_batch_size=100) as db:
        fill(db, 0, 1400)
        db.flush()
        fill(db, 1400, 2900)
        db.flush()
        fill(db, 2900, 3000)
    return db.path


@pytest.fixture
def forged(larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forger:
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 10_000)
    monkeypatch.setattr(collection, "WORTHWHILE_BYTES", 1 << 60)
    return Forger(copy_of(larger, tmp_path / "db"))


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each run of the exact audit went through."""
    runs: list[int] = []
    run = ChainAudit.run

    def counted(self: ChainAudit, *arguments: object, **others: object) -> int | None:
        before = self.records
        try:
            return run(self, *arguments, **others)  # type: ignore[arg-type]
        finally:
            runs.append(self.records - before)

    monkeypatch.setattr(ChainAudit, "run", counted)
    return runs


CHAIN_BYTES = 3000 * (18 + 10 + 100)


@pytest.mark.parametrize("change", [{"data_bytes": 1}, {"root": bytes(32)}, {"previous_hash": bytes(32)}])
def test_a_broken_header_is_found_without_reading_records(forged: Forger, change: dict[str, object]) -> None:
    forged.change_seal(15, lambda seal: seal._replace(header=seal.header._replace(**change)))
    report = blockdb.verify(forged.path, first=True)
    [problem] = report.problems
    assert problem.block == 15
    assert report.last_good[0].number == 14
    assert report.read_bytes < CHAIN_BYTES / 8
    assert report.records == 0


def test_a_frontier_that_is_not_that_of_the_block_before_is_found_by_seals_alone(forged: Forger) -> None:
    forged.change_seal(15, lambda seal: seal._replace(frontier=(bytes(32), *seal.frontier[1:])))
    report = blockdb.verify(forged.path, first=True)
    [problem] = report.problems
    assert (problem.block, report.last_good[0].number, report.records) == (15, 14, 0)
    assert problem.expected == seals_of(forged)[14].header.root.hex()


def test_a_seal_that_is_damaged_is_found_without_reading_other_records_than_its_own(forged: Forger) -> None:
    at, end, _ = [step for step in forged.frames() if isinstance(step[2], Seal)][20]
    flip(forged.chain, end - 1)
    [exact] = blockdb.verify(forged.path).problems
    assert exact.sequence is None
    report = blockdb.verify(forged.path, first=True)
    assert report.problems == (exact,)
    assert (exact.offset, exact.block) == (at, 20)
    assert report.read_bytes < CHAIN_BYTES / 4


@pytest.mark.parametrize("first", [False, True])
def test_a_flipped_byte_sends_the_exact_audit_into_one_stretch(forged: Forger, exact: list[int], first: bool) -> None:
    at, _, frame = [step for step in forged.frames() if isinstance(step[2], RecordFrame)][1500]
    assert isinstance(frame, RecordFrame)
    flip(forged.chain, at + 60)
    report = blockdb.verify(forged.path, first=first)
    [problem] = report.problems
    assert (problem.offset, problem.block, problem.sequence, problem.key) == (at, 15, 1500, frame.key)
    assert (report.records, report.blocks, report.last_good[0].number) == (1500, 15, 14)
    assert sum(exact) < 200
    assert report.read_bytes < CHAIN_BYTES * 0.8


def test_records_changed_here_and_there_send_it_into_their_stretches(forged: Forger, exact: list[int]) -> None:
    for number in (150, 1550, 2950):
        forged.change_record(number, lambda frame: frame.body[:-1] + b"\1")
    report = blockdb.verify(forged.path)
    assert [problem.block for problem in report.problems] == [1, 15, 29]
    assert (report.records, report.blocks, report.last_good[0].number) == (3000, 30, 0)
    assert len(exact) == 3
    assert sum(exact) < 1000
    first = blockdb.verify(forged.path, first=True)
    assert first.problems == report.problems[:1]
    assert first.read_bytes < report.read_bytes / 2


def test_a_table_that_is_damaged_sends_it_nowhere(forged: Forger, exact: list[int]) -> None:
    """Its records are audited in bulk, as those are that are in no table yet."""
    table = min(forged.files.tables.iterdir())
    flip(table, table.stat().st_size // 2)
    problems = blockdb.verify(forged.path).problems
    assert {problem.path for problem in problems} == {table.relative_to(forged.path).as_posix()} | {
        problem.path for problem in problems if problem.path.endswith((".sst", "manifest.toml"))
    }
    assert exact == []


def test_a_key_in_two_tables_is_told_although_the_chain_ends_in_damage(forged: Forger) -> None:
    """What stands before the damage is told in full, as the audit record by record tells it."""
    forged.change_record(1450, lambda frame: record.encode(frame.time_ms, b"key0000003", frame.value))
    resealed(forged, 14, signer_of(forged))
    found = [(at, frame.key) for at, _, frame in forged.frames() if isinstance(frame, RecordFrame)]
    hashed = [(at, key, xxh3_64_intdigest(key)) for at, key in found[1400:2900]]

    def lead_there(parts: TableParts) -> None:
        parts.header = parts.header._replace(home_slots=1)
        parts.words = array("Q", [*(word(number, at) for at, _, number in hashed), 0])
        parts.order = array("I", sorted(range(len(hashed)), key=lambda slot: hashed[slot][1]))
        parts.filter = save(filter_of([number for _, _, number in hashed], len(hashed)))

    forged.change_table(lead_there, number=1)
    forged.files.nodes.unlink(missing_ok=True)
    assert [problem.what for problem in blockdb.verify(forged.path).problems] == ["the key is stored twice"]
    flip(forged.chain, found[2500][0] + 60)
    problems = blockdb.verify(forged.path).problems
    assert [problem.sequence for problem in problems] == [1450, 2500]

    def doubt(self: BulkAudit, cuts: object) -> None:
        raise Doubt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BulkAudit, "advance", doubt)
        assert blockdb.verify(forged.path).problems == problems


def test_what_looks_like_a_seal_in_a_value_misleads_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 200)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK) as db:
        db.put_many(pairs(range(20)))
        chain = Forger(db.path).chain
        for number in range(6):
            db.put(b"copy %d" % number, chain.read_bytes()[100:3000])
        db.put_many(pairs(range(20, 40)))
        db.flush()
        db.put(b"copy 9", chain.read_bytes()[100:3000])
        db.put_many(pairs(range(40, 60)))
    for first in (False, True):
        report = blockdb.verify(db.path, first=first)
        assert (report.valid, report.records) == (True, 67)


# ── checkpoints that were kept outside ───────────────────────────────────────────────────────────────────────────

ORIGIN = "example.org/db"


def checkpoint_of(path: Path, size: int) -> str:
    """What somebody was given when the collection had so many records."""
    forger = Forger(path)
    frames = [frame for _, _, frame in forger.frames() if isinstance(frame, RecordFrame)]
    root = root_of([sha256(frame.leaf).digest() for frame in frames[:size]])
    seeds: list[str] = []
    forger.change_toml(DatabaseFiles(path).signing_key, lambda values: seeds.append(values["seed"]))
    origin = f"{ORIGIN}/{forger.files.root.name.removeprefix('col_')}"
    return NoteSigner(origin, bytes.fromhex(seeds[0])).sign(Checkpoint(origin, size, root).text)


@pytest.fixture
def histories(larger: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two continuations of the same thousand and a half records, both signed by the same key."""
    with blockdb.open(tmp_path / "one", blockchain_batch_size=50) as db:
        fill(db, 0, 1543)
        db.flush()
    copy_of(db.path, tmp_path / "other")
    for name, value in (("one", b"one"), ("other", b"other")):
        with blockdb.open(tmp_path / name) as db:
            fill(db, 1543, 2500, value)
            db.flush()
    return tmp_path / "one", tmp_path / "other"


def kept(tmp_path: Path, path: Path, sizes: list[int]) -> Path:
    file = tmp_path / "kept"
    file.write_text("\n".join(checkpoint_of(path, size) for size in sizes))
    return file


def test_checkpoints_tell_between_which_of_them_the_history_was_rewritten(
    histories: tuple[Path, Path], tmp_path: Path
) -> None:
    one, other = histories
    file = kept(tmp_path, one, [0, 500, 905, 1000, 1540, 1541, 1600, 2000, 2400])
    key = str(VerifierKey(ORIGIN, signer_of(Forger(one)).public_key))
    assert blockdb.verify(one, checkpoints=[file], keys=[key]).valid
    assert blockdb.verify(other).valid, "nothing within the directory tells"
    report = blockdb.verify(other, checkpoints=[file], keys=[key], first=True)
    [problem] = report.problems
    assert "after that of 1541 records, which fits, the checkpoint of 1600 records" in problem.what
    assert (problem.sequence, problem.block, good(report)[:2]) == (1541, 30, (29, 1500))
    assert problem.expected != problem.found
    assert good(blockdb.verify(other, checkpoints=[file]))[0] == 29, "and not the last block of the other history"
    assert report.records == 0
    assert report.read_bytes < 2500 * 128 / 4, "the seals alone, and the records of a few blocks"


def test_a_history_that_was_cut_does_not_have_what_was_promised(
    histories: tuple[Path, Path], tmp_path: Path, larger: Path
) -> None:
    one, _ = histories
    file = kept(tmp_path, one, [100, 2400])
    with blockdb.open(tmp_path / "short") as db:
        fill(db, 0, 200)
    problems = blockdb.verify(db.path, checkpoints=[file]).problems
    assert all("there is no collection" in problem.what for problem in problems), "it is another database's"
    assert len(problems) == 2
    copy_of(one, tmp_path / "cut")
    forger = Forger(tmp_path / "cut")
    blockdb.repair(forger.path)
    content = forger.chain.read_bytes()
    ends = [end for _, end, frame in forger.frames() if isinstance(frame, Seal)]
    forger.chain.write_bytes(content[: ends[24]])
    blockdb.repair(forger.path)
    assert blockdb.verify(forger.path).valid
    report = blockdb.verify(forger.path, checkpoints=[file], first=True)
    [problem] = report.problems
    assert "the checkpoint of 2400 records" in problem.what
    assert problem.found is not None
    assert problem.found.startswith("only ")


@pytest.mark.parametrize(
    ("text", "named"),
    [("", "no checkpoint"), ("hello\n", "signed note"), ("a\n2\nAAAA\n\n— a AAAAAAAA\n", "SHA-256")],
)
def test_what_is_no_checkpoint_is_refused(whole: Path, tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "kept").write_text(text)
    with pytest.raises(blockdb.InvalidData, match=named):
        blockdb.verify(whole, checkpoints=[tmp_path / "kept"])


def test_a_checkpoint_that_somebody_else_signed_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(checkpoint_of(whole, 8))
    with pytest.raises(blockdb.InvalidData, match="none of the keys"):
        blockdb.verify(whole, checkpoints=[tmp_path / "kept"], keys=[str(VerifierKey(ORIGIN, STRANGER.public_key))])
    with pytest.raises(blockdb.InvalidData, match="no verifier key"):
        blockdb.verify(whole, keys=["me"])
    with pytest.raises(blockdb.StorageError, match="nothing-there"):
        blockdb.verify(whole, checkpoints=["nothing-there"])


# ── what follows from the chain and is kept beside it ────────────────────────────────────────────────────────────


@pytest.fixture
def proven(tmp_path: Path) -> tuple[Forger, str]:
    """A database with a node file, checkpoints and a journal; and the checkpoint of the whole database."""
    with blockdb.open(tmp_path / "proven", blockchain_batch_size=100) as db:
        fill(db, 0, 2000)
        db.flush()
        fill(db, 2000, 2050)
        db.checkpoint("default")
        note = db.checkpoint()
        fill(db, 2050, 2100)
        db.checkpoint()
    return Forger(db.path), note


def test_a_node_that_is_not_that_of_the_records_is_named(proven: tuple[Forger, str]) -> None:
    forger, _ = proven
    assert blockdb.verify(forger.path).valid
    path = forger.files.nodes
    data = path.read_bytes()
    for level, number, first in ((0, 5, 1280), (1, 2, 1024), (2, 0, 0)):
        flip(path, nodes.offset_of(level, number) + 3)
        [problem] = blockdb.verify(forger.path).problems
        assert problem.path == path.relative_to(forger.path).as_posix()
        assert (problem.offset, problem.sequence) == (nodes.offset_of(level, number), first)
        assert problem.expected == f"node {nodes.node(data, level, number).hex()}"
        path.write_bytes(data)
    flip(path, 0)
    [problem] = blockdb.verify(forger.path).problems
    assert problem.offset == 0


def test_a_checkpoint_that_the_records_do_not_have_is_named(proven: tuple[Forger, str]) -> None:
    forger, _ = proven
    path = forger.files.checkpoint
    text = path.read_text()
    [origin, size, *_] = text.splitlines()
    assert size == "2050"
    other = NoteSigner(origin, signer_of(forger).seed).sign(Checkpoint(origin, 2050, bytes(32)).text)
    for changed, named in ((other, "does not fit"), (text.replace(size, "2049"), "signature"), ("hello", "note")):
        path.write_text(changed)
        [problem] = blockdb.verify(forger.path).problems
        assert problem.path == path.relative_to(forger.path).as_posix()
        assert named in problem.what


def test_the_checkpoint_of_the_whole_database_is_one_of_its_journal(proven: tuple[Forger, str], tmp_path: Path) -> None:
    forger, note = proven
    (tmp_path / "kept").write_text(note)
    assert "/journal" in note
    assert blockdb.verify(forger.path, checkpoints=[tmp_path / "kept"]).valid
    with blockdb.open(tmp_path / "other") as db:
        db.put(b"key", b"value")
        db.checkpoint()
    [problem] = blockdb.verify(tmp_path / "other", checkpoints=[tmp_path / "kept"]).problems
    assert "does not fit" in problem.what


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (CollectionState("default", 30, bytes(32)), "event 0 of the journal"),
        (CollectionState("default", 43, bytes(32)), "event 0 of the journal"),
        (CollectionState("default", 42, bytes(32), bytes(32)), "event 0 of the journal"),
    ],
)
def test_a_state_in_the_journal_that_the_records_do_not_have_is_named(
    forger: Forger, state: CollectionState, named: str
) -> None:
    """Though whoever wrote it had the key."""
    with blockdb.open(forger.path) as db:
        journal = db._core.notary.journal()
        assert journal is not None
        journal.append(encode_state({forger.files.root.name.removeprefix("col_"): state}))
    [problem] = blockdb.verify(forger.path).problems
    assert named in problem.what
    assert (problem.sequence, problem.key) == (0, b"%020d" % 0)


def test_a_root_over_the_keys_that_they_do_not_have_is_named(forger: Forger) -> None:
    with blockdb.open(forger.path) as db:
        db.prove_range(start=b"a", end=b"b")
    assert blockdb.verify(forger.path).valid
    with blockdb.open(forger.path) as db:
        state = CollectionState("default", RECORDS, db.root_at(RECORDS, "default"), bytes(32))
        journal = db._core.notary.journal()
        assert journal is not None
        journal.append(encode_state({forger.files.root.name.removeprefix("col_"): state}))
    [problem] = blockdb.verify(forger.path).problems
    assert "the keys of the first 42 records of default do not have the root it says" in problem.what
    assert (problem.sequence, problem.found) == (1, bytes(32).hex())


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_tells_all_of_it(run: Run, forger: Forger) -> None:
    ran = run("audit", str(forger.path))
    assert (ran.code, ran.err) == (0, "")
    assert "✓ Everything is as it was written\n10 blocks and 42 records recomputed" in ran.text
    flip(forger.chain, forger.frames()[20][1] - 1)
    ran = run("audit", str(forger.path))
    assert ran.code == 1
    assert "✗ 1 problem found" in ran.text
    assert "Last good block: 3, up to 16 records, of " in ran.text
    [line] = ran.err.splitlines()
    assert line.startswith("Error: Corruption: collections/")
    assert "expected check" in line
    ran = run("audit", str(forger.path), "--first", "--format", "json")
    told = json.loads(ran.out)
    assert (ran.code, told["valid"], told["last_good"][0]["number"]) == (1, False, 3)
    assert set(told["problems"][0]) == {
        "path",
        "offset",
        "block",
        "sequence",
        "key",
        "what",
        "expected",
        "found",
    }


def test_it_works_where_the_database_cannot_be_opened_and_beside_a_writer(run: Run, forger: Forger) -> None:
    with blockdb.open(forger.path) as db:
        db.put(b"one", b"more")
        ran = run("--data-dir", str(forger.path), "audit", "--format", "json")
        assert (ran.code, json.loads(ran.out)["records"]) == (0, RECORDS + 1)
    forger.files.metadata.unlink()
    assert run("get", "key00001", "--data-dir", str(forger.path)).code != 0
    assert run("audit", str(forger.path)).code == 1


def test_what_is_no_database_is_told(run: Run, tmp_path: Path) -> None:
    ran = run("audit", str(tmp_path / "nothing"))
    assert (ran.code, ran.text) == (3, f"Auditing {tmp_path / 'nothing'}...\n")
    assert "is no database" in ran.err


def test_an_audit_by_one_process_finds_the_same(forger: Forger) -> None:
    flip(forger.chain, forger.frames()[20][1] - 1)
    alone = audit(forger.path, options=Options(processes=1))
    assert alone.problems == blockdb.verify(forger.path).problems
