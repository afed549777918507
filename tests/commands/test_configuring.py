"""config show, config check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run


def test_what_is_set_and_where_it_comes_from(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "blockdb.toml").write_text("[server]\nport = 9000\n[alerts]\nwebhook = 'https://hook.example/s3cret'\n")
    monkeypatch.setenv("BLOCKDB_LOG_LEVEL", "debug")
    ran = run("config", "show", "-d", "elsewhere", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    rows = {(row["section"], row["key"]): (row["value"], row["from"], row["place"]) for row in json.loads(ran.out)}
    assert rows["database", "data_dir"] == ("elsewhere", "flag", "--data-dir")
    assert rows["server", "port"] == (9000, "file", "blockdb.toml: [server] port")
    assert rows["logging", "level"] == ("debug", "environment", "BLOCKDB_LOG_LEVEL")
    assert rows["server", "cors_origins"] == ([], "default", None)
    assert rows["alerts", "webhook"][0] == "(set, not shown)"
    assert b"s3cret" not in ran.out
    assert b"s3cret" not in run("config", "show").out


def test_a_file_is_checked_alone(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = here / "other.toml"
    file.write_text("[server]\nport = 99999\nprot = 1\n[logging]\nformat = 'xml'\n")
    monkeypatch.setenv("BLOCKDB_SERVER_PORT", "none")
    ran = run("config", "check", str(file))
    assert ran.code == 2
    lines = ran.err.splitlines()
    assert [line.partition(": it should")[0].partition(": there is")[0] for line in lines] == [
        f"Error: ConfigError: {file}: [server] prot",
        f"Error: ConfigError: {file}: [server] port",
        f"Error: ConfigError: {file}: [logging] format",
    ]
    file.write_text("[server]\nport = 1\n")
    assert run("config", "check", str(file)).code == 0
    assert run("config", "check", str(here / "none.toml")).code == 2


def test_what_is_set_here_is_checked(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("config", "check").text == "The configuration is as it should be\n"
    monkeypatch.setenv("BLOCKDB_SERVER_PORT", "none")
    ran = run("config", "check")
    assert (ran.code, ran.text) == (2, "The configuration has one mistake\n")
    assert ran.err.startswith("Error: ConfigError: BLOCKDB_SERVER_PORT: it should be a whole number")
    assert run("config", "show").code == 2
