"""The audit of redactions: what is erased has to be told of, and is held against the chain like anything else."""

from pathlib import Path

import pytest

import blockdb
from blockdb.database import core
from blockdb.format import packed, record, segment
from blockdb.format.frame import with_check
from blockdb.storage.door import Door
from blockdb.storage.metadata import save_registry
from tests.storage.doors import StillDoor, collection_of, open_through
from tests.storage.redacting import REASON, SETTINGS, key_of, secret


@pytest.fixture(params=[pytest.param(False, marks=pytest.mark.torture), True], ids=["plain", "packed"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Records in two chain files, one of them redacted in each."""
    with open_through(StillDoor(), tmp_path / "db", **SETTINGS, compression_enabled=request.param) as db:
        for number in range(9):
            db.put(key_of(number), secret(number))
        db.compact()
        db.redact(key_of(2), reason=REASON)
        for number in range(9, 14):
            db.put(key_of(number), secret(number))
        db.redact(key_of(11), reason=REASON)
    return tmp_path / "db"


def change(path: Path, number: int, body_of: bytes | None = None) -> str:
    """Erase the value of a record by hand, or put another body in the place of its own. Gives the name of the file."""
    files = collection_of(path)
    for file in sorted(files.chain.iterdir()):
        data = file.read_bytes()
        plain = packed.unpack(data) if file.suffix == ".zst" else data
        at = plain.find(key_of(number), segment.HEADER_BYTES) - record.HEADER_BYTES
        if at > 0:
            frame = record.decode(plain, at)
            changed = with_check(record.redacted(frame.body) if body_of is None else body_of)
            plain = plain[:at] + changed + plain[at + len(changed) :]
            if file.suffix == ".zst":
                index = packed.decode(data)
                plain = packed.encode(*index.header[:2], plain, index.starts[:-1])
            file.write_bytes(plain)
            return file.name
    raise AssertionError


def redacted_in(path: Path) -> record.RecordFrame:
    """The redacted record 2."""
    file = min(collection_of(path).chain.iterdir())
    data = packed.unpack(file.read_bytes()) if file.suffix == ".zst" else file.read_bytes()
    return record.decode(data, data.index(key_of(2)) - record.HEADER_BYTES)


def test_what_was_redacted_is_in_order(path: Path) -> None:
    assert blockdb.verify(path).problems == ()


@pytest.mark.parametrize("number", [5, 12])
def test_a_value_that_somebody_erased_by_hand_is_missed(path: Path, number: int) -> None:
    """No hash tells of it, but the journal does not either."""
    name = change(path, number)
    [problem] = blockdb.verify(path).problems
    assert problem.path.endswith(name)
    assert (problem.sequence, problem.key) == (number, key_of(number))
    assert problem.what == "its value was erased, and the journal tells of no redaction"


def test_without_the_journal_nothing_was_told(path: Path) -> None:
    ours = collection_of(path).root
    [journal] = [root for root in ours.parent.iterdir() if root != ours]
    registry = path / "global_metadata" / "collections.toml"
    save_registry(Door(), registry, {"default": ours.name})
    assert [problem.sequence for problem in blockdb.verify(path).problems] == [2, 11]
    save_registry(Door(), registry, {"default": ours.name, "_journal": journal.name})
    assert blockdb.verify(path).valid


def test_a_changed_digest_of_a_redacted_record_is_found(path: Path) -> None:
    frame = redacted_in(path)
    body = bytearray(frame.body)
    body[len(frame.leaf) - 1] ^= 1
    change(path, 2, bytes(body))
    assert any("Hash mismatch" in problem.what for problem in blockdb.verify(path).problems)


def test_a_value_cannot_come_back_as_another(path: Path) -> None:
    """Whoever knows neither salt nor value cannot put any other in the place of the zeros."""
    forged = record.encode_redactable(1, key_of(2), secret(2), bytes(16))
    change(path, 2, redacted_in(path).leaf + forged[-record.SALT_BYTES - len(secret(2)) :])
    report = blockdb.verify(path)
    assert not report.valid
    assert any("does not match its digest" in problem.what for problem in report.problems)


def test_an_audit_during_a_redaction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has it before it is erased, so an audit at any moment finds nothing wrong."""
    really_record, seen = core.record_event, []

    def record_event(*arguments: object) -> None:
        seen.append(blockdb.verify(path).problems)
        really_record(*arguments)  # type: ignore[arg-type]
        seen.append(blockdb.verify(path).problems)

    monkeypatch.setattr(core, "record_event", record_event)
    with blockdb.open(path) as db:
        db.redact_many([key_of(1), key_of(10)], reason=REASON)
        seen.append(db.verify().problems)
    assert seen == [(), (), ()]
