"""The encryption command, and encrypted databases on the command line."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pexpect
import pytest

from blockdb.commands.failures import CANNOT_OPEN, DONE, FAILED, USAGE
from blockdb.format import keyring
from tests.commands.conftest import Run


@pytest.fixture
def key(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """How to name the master key of a database that was made with it."""
    assert run("encryption", "new-key", "master.key").code == DONE
    monkeypatch.setenv("BLOCKDB_ENCRYPTION_ENABLED", "true")
    assert run("--master-key-file", "master.key", "put", "user:1001", "John Doe").code == DONE
    monkeypatch.delenv("BLOCKDB_ENCRYPTION_ENABLED")
    return "--master-key-file", "master.key"


def test_a_new_key_is_for_its_owner_and_replaces_none(run: Run, here: Path) -> None:
    ran = run("encryption", "new-key", "master.key")
    assert (ran.code, ran.err) == (DONE, "")
    assert "without it nothing can be read" in ran.text
    file = here / "master.key"
    assert len(bytes.fromhex(file.read_text())) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run("encryption", "new-key", "master.key")
    assert again.code == FAILED
    assert again.err.startswith("Error: IoError: master.key is there already")
    assert run("encryption", "new-key").code == USAGE


def test_the_key_opens_it_and_nothing_else_does(run: Run, key: tuple[str, str]) -> None:
    assert run(*key, "get", "user:1001").text == "John Doe\n"
    assert run("get", "user:1001", *key).code == DONE
    for words in (["get", "user:1001"], ["verify"], ["verify", "--repair"], ["scan"]):
        ran = run(*words)
        assert ran.code == CANNOT_OPEN
        assert ran.err.startswith("Error: MasterKeyError: The database at ")
        assert "--master-key-file" in ran.err
    assert "Encryption" in run(*key, "stats").text
    assert run(*key, "verify").code == run(*key, "verify", "--repair").code == DONE


def test_the_environment_gives_it_too(run: Run, key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_MASTER_KEY_FILE", key[1])
    assert run("get", "user:1001").text == "John Doe\n"
    monkeypatch.setenv("BLOCKDB_MASTER_KEY", "nonsense")
    ran = run("get", "user:1001")
    assert ran.code == DONE  # the setting of that name counts before the variable with the key
    monkeypatch.delenv("BLOCKDB_MASTER_KEY_FILE")
    assert run("get", "user:1001").err.startswith(
        "Error: MasterKeyError: What is in BLOCKDB_MASTER_KEY is no master key"
    )


def test_keys_are_shown_and_changed(run: Run, key: tuple[str, str]) -> None:
    before = json.loads(run("encryption", "show", "--format", "json").text)
    assert (before["master"], before["older"]) == ("key", [])
    run("encryption", "new-key", "new.key")
    ran = run(*key, "encryption", "rewrap", "--new-master-key-file", "new.key")
    assert ran.code == DONE
    after = json.loads(run("encryption", "show", "--format", "json").text)
    assert after["master_id"] == keyring.master_id(bytes.fromhex(Path("new.key").read_text()))
    assert run(*key, "get", "user:1001").code == CANNOT_OPEN
    new = "--master-key-file", "new.key"
    assert run(*new, "get", "user:1001").text == "John Doe\n"
    assert run(*new, "encryption", "new-data-key").code == DONE
    found = json.loads(run("encryption", "show", "--format", "json").text)
    assert found["older"] == [before["current"]] != [found["current"]]
    assert run(*new, "get", "user:1001").text == "John Doe\n"


def test_a_new_master_key_has_to_be_given(run: Run, key: tuple[str, str]) -> None:
    ran = run(*key, "encryption", "rewrap")
    assert ran.code == CANNOT_OPEN
    assert "needs a master key, or a passphrase" in ran.err
    assert run(*key, "get", "user:1001").code == DONE


def test_what_a_file_holds_is_written_out(run: Run, key: tuple[str, str]) -> None:
    ran = run(*key, "encryption", "open", "blockdb_data/keys/signing.toml")
    assert ran.text.startswith('kind = "signing key"\n')
    assert run("encryption", "open", "blockdb_data/keys/signing.toml").code == CANNOT_OPEN
    assert run(*key, "encryption", "open", "blockdb_data/nothing").code == FAILED


def test_a_plain_database_has_no_such_keys(run: Run) -> None:
    assert run("put", "a", "1").code == DONE
    ran = run("encryption", "show")
    assert (ran.code, "is not encrypted" in ran.err) == (USAGE, True)
    assert run("-d", "elsewhere", "encryption", "show").err.startswith("Error: DatabaseNotFound: ")


@pytest.mark.torture
def test_a_passphrase_is_typed_and_not_seen(here: Path) -> None:
    program = [sys.executable, "-m", "blockdb.commands.main"]
    path = os.pathsep.join(sys.path)
    environ = {**os.environ, "PYTHONPATH": path, "BLOCKDB_ENCRYPTION_ENABLED": "true"}
    for words, answers in (
        (["put", "a", "1"], [("New passphrase: ", "correct horse"), ("The same again: ", "correct horse")]),
        (["get", "a"], [("Passphrase: ", "correct horse")]),
    ):
        child = pexpect.spawn(program[0], [*program[1:], *words], env=environ, cwd=str(here), timeout=20, echo=True)
        for question, answer in answers:
            child.expect_exact(question)
            child.waitnoecho(10)
            child.sendline(answer)
        child.expect(pexpect.EOF)
        shown = child.before
        child.close()
        assert child.exitstatus == DONE
        assert b"horse" not in shown
    assert b"1" in shown
