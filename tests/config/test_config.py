"""The configuration: one source over another, and an error that names the key for whatever is not right."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import blockdb
from blockdb.config import DatabaseConfig, from_settings, load

LIMITS = {
    "memtable_size_limit": (65_536, 64 * 1024**3),
    "wal_sync_interval": (0, 3_600_000),
    "compaction_threshold": (2, 1_000),
    "blockchain_batch_size": (1, 1_000_000),
    "cache_size_limit": (0, 64 * 1024**3),
    "open_collections_limit": (8, 1_000_000),
    "scrub_rate_limit": (0, 64 * 1024**3),
    "scrub_interval": (1, 31_536_000),
    "transaction_timeout": (1, 86_400),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is looked for where a program runs; it is not there yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "blockdb.toml"


def test_the_defaults_are_those_that_are_documented(file: Path) -> None:
    assert not file.exists()
    assert asdict(load(environ={})) == {
        "data_dir": "./blockdb_data",
        "memtable_size_limit": 64 * 1024 * 1024,
        "wal_sync_interval": 1000,
        "compaction_threshold": 4,
        "blockchain_batch_size": 1000,
        "cache_size_limit": 64 * 1024 * 1024,
        "open_collections_limit": 128,
        "compression_enabled": False,
        "encryption_enabled": None,
        "master_key_file": "",
        "redactable": False,
        "scrub_rate_limit": 0,
        "scrub_interval": 600,
        "transaction_timeout": 30,
        "key_file": "",
    }


def test_flags_stand_over_the_environment_over_the_file_over_the_defaults(file: Path) -> None:
    file.write_text("[database]\ndata_dir = 'file'\nwal_sync_interval = 1\ncompaction_threshold = 11\n")
    environ = {"BLOCKDB_WAL_SYNC_INTERVAL": "2", "BLOCKDB_COMPACTION_THRESHOLD": "12", "UNRELATED": "x"}
    config = load(environ=environ, flags={"compaction_threshold": 13})
    assert config == DatabaseConfig(data_dir="file", wal_sync_interval=2, compaction_threshold=13)


def test_every_key_can_be_set_in_every_way(file: Path) -> None:
    values: dict[str, Any] = {"data_dir": "elsewhere", **{key: low for key, (low, _) in LIMITS.items()}}
    values |= {"compression_enabled": True, "encryption_enabled": True, "redactable": True, "master_key_file": "a file"}
    values["key_file"] = "signing.toml"
    assert values.keys() == {field.name for field in fields(DatabaseConfig)}
    expected = DatabaseConfig(**values)
    assert load(environ={f"BLOCKDB_{key.upper()}": str(value) for key, value in values.items()}) == expected
    assert load(environ={}, flags=values) == expected
    file.write_text("[database]\n" + tomli_w.dumps(values))
    assert load(environ={}) == expected
    other = file.rename(file.with_name("other.toml"))
    assert load(environ={}) == DatabaseConfig()
    assert load(other, environ={}) == expected


def test_an_empty_file_or_section_says_nothing(file: Path) -> None:
    for content in ("", "[database]\n", "# nothing\n"):
        file.write_text(content)
        assert load(environ={}) == DatabaseConfig()


@pytest.mark.parametrize("key", LIMITS)
def test_a_number_has_its_limits(key: str) -> None:
    low, high = LIMITS[key]
    for value in (low, high):
        assert getattr(from_settings({key: value}), key) == value
    for value in (low - 1, high + 1, -1):
        with pytest.raises(blockdb.ConfigError, match=rf"^{key}: it should be from {low} to {high}, not {value}\."):
            from_settings({key: value})


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("value", ["100000", 100000.0, None, True, [100000]], ids=repr)
def test_a_number_is_a_whole_number(key: str, value: object) -> None:
    with pytest.raises(blockdb.ConfigError, match=rf"^{key}: it should be a whole number, not"):
        from_settings({key: value})


@pytest.mark.parametrize("value", [1, 0, "true", None], ids=repr)
def test_a_switch_is_true_or_false(value: object) -> None:
    with pytest.raises(blockdb.ConfigError, match=r"^compression_enabled: it should be true or false, not"):
        from_settings({"compression_enabled": value})


def test_a_switch_in_the_environment() -> None:
    for text, value in (("true", True), ("False", False), ("TRUE", True)):
        assert load(environ={"BLOCKDB_COMPRESSION_ENABLED": text}).compression_enabled is value
    with pytest.raises(
        blockdb.ConfigError, match=r"^BLOCKDB_COMPRESSION_ENABLED: it should be true or false, not 'yes'"
    ):
        load(environ={"BLOCKDB_COMPRESSION_ENABLED": "yes"})


@pytest.mark.parametrize("value", ["", "a\0b", 5, None, True, ["x"]], ids=repr)
def test_the_directory_is_a_path(value: object) -> None:
    with pytest.raises(blockdb.ConfigError, match=r"^data_dir: it should be the path of a directory"):
        from_settings({"data_dir": value})


def test_an_unknown_key_is_named_with_those_there_are(file: Path, tmp_path: Path) -> None:
    message = r"memtable_size: there is no such setting; those of \[database\] are .*memtable_size_limit"
    with pytest.raises(blockdb.ConfigError, match=message):
        from_settings({"memtable_size": 5})
    with pytest.raises(blockdb.ConfigError, match=message):
        blockdb.open(tmp_path / "db", memtable_size=5)
    assert not (tmp_path / "db").exists()
    file.write_text("[database]\nmemtable_size = 5\n")
    with pytest.raises(blockdb.ConfigError, match=message):
        load(environ={})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[servers]\nport = 1\n", r"no section or key 'servers'; this version knows \[database\], \[server\]"),
        ("data_dir = 'x'\n", "no section or key 'data_dir'"),
        ("database = 5\n", r"database should be a section, \[database\]"),
        ("[database\n", "cannot be read as a configuration"),
        ("[database]\ndata_dir = 'a'\ndata_dir = 'b'\n", "cannot be read as a configuration"),
    ],
)
def test_a_file_that_is_not_right_is_named(file: Path, content: str, words: str) -> None:
    file.write_text(content)
    with pytest.raises(blockdb.ConfigError, match=rf"^blockdb.toml: .*{words}"):
        load(environ={})
    with pytest.raises(blockdb.ConfigError, match=rf"^{file}: .*{words}"):
        load(file, environ={})


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(blockdb.ConfigError, match="cannot be read as a configuration"):
        load(environ={})


def test_a_file_that_was_asked_for_must_be_there(file: Path) -> None:
    for path in (file, file.parent):
        with pytest.raises(blockdb.ConfigError, match=rf"^{path}: it cannot be read"):
            load(path, environ={})


@pytest.mark.parametrize("text", ["many", "", "1.5", "0x10", "ten"])
def test_an_environment_variable_that_is_no_number_is_named(file: Path, text: str) -> None:
    with pytest.raises(
        blockdb.ConfigError, match=rf"^BLOCKDB_WAL_SYNC_INTERVAL: it should be a whole number, not '{text}'"
    ):
        load(environ={"BLOCKDB_WAL_SYNC_INTERVAL": text})


def test_a_wrong_value_under_a_right_one_does_not_matter(file: Path) -> None:
    """Only what counts is checked: a flag is the way out of a file that cannot be changed."""
    file.write_text("[database]\nwal_sync_interval = -5\n")
    assert load(environ={}, flags={"wal_sync_interval": 5}).wal_sync_interval == 5


def test_a_configuration_stays_as_it_is() -> None:
    config: Any = DatabaseConfig()
    with pytest.raises(FrozenInstanceError):
        config.wal_sync_interval = 5


@pytest.mark.parametrize(
    "settings", [{"wal_sync_interval": -1}, {"blockchain_batch_size": 0}, {"data_dir": "x", "no": 1}]
)
def test_opening_checks_its_settings_before_it_touches_anything(tmp_path: Path, settings: Mapping[str, Any]) -> None:
    path = tmp_path / "db"
    with pytest.raises(blockdb.ConfigError):
        blockdb.open(path, **settings)
    assert not path.exists()
    assert issubclass(blockdb.ConfigError, ValueError)
