"""Every byte of every file changed, and every file cut, extended, removed, exchanged: found, named, and never served.

What no database can find by itself: an older copy of its whole directory (or of chain, mark and manifest together)
put back. Only a checkpoint that is kept elsewhere tells. The tests put back one file at a time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

import blockdb
import blockdb.storage.log as log_module
from blockdb.database.database import Database
from blockdb.format import sealed
from blockdb.masterkey import MasterKeySource, Secret
from tests.fault.support import Truth, copy_of, files_of, open_database
from tests.storage.doors import written
from tests.tally import BYTES, FILES, tally
from tests.tiers import tiers

HARMLESS_WITHOUT = {"LOCK"}
"""Always empty, and made anew whenever it is wanted."""

ZSTD = ".zst"
"""Where no chain file is, it is missed by its own name, packed or not."""

WAYS = [*(1 << bit for bit in range(8)), 0xFF, 0x55]
"""How a byte is changed: one bit of it, all of them, every other one."""

PARTS = 5
"""So many tests, which may run beside each other, share what is done to every byte."""

FOUND_BY_OPENING = {"keys/signing.toml"}
"""Without the secret key everything can still be verified: it is missed by whoever wants to write."""


class Sample:
    """A small database with all kinds of files, how it looked earlier, and what it should say."""

    def __init__(self, root: Path, clean: bool, packed: bool = False, encrypted: bool | None = None) -> None:
        self.clean = clean
        self.packed = packed
        self.original = root / "original"
        self.older: list[Path] = []
        live = root / "live"
        settings = {"blockchain_batch_size": 4, "compaction_threshold": 2, "compression_enabled": packed}
        db = open_database(live, wal_sync_interval=1000, encryption_enabled=encrypted, **settings)
        for stage in range(5):
            db.put_many([(b"batch%d-%d" % (stage, n), b"value %d" % n) for n in range(5)])
            db.put(b"single%d" % stage, b"\0" * stage)
            self.older.append(copy_of(live, root / f"older{stage}"))
            if stage in (0, 1):
                db.flush()
            if stage == 1 or (packed and stage in (0, 2)):
                db.compact()
            if stage == 3:
                db.flush()
        self.truth = Truth(db)
        tiers = {table.tier for table in db.stats().tables}
        assert tiers == ({0, 2} if packed else {0, 1}), tiers
        if clean:
            db.close()
            self.older.append(live)
            copy_of(live, self.original)
        else:
            copy_of(live, self.original)
            if not encrypted:
                leave_out_reserve(self.original)
            db.close()
        self.names = files_of(self.original)

    def copy(self, to: Path) -> Path:
        return copy_of(self.original, to)


def leave_out_reserve(path: Path) -> None:
    """What is reserved behind the last commit is as torn writes are, which are no damage: see `test_extended`."""
    last = max(path.glob("collections/*/chain/*.chain"))
    last.write_bytes(written(path, int(last.stem)))


@pytest.fixture(scope="module", params=tiers(["closed"], ["killed", "packed", "encrypted", "encrypted, killed"]))
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with sample_of(request.param, tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def packed_sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with sample_of("packed", tmp_path_factory) as made:
        made.names = [name for name in made.names if name.endswith(".zst")]
        yield made


@pytest.fixture(scope="module")
def encrypted_sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with sample_of("encrypted, killed", tmp_path_factory) as made:
        yield made


@contextmanager
def sample_of(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A sample with several chain files, or several packed ones of several chunks."""
    with pytest.MonkeyPatch.context() as patch:
        assert log_module.SEGMENT_SOFT_BYTES
        patch.setattr(log_module, "SEGMENT_SOFT_BYTES", 1_000)
        patch.setattr("blockdb.format.packed.CHUNK_BYTES", 150)
        encrypted = kind.startswith("encrypted") or None
        if encrypted:
            patch.setattr(MasterKeySource, "key", lambda _: Secret(bytes(32), "the test"))
            patch.setattr(sealed, "PAGE_BYTES", 200)
        clean, packed = "killed" not in kind, kind not in ("closed", "killed")
        made = Sample(tmp_path_factory.mktemp("sample"), clean=clean, packed=packed, encrypted=encrypted)
        assert len([name for name in made.names if name.endswith(".zst" if made.packed else ".chain")]) > 2
        yield made


def audit(path: Path) -> tuple[bool, str]:
    """Whether the audit finds nothing, and everything that it says."""
    return _verified(lambda: blockdb.verify(path))


def _verified(verify: Callable[[], blockdb.Report]) -> tuple[bool, str]:
    try:
        report = verify()
    except blockdb.BlockDBError as error:
        return False, str(error)
    except Exception as error:
        return False, f"{error!r}, which is none of our errors"
    return report.valid, "\n".join(map(str, report.problems))


def opened(path: Path, *, read_only: bool = False) -> tuple[Database | None, str, list[str]]:
    """An open database, or what opening it says, and what is wrong with that."""
    try:
        return open_database(path, read_only=read_only), "", []
    except blockdb.BlockDBError as error:
        return None, str(error), []
    except Exception as error:
        return None, "", [f"opening raises {error!r}, which is none of our errors"]


def lies_of(path: Path, truth: Truth) -> list[str]:
    """Wrong answers of an attachment. One that does not open answers nothing."""
    db, _, faults = opened(path, read_only=True)
    if db is None:
        return faults
    with db:
        return [f"attached: {lie}" for lie in truth.lies_of(db)]


def what_opening_says(path: Path, truth: Truth) -> tuple[bool, str, list[str]]:
    """Whether a writer opens it and finds nothing wrong, what it says if not, and its wrong answers if it opens."""
    db, said, faults = opened(path)
    if db is None:
        return False, said, faults
    with db:
        lies = [f"opened: {lie}" for lie in truth.lies_of(db)]
        return *_verified(db.verify), lies


def judge(path: Path, truth: Truth, *names: str) -> list[str]:
    """What is wrong with how a directory is treated in which something happened to these files."""
    tally(FILES)
    faults = []
    valid, said = audit(path)
    if not valid and not any(name in said for name in names):
        faults.append(f"the audit does not name the file: {said!r}")
    faults += lies_of(path, truth)
    intact, opening_said, lies = what_opening_says(path, truth)
    faults += lies
    if valid and intact:
        faults.append("nothing was found")
    elif valid and not all(name in FOUND_BY_OPENING for name in names):
        faults.append(f"the audit found nothing; opening says {opening_said!r}")
    return faults


def report(faults: list[str]) -> None:
    assert not faults, f"{len(faults)} in all, as:\n" + "\n".join(faults[:: len(faults) // 20 + 1])


# ── every byte ───────────────────────────────────────────────────────────────────────────────────────────────────


def change_bytes(sample: Sample, path: Path, *, ways: Sequence[int] = WAYS) -> list[str]:
    """Change every byte in each of these ways; audit each time, and read."""
    return _change(sample, path, slice(None), lambda: ways, read_every=1)


def change_some_bytes(sample: Sample, path: Path, *, stride: int, read_every: int, seed: int) -> list[str]:
    """Change every so-manieth byte in one way, drawn by lot; audit each time, and read every so often."""
    rng = Random(seed)
    return _change(sample, path, slice(seed % stride, None, stride), lambda: rng.sample(WAYS, 1), read_every)


def _change(
    sample: Sample, path: Path, offsets: slice, ways: Callable[[], Sequence[int]], read_every: int
) -> list[str]:
    faults: list[str] = []
    tried = 0
    for name in sample.names:
        data = (sample.original / name).read_bytes()
        descriptor = os.open(path / name, os.O_WRONLY)
        for offset in range(len(data))[offsets]:
            byte = data[offset]
            for flip in ways():
                os.pwrite(descriptor, bytes((byte ^ flip,)), offset)
                tried += 1
                valid, said = audit(path)
                if valid or name not in said:
                    faults.append(f"{name} at {offset} ^ {flip:#x}: the audit said {said!r}")
                if not tried % read_every:
                    faults += [f"{name} at {offset} ^ {flip:#x}: {lie}" for lie in lies_of(path, sample.truth)]
            os.pwrite(descriptor, bytes((byte,)), offset)
        os.close(descriptor)
    assert audit(path)[0]
    tally(BYTES, tried)
    return faults


def test_some_bytes(sample: Sample, tmp_path: Path) -> None:
    report(change_some_bytes(sample, sample.copy(tmp_path / "db"), stride=13, read_every=8, seed=1))


def test_bytes_of_packed_files(packed_sample: Sample, tmp_path: Path) -> None:
    path = packed_sample.copy(tmp_path / "db")
    report(change_some_bytes(packed_sample, path, stride=17, read_every=2, seed=2))


def test_bytes_of_encrypted_files(encrypted_sample: Sample, tmp_path: Path) -> None:
    path = encrypted_sample.copy(tmp_path / "db")
    report(change_some_bytes(encrypted_sample, path, stride=101, read_every=4, seed=6))


def test_packed_files_that_are_cut_zeroed_exchanged_or_gone(packed_sample: Sample, tmp_path: Path) -> None:
    path = packed_sample.copy(tmp_path / "cut")
    faults = cut(packed_sample, path, stride=90) + zeroed(packed_sample, path, [16, 10_000])
    for name in packed_sample.names:
        path = packed_sample.copy(tmp_path / "db")
        (path / name).unlink()
        faults += [f"{name} removed: {fault}" for fault in judge(path, packed_sample.truth, name.removesuffix(ZSTD))]
    for one, other in combinations(packed_sample.names, 2):
        path = packed_sample.copy(tmp_path / "db")
        (path / one).rename(path / "aside")
        (path / other).rename(path / one)
        (path / "aside").rename(path / other)
        faults += [f"{one} and {other} exchanged: {fault}" for fault in judge(path, packed_sample.truth, one, other)]
    report(faults)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(PARTS))
def test_every_byte_in_every_way(sample: Sample, tmp_path: Path, part: int) -> None:
    report(change_bytes(sample, sample.copy(tmp_path / "db"), ways=WAYS[part::PARTS]))


def test_a_writer_that_opens_a_damaged_database_serves_nothing_wrong(sample: Sample, tmp_path: Path) -> None:
    """What opening for writing does with the files must not hide the damage either."""
    rng = Random(3)
    faults = []
    for name in sample.names:
        data = (sample.original / name).read_bytes()
        for offset in rng.sample(range(len(data)), min(len(data), 6)):
            path = sample.copy(tmp_path / "db")
            changed = bytearray(data)
            changed[offset] ^= 1 << rng.randrange(8)
            (path / name).write_bytes(changed)
            faults += [f"{name} at {offset}: {fault}" for fault in judge(path, sample.truth, name)]
    report(faults)


def test_a_chain_that_is_damaged_under_an_open_handle(sample: Sample, tmp_path: Path) -> None:
    """Records are checked each time that they are read; tables, when a page of them is first used."""
    path = sample.copy(tmp_path / "db")
    rng = Random(4)
    with open_database(path, read_only=True) as db:
        assert sample.truth.lies_of(db) == []
        for name in [name for name in sample.names if name.endswith((".chain", ".zst"))]:
            data = (path / name).read_bytes()
            descriptor = os.open(path / name, os.O_WRONLY)
            for offset in rng.sample(range(len(data)), 30):
                os.pwrite(descriptor, bytes((data[offset] ^ 1 << rng.randrange(8),)), offset)
                assert sample.truth.lies_of(db) == [], f"{name} at {offset}"
                os.pwrite(descriptor, data[offset : offset + 1], offset)
            os.close(descriptor)


# ── whole files ──────────────────────────────────────────────────────────────────────────────────────────────────


def audit_changed(sample: Sample, path: Path, name: str, changed: bytes, what: str, read: bool) -> list[str]:
    tally(FILES)
    (path / name).write_bytes(changed)
    valid, said = audit(path)
    faults = [f"{name} {what}: the audit said {said!r}"] if valid or name not in said else []
    if read:
        faults += [f"{name} {what}: {lie}" for lie in lies_of(path, sample.truth)]
    return faults


def cut(sample: Sample, path: Path, stride: int) -> list[str]:
    faults: list[str] = []
    for name in sample.names:
        data = (sample.original / name).read_bytes()
        for size in range(0, len(data), stride):
            read = not size % 5 or (stride == 1 and name.endswith(".chain"))
            found = audit_changed(sample, path, name, data[:size], f"cut to {size}", read)
            if name.endswith(".chain"):  # without its last seal a file is whole: it is missed in the next one
                found = [fault for fault in found if "should follow" not in fault]
            faults += found
        (path / name).write_bytes(data)
    return faults


def test_cut(sample: Sample, tmp_path: Path) -> None:
    report(cut(sample, sample.copy(tmp_path / "db"), stride=130))


@pytest.mark.torture
def test_cut_at_every_length(sample: Sample, tmp_path: Path) -> None:
    report(cut(sample, sample.copy(tmp_path / "db"), stride=1))


def test_extended(sample: Sample, tmp_path: Path) -> None:
    """The end of a chain that was not closed is where a killed process leaves torn writes, which are no damage."""
    path = sample.copy(tmp_path / "db")
    last_chain = max(name for name in sample.names if name.endswith(".chain"))
    faults: list[str] = []
    for name in sample.names:
        data = (sample.original / name).read_bytes()
        for more in (b"\0", b"\n", b"#", bytes(4096), data[:64] or b"x", data[-200:] or b"x", os.urandom(100)):
            changed = audit_changed(sample, path, name, data + more, f"extended by {len(more)}", read=True)
            if name == last_chain and not sample.clean:
                changed = [fault for fault in changed if "the audit said ''" not in fault]
            faults += changed
        (path / name).write_bytes(data)
    report(faults)


def zeroed(sample: Sample, path: Path, sizes: list[int]) -> list[str]:
    faults: list[str] = []
    for name in sample.names:
        data = (sample.original / name).read_bytes()
        for size in sizes:  # single bytes are another test's
            for start in range(0, len(data), size):
                changed = data[:start] + bytes(len(data[start : start + size])) + data[start + size :]
                if changed != data:
                    what = f"zeros from {start}, {size} bytes"
                    faults += audit_changed(sample, path, name, changed, what, read=True)
        (path / name).write_bytes(data)
    return faults


@pytest.mark.torture
def test_zeroed(sample: Sample, tmp_path: Path) -> None:
    report(zeroed(sample, sample.copy(tmp_path / "db"), [16, 512, 1 << 20]))


def test_removed(sample: Sample, tmp_path: Path) -> None:
    faults = []
    for name in sample.names:
        path = sample.copy(tmp_path / "db")
        (path / name).unlink()
        if name in HARMLESS_WITHOUT:
            assert audit(path)[0]
            assert what_opening_says(path, sample.truth) == (True, "", [])
        else:
            faults += [f"{name} removed: {fault}" for fault in judge(path, sample.truth, name.removesuffix(ZSTD))]
    report(faults)


def test_emptied(sample: Sample, tmp_path: Path) -> None:
    faults = []
    for name in sample.names:
        path = sample.copy(tmp_path / "db")
        (path / name).write_bytes(b"")
        if name not in HARMLESS_WITHOUT:
            faults += [f"{name} emptied: {fault}" for fault in judge(path, sample.truth, name)]
    report(faults)


@pytest.mark.torture
def test_two_files_exchanged(sample: Sample, tmp_path: Path) -> None:
    faults = []
    for one, other in combinations(sample.names, 2):
        path = sample.copy(tmp_path / "db")
        (path / one).rename(path / "aside")
        (path / other).rename(path / one)
        (path / "aside").rename(path / other)
        faults += [f"{one} and {other} exchanged: {fault}" for fault in judge(path, sample.truth, one, other)]
    report(faults)


@pytest.mark.torture
def test_one_file_put_in_the_place_of_another(sample: Sample, tmp_path: Path) -> None:
    faults = []
    for one in sample.names:
        for other in sample.names:
            if one != other:
                path = sample.copy(tmp_path / "db")
                shutil.copyfile(path / one, path / other)
                faults += [f"{one} over {other}: {fault}" for fault in judge(path, sample.truth, other)]
    report(faults)


def test_an_older_copy_of_one_file(sample: Sample, tmp_path: Path) -> None:
    """It is found; or it does no harm, as a manifest without the newest table: the log still has those records."""
    faults = []
    tried = 0
    for older in sample.older:
        for name in files_of(older):
            path = sample.copy(tmp_path / "db")
            before = (path / name).read_bytes() if (path / name).exists() else None
            if before == (older / name).read_bytes():
                continue
            tried += 1
            tally(FILES)
            shutil.copyfile(older / name, path / name)
            valid, said = audit(path)
            lies = lies_of(path, sample.truth)
            intact, opening_said, more_lies = what_opening_says(path, sample.truth)
            faults += [f"{name} of {older.name}: {lie}" for lie in (*lies, *more_lies)]
            if not said + opening_said and not (valid and intact):
                faults.append(f"{name} of {older.name}: invalid without a word")
    assert tried
    report(faults)


def test_a_file_of_another_database(sample: Sample, tmp_path: Path) -> None:
    """The same file of a database with the same records; its keys, ids and hashes are others."""
    other = Sample(tmp_path, clean=True)
    [old_id] = {name.split("/")[1] for name in other.names if name.startswith("collections/")}
    [new_id] = {name.split("/")[1] for name in sample.names if name.startswith("collections/")}
    faults = []
    for name in other.names:
        target = name.replace(old_id, new_id)
        path = sample.copy(tmp_path / "db")
        if not (path / target).exists() or (path / target).read_bytes() == (other.original / name).read_bytes():
            continue
        shutil.copyfile(other.original / name, path / target)
        faults += [
            f"another's {target}: {fault}" for fault in judge(path, sample.truth, target, *ALSO_NAMED.get(target, ()))
        ]
    report(faults)


ALSO_NAMED = {
    "keys/public.toml": (".chain", "signing.toml"),
    "keys/signing.toml": ("public.toml",),
    "global_metadata/collections.toml": ("metadata.toml",),
}
"""Where it shows that these are another database's: at the signatures, at the other key, at what is not there."""
