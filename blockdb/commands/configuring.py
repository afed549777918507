"""config show, config check: what is set, where it comes from, and what is wrong with it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import Command, Completes, Need, Where, positional
from .context import Context
from .failures import USAGE
from .results import Column, Result, Table, Words

if TYPE_CHECKING:
    from blockdb.config import Sources

__all__ = ["COMMANDS", "settings_of"]

NOT_SHOWN = "(set, not shown)"


def show(context: Context, _: Namespace) -> Result:
    """Tell each key's value, and where it comes from."""
    columns = (
        Column("section", "SECTION", role="muted"),
        Column("key", "KEY", role="key"),
        Column("from", "FROM"),
        Column("place", "PLACE", role="muted"),
        Column("value", "VALUE", kind="json"),
    )
    return Table(columns, iter(settings_of(context.sources)))


def settings_of(sources: Sources | None = None) -> list[dict[str, Any]]:
    """Each setting with section, key, value, where it comes from, and the place; secrets are not shown.

    Raises `ConfigError`. The usual sources, unless others are given.
    """
    from blockdb.config import Sources

    return list(_rows(sources or Sources()))


def _rows(sources: Sources) -> Iterator[dict[str, Any]]:
    from blockdb.config.sources import KEYS

    config = sources.config()
    for (section, key), given in sources.given().items():
        value = getattr(getattr(config, section), key)
        shown = NOT_SHOWN if value and getattr(KEYS[section, key], "secret", False) else value
        yield {"section": section, "key": key, "from": given.origin, "place": given.where or None, "value": shown}


def check(context: Context, arguments: Namespace) -> Result:
    """Tell all that is wrong with a file, or with what is set here."""
    from blockdb.config import Sources

    file = arguments.file
    sources = _sources(context) if file is None else Sources(Path(file), environ={})
    problems = sources.problems()
    failures = tuple(f"Error: ConfigError: {problem}" for problem in problems)
    subject = file or "The configuration"
    count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    text = f"{subject} has {count}" if problems else f"{subject} is as it should be"
    data = {"valid": not problems, "problems": problems}
    return Words(
        text, data, failures=failures, role="error" if problems else "success", exit_code=USAGE if problems else 0
    )


def _sources(context: Context) -> Sources:
    from blockdb.config import Sources

    return context.sources or Sources()


COMMANDS = (
    Command(
        "config show",
        "Tell the value of every setting, and where it comes from.",
        show,
        details="The sources are a flag, the environment, the file, and the default; what counts is shown. Secrets are "
        "not. The keys are explained in docs/CONFIGURATION.md.",
        examples=(
            ("config show", "All settings"),
            ("config show --config /etc/blockdb.toml --format json", "Those that this file gives, for a program"),
        ),
        need=Need.CONFIGURATION,
        where=Where.COMMAND_LINE,
        formats=("table", "json", "jsonl", "csv"),
        default_format="table",
    ),
    Command(
        "config check",
        "Tell all that is wrong with a configuration.",
        check,
        (
            positional(
                "file",
                "A configuration file, which is checked alone; without it, what is set here is checked.",
                Completes.FILE,
                nargs="?",
            ),
        ),
        details="Each mistake is a line on standard error that names section and key, and says what may stand there. "
        "The exit code is 2 if there are any. Without FILE the environment is checked too, and each source of a key, "
        "also where another one stands over it.",
        examples=(
            ("config check /etc/blockdb.toml", "Before a server is started with it"),
            ("config check", "The file of this directory and the environment"),
        ),
        need=Need.CONFIGURATION,
        where=Where.COMMAND_LINE,
        formats=("table", "json"),
    ),
)
