"""The table of commands. Command line, shell, scripts, completion, help and the reference are all drawn from it."""

from __future__ import annotations

from . import chain, encryption, exporting, frontends, importing, records, upkeep
from .command import Command, Where
from .failures import UsageError

__all__ = ["COMMANDS", "available", "find"]

COMMANDS: tuple[Command, ...] = (
    *records.COMMANDS,
    *chain.COMMANDS,
    *importing.COMMANDS,
    *exporting.COMMANDS,
    *upkeep.COMMANDS,
    *encryption.COMMANDS,
    *frontends.COMMANDS,
)


def available(where: Where) -> list[Command]:
    """The commands that can be given there, in the order of the table."""
    return [command for command in COMMANDS if command.where in (Where.EVERYWHERE, where)]


def find(name: str, where: Where) -> Command:
    """The command of that name or alias. Raises `UsageError`, which names what comes near."""
    for command in COMMANDS:
        if name == command.name or name in command.aliases:
            if command.where in (Where.EVERYWHERE, where):
                return command
            raise UsageError(f"{name} is a command of the {command.where.value} only")
    raise UsageError(f"there is no command '{name}'{_nearest(name, where)}")


def _nearest(name: str, where: Where) -> str:
    import difflib

    names = [name for command in available(where) for name in (command.name, *command.aliases)]
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else "; help lists the commands"
