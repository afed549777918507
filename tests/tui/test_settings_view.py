"""The view of settings: where each value comes from, that no secret is shown, and what is told of a server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from blockdb import Unavailable
from blockdb.commands.servers import Server
from blockdb_tui.screens.settings import SettingsView
from blockdb_tui.settings import Setting, gather
from tests.tui.covering import covers, said, shown
from tests.tui.drive import exploring, press, screen_text
from tests.tui.fake import FakeDatabase, shop

SECRET = "bdb_1_secret"


def found(database: FakeDatabase, server: Server | None = None) -> dict[tuple[str, str], Setting]:
    told = gather(database, database, server, "/srv/x")  # type: ignore[arg-type]
    return {(setting.section, setting.key): setting for setting in told}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.torture
@covers("view.settings", "settings.filter", "settings.read", "settings.copy_key", "settings.copy_value")
async def test_settings_are_listed_filtered_and_copied(somewhere: Path) -> None:
    (somewhere / "blockdb.toml").write_text("[database]\nscrub_interval = 77\n")
    async with exploring(shop(), size=(120, 40)) as pilot:
        await press(pilot, "S", "slash", *"scrub_int", "enter")
        view = shown(pilot, SettingsView)
        text = screen_text(pilot)
        assert view.table.total == 1
        assert "[database]    scrub_interval" in text
        assert "file" in text
        assert view.table.row is not None
        assert view.table.row.place == "blockdb.toml: [database] scrub_interval"
        await press(pilot, "c", "y", "Y")
        words = " ".join(said(pilot))
        for told in ("copy the key scrub_interval", "copy the value of scrub_interval", "blockdb config show"):
            assert told in words
        (somewhere / "blockdb.toml").write_text("[database]\nscrub_interval = 78\n")
        await press(pilot, "r")
        assert "78" in screen_text(pilot)
        await press(pilot, "escape")
        assert view.table.total > 60
        assert "ttl_seconds" in screen_text(pilot)


def test_each_value_is_told_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_CACHE_SIZE_LIMIT", "1048576")
    told = found(shop())
    assert (told["[database]", "data_dir"].value, told["[database]", "data_dir"].origin) == ("/srv/x", "flag")
    assert told["[database]", "cache_size_limit"].place == "BLOCKDB_CACHE_SIZE_LIMIT"
    assert told["[server]", "port"].origin == "default"
    assert told["engine", "memtable_size_limit"].value == "64 MB (67,108,864)"
    assert told["collection", "ttl_seconds"].value == "not set"


def test_no_secret_is_told(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_ALERTS_WEBHOOK", f"https://a.example.org/{SECRET}")
    monkeypatch.setenv("BLOCKDB_TOKEN", SECRET)
    server = Server(urls=(f"https://ann:{SECRET}@a.example.org:443",), token=SECRET, profile="near")
    told = found(shop(), server)
    assert SECRET not in repr(told)
    assert told["connection", "token"].value == "set, not shown"
    assert told["connection", "address"].value == "https://a.example.org:443"
    assert told["connection", "TLS"].value == "yes"
    assert told["here alerts", "webhook"].value == "(set, not shown)"


def test_a_server_tells_its_version_and_what_the_token_is_good_for() -> None:
    database = shop()
    database.about = SimpleNamespace(version="1.2\x1b[2J", data_dir="/srv/db", read_only=False)  # type: ignore[attr-defined]
    who = SimpleNamespace(name="ann", role="reader", collections=["orders"], prefix=b"a\x1b", expires_ms=0)
    database.whoami = lambda: who  # type: ignore[attr-defined]
    server = Server(urls=("http://127.0.0.1:8080",), token_file=Path("/run/token"))
    told = {key: setting.value for (_, key), setting in found(database, server).items()}
    assert (told["version"], told["role"], told["collections"]) == ("1.2␛[2J", "reader", "orders")
    assert (told["keys that begin with"], told["token"], told["TLS"]) == ("a␛", "in /run/token", "no")
    database.failing = Unavailable("nobody answers")
    assert found(database, server)["not known", "Unavailable"].value == "nobody answers"


def test_a_configuration_that_is_wrong_is_told_as_such(somewhere: Path) -> None:
    (somewhere / "blockdb.toml").write_text("[database]\nnonsense = 1\n")
    assert "nonsense" in found(shop())["not known", "ConfigError"].value
