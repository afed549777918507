"""Where a configuration comes from: flags over environment over file over defaults, each key told with its source."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from blockdb.config.kinds import Kind
from blockdb.config.sections import SECTIONS, Config, DatabaseConfig
from blockdb.errors import ConfigError

__all__ = [
    "DEFAULT_FILE",
    "KEYS",
    "LIVE",
    "Given",
    "Name",
    "Sources",
    "from_settings",
    "load",
    "load_all",
    "reloaded",
    "variables",
]

DEFAULT_FILE: Final = Path("blockdb.toml")
ENVIRONMENT_PREFIX: Final = "BLOCKDB_"

Name: TypeAlias = tuple[str, str]
"""A section and a key of it."""

KEYS: Final[Mapping[Name, Kind]] = {
    (section, each.name): each.metadata["kind"]
    for section, config in SECTIONS.items()
    for each in fields(config)  # type: ignore[arg-type]
}

LIVE: Final = frozenset(
    (section, each.name)
    for section, config in SECTIONS.items()
    for each in fields(config)  # type: ignore[arg-type]
    if each.metadata["live"]
)
"""Those that a server takes over while it runs."""

_OTHER_VARIABLES: Final[Mapping[Name, str]] = {
    ("logging", "level"): "BLOCKDB_LOG_LEVEL",
    ("cluster", "node_id"): "BLOCKDB_CLUSTER_ID",
}
_OTHER_FLAGS: Final[Mapping[Name, str]] = {("logging", "level"): "--log-level", ("cluster", "node_id"): "--cluster-id"}
_ALIASES: Final[Mapping[Name, Name]] = {("cluster", "transaction_timeout"): ("database", "transaction_timeout")}
"""Keys that are another one by a second name."""


def variables(name: Name) -> tuple[str, ...]:
    """The environment variables of a key: one, and for some a second, shorter one."""
    section, key = name
    middle = "" if section == "database" else f"{section}_"
    other = _OTHER_VARIABLES.get(name)
    return (f"{ENVIRONMENT_PREFIX}{middle}{key}".upper(), *([other] if other else ()))


@dataclass(frozen=True)
class Given:
    """What a source says for a key."""

    said: object
    origin: str
    """`flag`, `environment`, `file` or `default`."""
    where: str = ""
    """The place to mend: `--port`, `BLOCKDB_SERVER_PORT`, or `blockdb.toml: [server] port`."""

    def value(self, kind: Kind) -> Any:
        """What it is to the configuration. Raises ConfigError, which names the place."""
        try:
            return kind.check(kind.read(str(self.said)) if self.origin == "environment" else self.said)
        except ValueError as error:
            raise ConfigError(f"{self.where}: {error}") from None


@dataclass(frozen=True)
class Sources:
    """Where a configuration is to come from.

    `file` None is ./blockdb.toml where there is one. A flag is named as the key is, with its section before it
    (`server.port`) unless that is `[database]`.
    """

    file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    flags: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> Config:
        """The whole configuration. Raises ConfigError, which tells of all that is wrong with what counts."""
        given, problems = self._gather()
        config, more = _made(dict(given))
        if config is None or problems:
            raise ConfigError(" ".join([*problems, *more]))
        return config

    def database(self) -> DatabaseConfig:
        """The `[database]` section, whatever values the others have. Raises ConfigError."""
        given, problems = self._gather()
        values, more = _values(dict(given), "database")
        if problems or more:
            raise ConfigError(" ".join([*problems, *more]))
        return DatabaseConfig(**values)

    def given(self) -> dict[Name, Given]:
        """What counts for each key, and where it comes from. Raises ConfigError as `config` does."""
        config = self.config()
        winners = dict(self._gather()[0])
        return {
            (section, key): winners.get(
                _ALIASES.get((section, key), (section, key)), Given(getattr(getattr(config, section), key), "default")
            )
            for section, key in KEYS
        }

    def problems(self) -> list[str]:
        """All that is wrong, also with what does not count because something else stands over it."""
        given, told = self._gather()
        for name, each in given:
            try:
                each.value(KEYS[name])
            except ConfigError as error:
                told.append(str(error))
        return list(dict.fromkeys([*told, *_made(dict(given))[1]]))

    def _gather(self) -> tuple[list[tuple[Name, Given]], list[str]]:
        """What is said for each key, what counts more standing later; and what nobody can use."""
        given, problems = list[tuple[Name, Given]](), list[str]()
        for source in (self._from_file(), self._from_environment(), self._from_flags()):
            seen = dict[Name, Given]()
            for found in source:
                if isinstance(found, str):
                    problems.append(found)
                    continue
                name, each = _ALIASES.get(found[0], found[0]), found[1]
                before = seen.setdefault(name, each)
                if before.said != each.said:
                    problems.append(f"{each.where}: it is the same as {before.where}, which says something else.")
                given.append((name, each))
        return given, problems

    def _from_file(self) -> Iterator[str | tuple[Name, Given]]:
        path = self.file or DEFAULT_FILE
        if self.file is None and not path.is_file():
            return
        try:
            sections = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            yield f"{path}: it cannot be read as a configuration: {error}"
            return
        for section, keys in sections.items():
            if section not in SECTIONS:
                known = ", ".join(f"[{each}]" for each in SECTIONS)
                yield f"{path}: there is no section or key {section!r}; this version knows {known}."
            elif not isinstance(keys, dict):
                yield f"{path}: {section} should be a section, [{section}]."
            else:
                yield from _of_section(path, section, keys)

    def _from_environment(self) -> Iterator[tuple[Name, Given]]:
        for name in KEYS:
            for variable in variables(name):
                if (text := self.environ.get(variable)) is not None:
                    yield name, Given(text, "environment", variable)

    def _from_flags(self) -> Iterator[str | tuple[Name, Given]]:
        for flag, value in self.flags.items():
            section, _, key = flag.rpartition(".")
            name = section or "database", key
            if name in KEYS:
                yield name, Given(value, "flag", _OTHER_FLAGS.get(name, f"--{key.replace('_', '-')}"))
            else:
                yield _unknown("", *name)


def _of_section(path: Path, section: str, keys: Mapping[str, object]) -> Iterator[str | tuple[Name, Given]]:
    for key, value in keys.items():
        if (section, key) in KEYS:
            yield (section, key), Given(value, "file", f"{path}: [{section}] {key}")
        else:
            yield _unknown(f"{path}: [{section}] ", section, key)


def _unknown(where: str, section: str, key: str) -> str:
    known = ", ".join(sorted(key for of, key in KEYS if of == section))
    return f"{where}{key}: there is no such setting; those of [{section}] are {known}."


def _values(winners: Mapping[Name, Given], section: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a section, and what is wrong with those that cannot be one."""
    values, problems = dict[str, Any](), list[str]()
    for name, each in winners.items():
        try:
            if name[0] == section:
                values[name[1]] = each.value(KEYS[name])
        except ConfigError as error:
            problems.append(str(error))
    return values, problems


def _made(winners: Mapping[Name, Given]) -> tuple[Config | None, list[str]]:
    """The configuration, or all that is wrong with it."""
    made, problems = dict[str, Any](), list[str]()
    for section, kind in SECTIONS.items():
        values, wrong = _values(winners, section)
        problems += wrong
        try:
            made[section] = None if wrong else kind(**values)
        except ConfigError as error:
            problems.append(str(error))
    try:
        return (None if problems else Config(**made)), problems
    except ConfigError as error:
        return None, [str(error)]


def from_settings(settings: Mapping[str, Any]) -> DatabaseConfig:
    """The configuration with these `[database]` keys. Raises ConfigError for one that does not exist."""
    for key in settings:
        if ("database", key) not in KEYS:
            raise ConfigError(_unknown("", "database", key))
    return DatabaseConfig(**settings)


def reloaded(running: Config, new: Config) -> tuple[Config, list[str]]:
    """What a running server makes of a new configuration: the one that holds now, and the keys that need a restart."""
    sections, waiting = dict[str, Any](), list[str]()
    for section in SECTIONS:
        before, after = getattr(running, section), getattr(new, section)
        changed = {key for of, key in KEYS if of == section and getattr(before, key) != getattr(after, key)}
        live = {key: getattr(after, key) for key in changed if (section, key) in LIVE}
        sections[section] = replace(before, **live)
        waiting += [f"[{section}] {key}" for key in sorted(changed - live.keys())]
    return Config(**sections), waiting


def load(
    file: Path | None = None, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> DatabaseConfig:
    """The `[database]` section, put together from its sources, later ones over earlier: file, environment, flags.

    `file` defaults to ./blockdb.toml where there is one. A key is `BLOCKDB_` and its name in capitals in the
    environment. Raises ConfigError.
    """
    return Sources(file, environ, flags or {}).database()


def load_all(
    file: Path | None = None, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> Config:
    """The whole configuration, put together as `load` does. Raises ConfigError, which tells of all that is wrong."""
    return Sources(file, environ, flags or {}).config()
