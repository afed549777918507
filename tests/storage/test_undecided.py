"""Recovery where the chain has batches of transactions: what was decided stays, what was not is cut off, or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

import blockdb
from blockdb.errors import Corruption
from blockdb.format import batch, record
from blockdb.format.place import place_of, split_place
from blockdb.format.walk import Decided
from blockdb.storage import manifest as manifests
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata
from blockdb.storage.recovery import Recovered, recover
from tests.storage.doors import change_mark, collection_of, pairs

OTHER_BOOT = b"another boot id!"
NUMBER = 77
Encode = Callable[[int, bytes, bytes], bytes]


def redactable(time_ms: int, key: bytes, value: bytes) -> bytes:
    return record.encode_redactable(time_ms, key, value, bytes(16))


@pytest.fixture(params=[record.encode, redactable])
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two records, then what a transaction wrote, then one more record: a writer died, and nothing was forced."""
    encode: Encode = request.param
    with blockdb.open(tmp_path / "db") as db:
        db.put_many(pairs([0, 1]))
        time_ms = next(db.records()).time_ms
    file = collection_of(tmp_path / "db").segment(0)
    start = file.stat().st_size
    with file.open("ab") as chain:
        chain.write(batch.encode([encode(time_ms, *pair) for pair in pairs([2, 3])], NUMBER))
        chain.write(batch.encode([encode(time_ms, *pair) for pair in pairs([4])]))
    change_mark(tmp_path / "db", clean=False, written=place_of(0, file.stat().st_size), forced=place_of(0, start))
    return tmp_path / "db"


def recovered(path: Path, decided: Decided | None) -> Recovered:
    door, files = Door(), collection_of(path)
    metadata = load_metadata(door, files.metadata)
    chain = Chain(door, files, metadata.uuid)
    manifest = manifests.load(door, files.manifest, metadata.id)
    return recover(door, files, metadata.uuid, chain, manifest, (), decided)


def test_what_was_decided_is_there(killed: Path) -> None:
    for boot_id in (Door().boot_id(), OTHER_BOOT):
        change_mark(killed, boot_id=boot_id)
        state = recovered(killed, lambda number: number == NUMBER)
        assert state.memtable.keys() == [key for key, _ in pairs(range(5))]
        assert (state.next_sequence, state.torn_bytes) == (5, 0)


def test_after_a_power_cut_what_was_not_decided_is_cut_off_with_all_that_follows(killed: Path) -> None:
    mark = change_mark(killed, boot_id=OTHER_BOOT)
    state = recovered(killed, lambda number: False)
    assert state.memtable.keys() == [key for key, _ in pairs(range(2))]
    assert state.end == mark.forced
    assert state.torn_bytes == mark.written - mark.forced


def test_a_killed_process_loses_no_decision(killed: Path) -> None:
    with pytest.raises(Corruption, match=f"transaction {NUMBER}, which wrote the batch, was not decided"):
        recovered(killed, lambda number: False)


def test_what_was_forced_was_decided(killed: Path) -> None:
    mark = change_mark(killed, boot_id=OTHER_BOOT)
    change_mark(killed, forced=mark.written)
    with pytest.raises(Corruption, match="was not decided") as caught:
        recovered(killed, lambda number: False)
    assert caught.value.offset == split_place(mark.forced)[1]


def test_of_a_collection_that_was_closed_nobody_asks(killed: Path) -> None:
    mark = change_mark(killed, boot_id=OTHER_BOOT)
    change_mark(killed, clean=True, forced=mark.written)
    assert len(recovered(killed, lambda number: False).memtable) == 5
