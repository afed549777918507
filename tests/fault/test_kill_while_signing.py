"""Killed at any system call of a change of keys, of a flush that writes nodes, of a checkpoint: proofs go on."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import VerifierKey
from blockdb.ledger.proof import check_consistency
from tests.fault.family import ROOT
from tests.fault.support import copy_of
from tests.fault.test_kill import DeadlyDoor
from tests.storage.doors import open_through
from tests.tally import KILLS, tally

BEFORE = 300
AFTER = 560
"""Two chunks of the tree, of which one is complete before."""

APART = "apart.toml"


def settings_of(path: Path) -> dict[str, Any]:
    """The key is in the database, or beside it."""
    apart = path.parent / f"{path.name}.{APART}"
    return {"key_file": str(apart)} if apart.exists() else {}


def item(number: int) -> tuple[bytes, bytes]:
    return b"key%05d" % number, b"value %d" % number


def work(db: blockdb.Database) -> None:
    """What is cut short."""
    db.rotate_key()
    db.put_many([item(number) for number in range(BEFORE, AFTER)])
    db.checkpoint("default")
    db.flush()
    db.prove_range(start=b"key00100", end=b"key00103")
    db.rotate_key()
    db.prove(item(AFTER - 1)[0])


def work_until_killed(original: str, directory: str, first: int, step: int) -> None:
    """Run as a program. Forks processes that work on copies of a database, each killed one `step` later."""
    for at in count(first, step):
        path = copy_of(Path(original), Path(directory) / f"{at:04d}")
        apart = Path(f"{original}.{APART}")
        if apart.exists():
            Path(f"{path}.{APART}").write_bytes(apart.read_bytes())
        child = os.fork()
        if not child:
            try:
                with open_through(DeadlyDoor(at), path, **settings_of(path)) as db:
                    work(db)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))


def survive(tmp_path: Path, first: int, step: int, *, apart: bool) -> int:
    original, directory = tmp_path / "original", tmp_path / "killed"
    directory.mkdir()
    given: dict[str, Any] = {"key_file": f"{original}.{APART}"} if apart else {}
    with blockdb.open(original, blockchain_batch_size=100, **given) as db:
        db.put_many([item(number) for number in range(BEFORE)])
        db.flush()
        vkey, note = db.verifier_key(), db.checkpoint("default")
        receipts = [db.prove(item(7)[0]).text, db.prove_absent(b"nothing").text]
    program = f"work_until_killed({str(original)!r}, {str(directory)!r}, {first}, {step})"
    call = f"from tests.fault.test_kill_while_signing import work_until_killed; {program}"
    subprocess.run([sys.executable, "-c", call], cwd=ROOT, check=True, timeout=600)
    kills = sorted(path for path in directory.iterdir() if path.is_dir())
    for path in kills:
        for text in receipts:
            blockdb.verify_receipt(text, vkey)
        check(path, vkey, note)
    tally(KILLS, len(kills))
    return len(kills)


def check(path: Path, vkey: str, note: str) -> None:
    """The next writer signs, with a key that it says is its own, what extends all that was signed before."""
    report = blockdb.verify(path)
    assert report.valid, report.problems[:3]
    with blockdb.open(path, **settings_of(path)) as db:
        own = db.verifier_key()
        assert db.stats().records in (BEFORE, AFTER)
        for number in (0, 255, 256, BEFORE - 1, db.stats().records - 1):
            [proven] = blockdb.verify_receipt(db.prove(item(number)[0]).text, own).records
            assert (proven.index, proven.value) == (number, item(number)[1])
        blockdb.verify_receipt(db.prove_absent(b"nothing").text, own)
        db.put(b"one more", b"")
        now = open_checkpoint(db.checkpoint("default"), [VerifierKey.parse(own)]).checkpoint
        old = open_checkpoint(note, [VerifierKey.parse(vkey)]).checkpoint
        proof = db.consistency_proof(old.size, now.size, "default")
        check_consistency(old.size, now.size, old.root, now.root, proof)
        rotated = db.rotate_key()
        assert rotated not in (own, vkey)
        blockdb.verify_receipt(db.prove(item(0)[0]).text, rotated)
        db.put(b"and another", b"")
        blockdb.verify_receipt(db.prove(b"and another").text, rotated)
        with pytest.raises(blockdb.InvalidProof):
            blockdb.verify_receipt(db.prove(b"and another").text, vkey)
    report = blockdb.verify(path)
    assert report.valid, report.problems[:3]


def test_killed_while_it_signs(tmp_path: Path) -> None:
    assert survive(tmp_path, first=100, step=200, apart=False) >= 1


@pytest.mark.torture
@pytest.mark.parametrize("apart", [False, True], ids=["key inside", "key apart"])
def test_killed_at_each_call_while_it_signs(tmp_path: Path, apart: bool) -> None:
    assert survive(tmp_path, first=0, step=1, apart=apart) > 100
