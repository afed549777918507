"""The log: one line an event, no secrets, levels by module, files that are moved away."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from blockdb.config import LoggingConfig
from blockdb.errors import ConfigError
from blockdb.server.logs import OTHERS, ROOT, LineFormatter, configure

TOKEN = "bdb_4f2a_" + "s3cret" * 7


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The loggers are the process's: they are as they were afterwards."""
    names = [ROOT, *OTHERS, "blockdb.server", "blockdb.server.http"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def line(message: str, *, is_json: bool = False, **further: object) -> str:
    record = logging.LogRecord("blockdb.server.http", logging.INFO, "", 0, message, (), None)
    record.created = 1_800_000_000.25
    record.__dict__.update(further)
    return LineFormatter(is_json=is_json).format(record)


def test_a_line_of_each_format() -> None:
    further = {"status": 200, "peer": "127.0.0.1:5", "ms": 1.5}
    assert line("it went well", **further) == (
        'time=2027-01-15T08:00:00.250Z level=info logger=server.http message="it went well" '
        "status=200 peer=127.0.0.1:5 ms=1.5"
    )
    assert json.loads(line("it went well", is_json=True, **further)) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "logger": "server.http",
        "message": "it went well",
        **further,
    }


@pytest.mark.parametrize("is_json", [False, True])
def test_what_strangers_sent_stays_on_its_line_and_is_only_shown(is_json: bool) -> None:
    told = line(
        'a\nlevel=error message="forged"\x1b]52;c;x\x07\x9b1m\u202e\u2028', is_json=is_json, path="\r\n\x00 x=1"
    )
    assert told.isascii()
    assert told.isprintable()
    assert "level=error" not in told.split() or is_json
    assert "forged" in told


@pytest.mark.parametrize("is_json", [False, True])
def test_secrets_are_not_told(is_json: bool) -> None:
    told = line(f"Bearer {TOKEN} came", is_json=is_json, header=TOKEN, url="https://me:s3cret@host/x")
    assert "s3cret" not in told
    assert told.count("bdb_4f2a_***") == 2


def test_levels_by_module_and_a_file_that_is_moved_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "logs" / "deep" / "blockdb.log"
    configure(LoggingConfig(level="warning,server.http=debug", file=str(file), format="json"))
    logging.getLogger("blockdb.server").info("not told")
    logging.getLogger("blockdb.server.http").debug("told")
    file.rename(file.with_suffix(".1"))
    logging.getLogger("blockdb.storage").warning("also told")
    assert [json.loads(told)["message"] for told in file.with_suffix(".1").read_text().splitlines()] == ["told"]
    assert [json.loads(told)["message"] for told in file.read_text().splitlines()] == ["also told"]
    assert [json.loads(told)["message"] for told in capsys.readouterr().err.splitlines()] == ["told", "also told"]

    configure(LoggingConfig(level="info"))
    logging.getLogger("blockdb.server.http").debug("no more")
    logging.getLogger("blockdb.server").info("told again")
    assert 'message="told again"' in capsys.readouterr().err
    assert "told again" not in file.read_text()


def test_a_file_that_cannot_be_is_named_and_one_that_goes_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^\[logging\] file: .*file/x.log cannot be written"):
        configure(LoggingConfig(file=str(tmp_path / "file" / "x.log")))
    directory = tmp_path / "goes"
    configure(LoggingConfig(file=str(directory / "x.log")))
    (directory / "x.log").unlink()
    directory.rmdir()
    logging.getLogger("blockdb.server").error("nobody reads it")
