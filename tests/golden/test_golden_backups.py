"""Backups that earlier versions made become databases for ever."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

import blockdb
from blockdb import AsOf
from tests.golden.make_backups import MASTER_KEY

HERE = Path(__file__).parent


def made(paths: list[Path], target: Path, to: AsOf | None = None) -> blockdb.Restored:
    with ExitStack() as stack:
        first, *more = [stack.enter_context(path.open("rb")) for path in paths]
        return blockdb.restore(first, target, increments=more, to=to, master_key=MASTER_KEY)


def check(restored: blockdb.Restored, records: dict[str, int]) -> None:
    assert restored.report is not None
    assert restored.report.problems == ()
    with blockdb.open(restored.path, read_only=True, master_key=MASTER_KEY) as db:
        assert {name: db.collection(name).count() for name in db.collection_names()} == records


@pytest.mark.parametrize("name", ["full", "sealed"])
def test_a_backup_of_the_first_format(tmp_path: Path, name: str) -> None:
    path = HERE / "v1" / "backups" / f"{name}.tar.zst"
    check(made([path], tmp_path / "db"), {"default": 8, "other": 1})
    check(made([path], tmp_path / "then", AsOf(sequence=6)), {"default": 7, "other": 0})
    with blockdb.open(tmp_path / "db", master_key=MASTER_KEY) as db:
        with pytest.raises(blockdb.Redacted):
            db.get(b"k1")
        with pytest.raises(blockdb.InvalidData, match="do not tell what an increment needs"):
            db.backup(since=path)


@pytest.mark.parametrize("kind", ["plain", "sealed"])
def test_backups_that_go_on_from_each_other(tmp_path: Path, kind: str) -> None:
    paths = [HERE / "v2" / "backups" / kind / f"{number}.tar.zst" for number in range(3)]
    moments = json.loads((paths[0].parent / "moments.json").read_text())
    for number, moment in enumerate(moments):
        check(made(paths[: number + 1], tmp_path / f"{number}"), moment["records"])
        check(made(paths, tmp_path / f"to{number}", AsOf(time_ms=moment["time_ms"])), moment["records"])
    with blockdb.open(tmp_path / "2", master_key=MASTER_KEY) as db, pytest.raises(blockdb.Redacted):
        db.get(b"k1")
