"""Scans that read in bulk, with numpy: they give what scans that read one by one give, and find the same damage."""

import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb import AsOf
from blockdb.format import bulk
from blockdb.storage.door import Door
from tests.storage.doors import PATIENCE_S, collection_of, pairs
from tests.storage.test_packed import packed_files

RECORDS = 500

assert np, "as in a process that has read much"


@pytest.fixture(autouse=True, scope="module")
def in_bulk() -> Iterator[None]:
    """Two records are many, and files are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockdb.format.bulk.FEWEST", 2)
        for limit in ("SEGMENT_SOFT_BYTES", "PACKED_SEGMENT_BYTES", "SEALED_SEGMENT_BYTES"):
            patch.setattr(f"blockdb.storage.log.{limit}", 8_000)
        yield


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "redactable": {"redactable": True},
    "packed": {"compression_enabled": True},
    "encrypted": {"encryption_enabled": True, "master_key": bytes(range(32))},
}


@pytest.fixture(scope="module", params=KINDS)
def db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[blockdb.Database]:
    """Tables of two tiers, batches and single records of all sizes, several chain files, records in memory."""
    chance = random.Random(5)
    keys = [b"%0*d" % (chance.choice((6, 6, 6, 20)), key) for key in chance.sample(range(100_000), RECORDS)]
    values = [chance.randbytes(chance.choice((8, 8, 8, 0, 40, 1_500))) for _ in keys]
    items = list(zip(keys, values, strict=True))
    path = tmp_path_factory.mktemp("gathering") / "db"
    with blockdb.open(path, blockchain_batch_size=7, compaction_threshold=3, **KINDS[request.param]) as db:
        for number in range(0, 450, 10):
            db.put_many(items[number : number + 8])
            for key, value in items[number + 8 : number + 10]:
                db.put(key, value)
            if number % 100 == 90:
                db.flush()
        if request.param == "packed":
            db.compact()
        db.put_many(items[450:])
        if request.param == "redactable":
            for key in keys[::9]:
                db.redact(key, reason="asked for")
        yield db


scans = st.fixed_dictionaries(
    {},
    optional={
        "prefix": st.sampled_from((b"", b"0", b"01", b"99", b"x")),
        "start": st.sampled_from((b"0", b"0450", b"5")),
        "end": st.sampled_from((b"044", b"08", b"9")),
        "limit": st.integers(0, RECORDS),
        "offset": st.integers(0, RECORDS),
        "reverse": st.booleans(),
        "as_of": st.builds(AsOf, sequence=st.integers(0, RECORDS - 1)),
    },
)


@given(scans)
def test_a_scan_gives_what_one_by_one_gives(db: blockdb.Database, arguments: dict[str, Any]) -> None:
    found = list(db.scan(**arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockdb.format.bulk.FEWEST", RECORDS + 1)
        assert found == list(db.scan(**arguments))
    assert all(type(part) is bytes for item in found for part in item if part is not blockdb.REDACTED)


def test_nothing_of_a_chain_file_that_is_packed_while_a_scan_goes_on_is_missed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", compression_enabled=True) as db:
        db.put_many(pairs(range(600)))
        db.flush()
        for key, value in pairs(range(600, 700)):
            db.put(key, value)
        with blockdb.open(tmp_path / "db", read_only=True) as beside:
            begun = [handle.scan(reverse=reverse) for handle in (db, beside) for reverse in (False, True)]
            before = [list(islice(scan, 50)) for scan in begun]
            db.compact()
            assert packed_files(tmp_path / "db")
            for scan, some, reverse in zip(begun, before, (False, True) * 2, strict=True):
                assert some + list(scan) == sorted(pairs(range(700)), reverse=reverse)


@pytest.mark.parametrize("varied", [False, True], ids=["of one size", "of many sizes"])
def test_each_damaged_byte_of_a_record_is_found_by_a_scan(tmp_path: Path, varied: bool) -> None:
    items = [(b"key%02d" % number, b"v" * (20 + varied * number % 7)) for number in range(40)]
    with blockdb.open(tmp_path / "db") as db:
        db.put_many(items)
        db.flush()
        found = db._reader.view.find(items[17][0])
        assert found is not None
        file = collection_of(db.path).segment(0)
        whole = file.read_bytes()
        for at in range(found[0], found[0] + 18 + len(items[17][0]) + len(items[17][1])):
            Door().overwrite(file, [(at, bytes((whole[at] ^ 1,)))])
            with pytest.raises(blockdb.Corruption, match=file.name):
                list(db.scan())
            Door().overwrite(file, [(at, whole[at : at + 1])])
        assert list(db.scan()) == items


def test_short_scans_never_load_numpy_and_long_ones_do_in_the_end(tmp_path: Path) -> None:
    program = (
        "import sys, blockdb; from blockdb.format import bulk; bulk.WORTHWHILE = 3_000\n"
        f"with blockdb.open({str(tmp_path / 'db')!r}) as db:\n"
        "    items = [(b'%06d' % n, b'v%d' % n) for n in range(6_000)]; db.put_many(items); db.flush()\n"
        "    for _ in range(20): assert list(db.scan(limit=500)) == items[:500]\n"
        "    begun = db.scan(); next(begun); begun = None\n"
        "    print('numpy' in sys.modules)\n"
        "    assert list(db.scan()) == items\n"
        "    print('numpy' in sys.modules)\n"
        "    assert list(db.scan(reverse=True)) == items[::-1]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.split() == [b"False", b"True"]


def test_as_it_comes_tens_of_thousands_of_records_are_read_before_numpy_is_loaded() -> None:
    assert bulk.WORTHWHILE >= 32_768
