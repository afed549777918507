"""The log of a server: one line an event, of `key=value` or of JSON, on standard error and in a file.

What is logged may hold what strangers sent: each line is one line, of characters that a terminal only shows, and holds
no secret of a token. Fields are what `extra` adds to a record.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from blockdb.config import LoggingConfig
from blockdb.errors import ConfigError

__all__ = ["LineFormatter", "configure", "levels_of"]

ROOT: Final = "blockdb"
OTHERS: Final = ("asyncio", "uvicorn.error", "grpc")
"""Loggers of what we stand on: only what has gone wrong there is told."""

_OWN: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_SECRETS: Final = re.compile(r"(?<=bdb_)([0-9A-Za-z]+)_[0-9A-Za-z_\-]+|(?<=://)[^\s/@]+:[^\s/@]+(?=@)")
_BARE: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""What needs no quotes in a line of `key=value`: no blank, no quote, no backslash, no equals sign."""
MOST_CHARACTERS: Final = 8192


def configure(config: LoggingConfig) -> None:
    """Log as these settings say from now on, whatever was said before. Raises ConfigError for a file that cannot be."""
    handlers: list[logging.Handler] = [_Quiet(sys.stderr)]
    if config.file:
        handlers.append(_file(Path(config.file)))
    formatter = LineFormatter(is_json=config.format == "json")
    for handler in handlers:
        handler.setFormatter(formatter)
    levels = levels_of(config.level)
    for name in (ROOT, *OTHERS):
        _take_over(logging.getLogger(name), handlers, levels[ROOT] if name == ROOT else "ERROR")
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith(f"{ROOT}.") and isinstance(logger, logging.Logger):
            logger.setLevel(logging.NOTSET)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def levels_of(text: str) -> dict[str, str]:
    """The level of each logger that `[logging] level` names, such as `info,server=debug`."""
    first, *others = text.split(",")
    named = (other.partition("=") for other in others)
    return {ROOT: first.upper(), **{f"{ROOT}.{module}": level.upper() for module, _, level in named}}


def _take_over(logger: logging.Logger, handlers: list[logging.Handler], level: str) -> None:
    before = logger.handlers[:]
    logger.handlers[:] = handlers
    logger.propagate = False
    logger.setLevel(level)
    for handler in before:
        handler.close()


class _Quiet(logging.StreamHandler[Any]):
    """A log that cannot be written is no reason to do less, or to write a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Nobody can be told."""


class _File(WatchedFileHandler):
    """A file that may be moved away at any time: another one is begun."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; where the directory is gone, nothing."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Standard error has the line too."""


def _file(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _File(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"[logging] file: {path} cannot be written: {error.strerror}.") from None


class LineFormatter(logging.Formatter):
    """Makes a record one line."""

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = dict(self._fields(record))
        if self._is_json:
            return json.dumps(fields, default=str)
        return " ".join(f"{_shown(key)}={_shown(value)}" for key, value in fields.items())

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
        moment = datetime.fromtimestamp(record.created, UTC)
        yield "time", f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        yield "level", record.levelname.lower()
        yield "logger", record.name.removeprefix(f"{ROOT}.")
        yield "message", _without_secrets(record.getMessage())
        for key, value in _further(record).items():
            yield key, _without_secrets(value) if isinstance(value, str) else value
        if record.exc_info:
            yield "traceback", _without_secrets(self.formatException(record.exc_info))


def _further(record: logging.LogRecord) -> Mapping[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _without_secrets(text: str) -> str:
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
    return _SECRETS.sub(lambda match: f"{match[1]}_***" if match[1] else "***:***", text)


def _shown(value: Any) -> str:
    """A key or value in a line of text: bare, or in quotes with everything escaped that is not plain."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _BARE.fullmatch(text) else json.dumps(text)
