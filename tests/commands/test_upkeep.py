"""stats, flush, compact, and how a command finds and opens the database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import blockdb

from .conftest import Run


def test_stats_begin_with_the_five_lines_of_the_contract(run: Run, here: Path) -> None:
    ran = run("stats")
    assert ran.code == 0
    assert ran.text.startswith(
        "BlockDB Statistics:\n"
        "  Data directory: ./blockdb_data\n"
        "  Memtable size limit: 64 MB\n"
        "  WAL sync interval: 1000 ms\n"
        "  Compaction threshold: 4\n"
        "  Blockchain batch size: 1000\n"
        "  Records: 0 "
    )
    assert (here / "blockdb_data").is_dir()


def test_stats_for_programs(run: Run) -> None:
    run("put", "a", "1")
    data = json.loads(run("stats", "--format", "json").out)
    assert data["records"] == 1
    assert data["head_hash"] == "00" * 32
    assert "records,1\n" in run("stats", "--format", "csv").text
    run("collection", "create", "users")
    assert "name,value\nsuccess,true\n" in run("verify", "--format", "csv").text
    assert run("collection", "list", "--format", "csv").text.startswith("name,id,description,created_at,")
    assert "name,users\n" in run("collection", "describe", "users", "--format", "csv").text


def test_flush_and_compact(run: Run) -> None:
    for number in range(2):
        run("put", f"key{number}", "v")
        assert run("flush").text.startswith("Flushed: ")
    assert run("compact").text.startswith("Compacted: 1 table, ")
    assert json.loads(run("compact", "--format", "json").out)["tables"] == 1


@pytest.mark.parametrize(
    "words", [["get", "a"], ["scan"], ["verify"], ["blocks"], ["block", "0"], ["export"], ["flush"], ["compact"]]
)
def test_reading_makes_no_database(run: Run, here: Path, words: list[str]) -> None:
    ran = run(*words)
    assert ran.code == 3
    assert ran.err.startswith("Error: DatabaseNotFound: ")
    assert list(here.iterdir()) == []


def test_where_the_database_is(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "blockdb.toml").write_text('[database]\ndata_dir = "from_default_file"\nwal_sync_interval = 5\n')
    (here / "other.toml").write_text('[database]\ndata_dir = "from_file"\n')
    run("put", "a", "1")
    run("put", "a", "1", "--config", "other.toml")
    monkeypatch.setenv("BLOCKDB_DATA_DIR", "from_environment")
    run("put", "a", "1")
    run("-d", "from_flag", "put", "a", "1")
    run("put", "a", "1", "--data-dir", "from_flag_after")
    made = {path.name for path in here.iterdir() if path.is_dir()}
    assert made == {"from_default_file", "from_file", "from_environment", "from_flag", "from_flag_after"}
    assert "WAL sync interval: 5 ms" in run("stats").text


@pytest.mark.parametrize(
    "words",
    [["--config", "missing.toml", "stats"], ["--config", "bad.toml", "stats"], ["-d", "", "stats"]],
)
def test_a_wrong_setting_is_wrong_usage(run: Run, here: Path, words: list[str]) -> None:
    (here / "bad.toml").write_text("[database]\nmemtable = 1\n")
    ran = run(*words)
    assert ran.code == 2
    assert ran.err.startswith("Error: ConfigError: ")


def test_reading_works_beside_a_writer_and_writing_does_not(run: Run) -> None:
    with blockdb.open("blockdb_data") as db:
        db.put(b"a", b"1")
        assert run("get", "a").out == b"1\n"
        assert run("stats").code == 0
        refused = run("put", "b", "2")
        assert refused.code == 3
        assert refused.err.startswith("Error: DatabaseLocked: ")


def test_a_directory_that_is_no_database(run: Run, here: Path) -> None:
    (here / "photos").mkdir()
    (here / "photos" / "me.jpg").write_bytes(b"")
    (here / "file").write_bytes(b"")
    for words in (["-d", "photos", "put", "a", "1"], ["-d", "file", "put", "a", "1"], ["-d", "file", "get", "a"]):
        ran = run(*words)
        assert ran.code == 3, ran
        assert len(ran.err.splitlines()) == 1
        assert ran.err.startswith("Error: ")
