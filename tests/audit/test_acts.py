"""An audit of the audit log: whatever is changed, cut, moved, removed or put back is found, and its place is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.format import audit_log as audit_format
from blockdb.format import mark as mark_format
from blockdb.format.audit_log import FileHeader, start_of, walk
from blockdb.layout import AuditLogFiles, DatabaseFiles
from blockdb.ledger.signature import Signer
from blockdb.masterkey import MasterKeySource, Secret
from blockdb.storage import audit_log
from blockdb.types import Act
from tests.storage.doors import copy_of
from tests.tiers import tiers

SMALL_FILE = 700


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "FILE_BYTES", SMALL_FILE)
    monkeypatch.setattr(MasterKeySource, "key", lambda _: Secret(bytes(32), "the test"))


def act(number: int) -> Act:
    return Act(number, "ann", "", "127.0.0.1", "http", "put", "users", b"key%d" % number, 5, 1, "ok", "")


def fill(path: Path, count: int, **settings: Any) -> None:
    with blockdb.open(path, **settings) as db:
        for number in range(count):
            db.audit_log().append(act(number))


def audit_files(path: Path) -> AuditLogFiles:
    return DatabaseFiles(path).audit_log


def problems(path: Path) -> list[tuple[str, int | None]]:
    return [(problem.path, problem.offset) for problem in blockdb.verify(path).problems]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three files that was closed, and what a killed server left, whose last entries nobody had signed."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch, blockdb.open(root / "live") as db:
        patch.setattr(audit_log, "FILE_BYTES", SMALL_FILE)
        for number in range(15):
            db.audit_log().append(act(number))
        db.audit_log().sign()
        for number in range(15, 20):
            db.audit_log().append(act(number))
        copy_of(root / "live", root / "killed")
    assert len(list((root / "live" / "audit").glob("*.acts"))) == 3
    return root


@pytest.fixture
def closed(made: Path, tmp_path: Path) -> Path:
    """The one that was closed."""
    return copy_of(made / "live", tmp_path / "closed")


@pytest.fixture
def killed(made: Path, tmp_path: Path) -> Path:
    """The one whose server was killed."""
    return copy_of(made / "killed", tmp_path / "killed")


def test_an_intact_log_is_no_problem_and_is_no_part_of_the_records(closed: Path, killed: Path) -> None:
    report = blockdb.verify(closed)
    assert (report.valid, report.notes) == (True, ())
    report = blockdb.verify(killed)
    assert (report.valid, report.notes) == (True, ("The last 5 of the audit log's 20 entries are not signed yet.",))
    with blockdb.open(closed) as db:
        db.audit_log().append(act(20))
        assert db.verify().valid


def test_an_encrypted_log_is_audited_and_says_nothing_to_others(tmp_path: Path) -> None:
    path = tmp_path / "db"
    fill(path, 20, encryption_enabled=True)
    stored = b"".join(file.read_bytes() for file in (path / "audit").iterdir())
    assert b"ann" not in stored
    assert b"key1" not in stored
    assert blockdb.verify(path).valid
    file = audit_files(path).file(1)
    data = file.read_bytes()
    for at in range(0, len(data), 97):
        file.write_bytes(changed(data, at))
        assert {name for name, _ in problems(path)} == {"audit/00000001.acts"}, at
        with pytest.raises(blockdb.Corruption, match=r"00000001\.acts"), blockdb.open(path, read_only=True) as db:
            list(db.acts())


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :]


@pytest.mark.parametrize("step", tiers([211], [1]))
@pytest.mark.parametrize("how", ["closed", "killed"])
def test_every_changed_byte_is_found_and_named(how: str, step: int, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(how)
    for file in sorted((path / "audit").iterdir()):
        data, name = file.read_bytes(), f"audit/{file.name}"
        for at in range(0, len(data), step):
            file.write_bytes(changed(data, at))
            found = problems(path)
            assert name in {each for each, _ in found}, f"byte {at} of {name}: {found}"
            if name.endswith(".acts"):
                [(_, offset)] = found
                assert offset is not None
                assert offset <= at
        file.write_bytes(data)


def whole_entries(file: Path) -> list[int]:
    data = file.read_bytes()
    header = audit_format.decode_header(data)
    return [audit_format.HEADER_BYTES, *(place.offset for _, place in walk(data, start_of(header)))]


@pytest.mark.torture
def test_a_log_that_was_cut_is_found_wherever(closed: Path, killed: Path) -> None:
    for path in (closed, killed):
        newest = max((path / "audit").glob("*.acts"))
        data = newest.read_bytes()
        for size in (len(data) - 1, *whole_entries(newest)[:-1], 9):
            newest.write_bytes(data[:size])
            assert [name for name, _ in problems(path)] == [f"audit/{newest.name}"], size


def test_who_cuts_the_mark_as_well_is_found_by_the_head(closed: Path) -> None:
    files = audit_files(closed)
    for number in (2, 1):
        files.file(number).unlink()
        set_mark(closed)
        assert problems(closed) == [("audit", None)], "the head and the journal know of more"
    newest = files.file(0)
    for end in whole_entries(newest)[-2::-1]:
        newest.write_bytes(newest.read_bytes()[:end])
        set_mark(closed)
        assert problems(closed) == [("audit", None)]


def set_mark(path: Path) -> None:
    """Make the mark fit the files, as who may write the directory can."""
    files = audit_files(path)
    number = len(list(files.root.glob("*.acts"))) - 1
    end = (number << 32) + files.file(number).stat().st_size
    mark = mark_format.decode(files.mark.read_bytes())._replace(written=end, forced=end)
    files.mark.write_bytes(mark_format.encode(mark))


def rewrite(path: Path, change: Callable[[list[Act]], list[Act]]) -> None:
    """Write the whole log anew, all hashes right, in one file: what somebody can do who has no key."""
    files = audit_files(path)
    with blockdb.open(path, read_only=True) as db:
        entries = change(list(db.acts()))
    database = audit_format.decode_header(files.file(0).read_bytes()).database
    data, hash_ = audit_format.encode_header(FileHeader(database, 0, 0, audit_format.FIRST)), audit_format.FIRST
    for number, entry in enumerate(entries):
        frame, hash_ = audit_format.encode(entry._replace(sequence=number), hash_)
        data += frame
    for file in files.root.glob("*.acts"):
        file.unlink()
    files.file(0).write_bytes(data)
    set_mark(path)


def test_a_log_that_was_forged_throughout_is_found_by_head_and_journal(closed: Path, tmp_path: Path) -> None:
    rewrites: dict[str, Callable[[list[Act]], list[Act]]] = {
        "changed": lambda acts: [each._replace(principal="bob") if each.sequence == 7 else each for each in acts],
        "left out": lambda acts: acts[:7] + acts[8:] + acts[:1],
        "moved": lambda acts: acts[1:2] + acts[:1] + acts[2:],
    }
    for name, change in rewrites.items():
        path = copy_of(closed, tmp_path / name)
        rewrite(path, change)
        report = blockdb.verify(path)
        assert {problem.path for problem in report.problems} == {"audit/00000000.acts"}, name
        assert [problem.what.partition(":")[0] for problem in report.problems] == [
            "an entry up to here was changed"
        ] * 2
        with blockdb.open(path) as db, pytest.raises(blockdb.Corruption, match="has others than the 20 entries"):
            db.audit_log()
    path = copy_of(closed, tmp_path / "added")
    rewrite(path, lambda acts: [*acts, acts[0]])
    assert problems(path) == [("audit/head", None)], "it was closed, and has an entry that was not signed"


def test_a_log_that_is_put_back_as_a_whole_is_found_by_the_journal(closed: Path, tmp_path: Path) -> None:
    older = shutil.copytree(closed / "audit", tmp_path / "older")
    with blockdb.open(closed) as db:
        db.audit_log().append(act(20))
    shutil.rmtree(closed / "audit")
    assert problems(closed) == [("audit", None)]
    shutil.copytree(older, closed / "audit")
    report = blockdb.verify(closed)
    assert [problem.path for problem in report.problems] == ["audit"]
    assert "says that there were 21" in report.problems[0].what
    with blockdb.open(closed) as db, pytest.raises(blockdb.Corruption, match="does not have the 21 entries"):
        db.audit_log()


def test_a_head_that_somebody_else_signed_is_found(closed: Path) -> None:
    head = audit_files(closed).head
    note = head.read_text()
    text = note.partition("\n\n")[0] + "\n"
    origin = text.partition("\n")[0]
    forger = Signer(b"f" * 32)
    for forged in (
        forger.notes(origin).sign(text),
        forger.notes(origin.replace("blockdb/", "blockdb/0")).sign(text.replace("blockdb/", "blockdb/0")),
        note.replace("\n20\n", "\n19\n"),
        "no note",
        "",
    ):
        head.write_text(forged)
        assert problems(closed) == [("audit/head", None)]
    head.unlink()
    assert problems(closed) == [("audit/head", None)]
    with blockdb.open(closed) as db, pytest.raises(blockdb.Corruption, match="head"):
        db.audit_log()


def test_files_that_are_gone_or_exchanged_are_named(closed: Path) -> None:
    files = audit_files(closed)
    contents = {number: files.file(number).read_bytes() for number in range(3)}
    for gone in range(3):
        files.file(gone).unlink()
        assert problems(closed)[0][0] in (f"audit/0000000{gone}.acts", "audit/00000001.acts")
        files.file(gone).write_bytes(contents[gone])
    files.file(0).write_bytes(contents[1])
    files.file(1).write_bytes(contents[0])
    assert problems(closed) == [("audit/00000000.acts", 0)]
    files.file(0).write_bytes(contents[0])
    files.file(1).write_bytes(contents[1])
    files.mark.unlink()
    assert problems(closed) == [("audit/acts.mark", None)]


def test_another_database_s_log_is_not_this_one_s(closed: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other", 20)
    shutil.rmtree(closed / "audit")
    shutil.copytree(tmp_path / "other" / "audit", closed / "audit")
    assert problems(closed)
    with blockdb.open(closed) as db, pytest.raises(blockdb.Corruption):
        db.audit_log()


@pytest.mark.torture
def test_a_log_stays_good_when_keys_change(closed: Path) -> None:
    with blockdb.open(closed) as db:
        db.rotate_key()
        db.audit_log().append(act(20))
    assert blockdb.verify(closed).valid
    with blockdb.open(closed) as db:
        db.audit_log().append(act(21))
        assert [each.sequence for each in db.acts(after=19)] == [20, 21]
    assert blockdb.verify(closed).valid


# ── repair ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gone", tiers(["head"], ["00000000.acts", None]))
def test_a_repair_sets_a_damaged_log_aside_and_the_journal_tells_of_it(gone: str | None, closed: Path) -> None:
    if gone is None:
        shutil.rmtree(closed / "audit")
    else:
        (closed / "audit" / gone).unlink()
    done = blockdb.repair(closed)
    assert done.after.valid, done.after.problems
    assert any("began a new one" in action for action in done.actions)
    if gone is not None:
        assert done.quarantine is not None
        assert (done.quarantine / "audit" / "00000001.acts").exists()
    for size in (1, 2):
        with blockdb.open(closed) as db:
            db.audit_log().append(act(size))
            assert db.audit_log().head.size == size
        report = blockdb.verify(closed)
        assert report.valid
        assert "begun anew" in report.notes[0]
    shutil.rmtree(closed / "audit")
    assert problems(closed) == [("audit", None)]


def test_a_repair_makes_a_damaged_mark_anew_and_keeps_the_entries(closed: Path) -> None:
    (closed / "audit" / "acts.mark").write_bytes(b"?")
    done = blockdb.repair(closed)
    assert (done.after.valid, done.after.notes) == (True, ())
    with blockdb.open(closed) as db:
        assert len(list(db.acts())) == 20
