"""The commands for tokens and certificates."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from time import time

import pytest

from blockdb.commands.failures import CANNOT_OPEN, DONE, FAILED, USAGE
from blockdb.commands.history import kept
from blockdb.security.exposure import Exposure
from blockdb.server.authentication import Authenticator
from blockdb.storage.door import Door

from .conftest import Run

WRITER = ("token", "create", "--name", "shop", "--role", "writer")


def test_the_token_goes_out_alone(run: Run, here: Path) -> None:
    ran = run(*WRITER)
    assert ran.code == DONE
    token = ran.text.removesuffix("\n")
    _, token_id, secret = token.split("_")
    assert ran.err == (
        f"This is the token 'shop', which is not shown again; `blockdb token revoke {token_id}` revokes it.\n"
    )
    server = Authenticator(here / "blockdb_data", Exposure(True, False, ()))
    assert server.principal(token).name == "shop"
    listed = run("token", "list")
    assert secret not in listed.text
    assert json.loads(listed.text)["id"] == token_id
    assert run("token", "revoke", token_id).text == f"The token 'shop' ({token_id}) is good for nothing any more\n"
    assert run("token", "list").text == ""


def test_all_that_a_token_may_be(run: Run) -> None:
    words = ("--collection", "orders", "--collection", "lines", "--prefix", "u:", "--expires", "30d")
    made = json.loads(run(*WRITER, *words, "--format", "json").text)
    assert (made["role"], made["collections"], made["prefix"]) == ("writer", ["lines", "orders"], "u:")
    assert abs(made["expires_ms"] / 1000 - time() - 30 * 86_400) < 60
    assert made["token"].startswith(f"bdb_{made['id']}_")
    made = json.loads(run(*WRITER[:3], "b", *WRITER[4:], "--expires", "2999-01-01T00:00:00Z", "--format", "json").text)
    assert (made["expires_ms"], made["expired"], made["collections"]) == (32_472_144_000_000, False, None)
    table = run("token", "list", "--format", "table").text.splitlines()
    assert [row.split()[1] for row in table] == ["NAME", "shop", "b"]


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("token", "create", "--name", "a"), USAGE, "Usage: the following arguments are required: --role"),
        (("token", "create", "--name", "a", "--role", "owner"), USAGE, "invalid choice: 'owner'"),
        ((*WRITER, "--expires", "soon"), USAGE, "'soon' is no time: give 90m, 12h, 30d, 4w"),
        ((*WRITER, "--expires", "99999999w"), USAGE, "is no time"),
        ((*WRITER, "--expires", "2001-01-01"), FAILED, "InvalidData: The token would have expired already"),
        ((*WRITER[:3], "a\nb", *WRITER[4:]), FAILED, "InvalidData: A token cannot be called"),
        (("token", "list"), FAILED, "DatabaseNotFound: There is no database at "),
        (("token", "revoke", "x"), FAILED, "DatabaseNotFound: "),
        (("token",), USAGE, "token is half a command"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(run: Run, words: tuple[str, ...], code: int, error: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (code, b"")
    assert error in ran.err
    assert ran.err.count("\n") == 1


def test_it_works_beside_a_writer(run: Run, here: Path) -> None:
    run("put", "a", "1")
    lock = Door().lock(here / "blockdb_data" / "LOCK")
    assert run("put", "b", "2").code == CANNOT_OPEN
    assert run(*WRITER).code == DONE
    Door().unlock(lock)


def test_a_damaged_list_is_told(run: Run, here: Path) -> None:
    run(*WRITER)
    (here / "blockdb_data" / "server" / "tokens.toml").write_text("")
    for words in (("token", "list"), ("token", "revoke", "x"), ("token", "create", "--name", "b", "--role", "admin")):
        ran = run(*words)
        assert ran.code == FAILED
        assert "Nobody is let in because of it. Remove it, and make new tokens." in ran.err


def test_the_history_keeps_no_token() -> None:
    assert kept("token create --name a --role admin") is None
    assert kept("stats --token bdb_0_0") is None


def test_certificates(run: Run, here: Path) -> None:
    ran = run("cert", "tls", "--host", "db.example.org", "--client", "shop")
    assert ran.code == DONE
    assert ran.text.splitlines()[0] == f"Made {os.path.join('tls', 'ca.crt')}"
    assert stat.S_IMODE((here / "tls" / "ca.key").stat().st_mode) == 0o600
    again = run("cert", "tls")
    assert (again.code, again.out) == (FAILED, b"")
    assert "nothing is replaced" in again.err
    assert json.loads(run("cert", "tls", "--client", "b", "--format", "json").text)["files"] == [
        "tls/client-b.crt",
        "tls/client-b.key",
    ]
    nodes = run("cert", "tls", "--cluster", "shop", "--node", "a", "--node", "b").text.splitlines()
    assert [Path(line).name for line in nodes] == ["node-a.crt", "node-a.key", "node-b.crt", "node-b.key"]
    for half in (["--cluster", "shop"], ["--node", "c"]):
        assert "--cluster NAME, and --node ID" in run("cert", "tls", *half).err
    assert run("cert", "tls", "--days", "x").code == USAGE
