"""The table of commands. Command line, shell, scripts, completion, help and the reference are all drawn from it."""

from __future__ import annotations

from collections.abc import Sequence

from . import (
    alerts,
    anchors,
    audit,
    audit_log,
    backups,
    certificates,
    chain,
    cluster_demo,
    clusters,
    collections,
    configuring,
    connections,
    encryption,
    exporting,
    frontends,
    importing,
    indexes,
    keys,
    proofs,
    queries,
    records,
    redaction,
    schemas,
    serving,
    tamper_lab,
    tokens,
    transactions,
    upkeep,
    watching,
    witness,
)
from .command import Command, Where
from .failures import UsageError

__all__ = ["COMMANDS", "available", "find", "members", "names", "take"]

COMMANDS: tuple[Command, ...] = (
    *records.COMMANDS,
    *queries.COMMANDS,
    *chain.COMMANDS,
    *collections.COMMANDS,
    *indexes.COMMANDS,
    *schemas.COMMANDS,
    *transactions.COMMANDS,
    *proofs.COMMANDS,
    *keys.COMMANDS,
    *audit.COMMANDS,
    *audit_log.COMMANDS,
    *importing.COMMANDS,
    *exporting.COMMANDS,
    *watching.COMMANDS,
    *redaction.COMMANDS,
    *upkeep.COMMANDS,
    *backups.COMMANDS,
    *alerts.COMMANDS,
    *encryption.COMMANDS,
    *anchors.COMMANDS,
    *witness.COMMANDS,
    *tokens.COMMANDS,
    *certificates.COMMANDS,
    *tamper_lab.COMMANDS,
    *connections.COMMANDS,
    *configuring.COMMANDS,
    *serving.COMMANDS,
    *cluster_demo.COMMANDS,
    *clusters.COMMANDS,
    *frontends.COMMANDS,
)


def available(where: Where) -> list[Command]:
    """The commands that can be given there, in the order of the table."""
    return [command for command in COMMANDS if command.where in (Where.EVERYWHERE, where)]


def names(where: Where) -> dict[str, Command]:
    """The commands that can be given there, by their names and aliases."""
    return {name: command for command in available(where) for name in (command.name, *command.aliases)}


def members(first: str, where: Where) -> list[Command]:
    """The commands whose names are this word and another: `anchor add` and `anchor list` of `anchor`."""
    return [command for command in available(where) if command.name.startswith(f"{first} ")]


def take(words: Sequence[str], where: Where) -> tuple[Command, list[str]]:
    """The command that words begin with, and the words after its name. Raises `UsageError` as `find` does."""
    is_whole = len(words) > 1 and not words[1].startswith("-")
    length = 2 if is_whole and members(words[0], where) else 1
    return find(" ".join(words[:length]), where), list(words[length:])


def find(name: str, where: Where) -> Command:
    """The command of that name or alias. Raises `UsageError`, which names what comes near."""
    for command in COMMANDS:
        if name == command.name or name in command.aliases:
            if command.where in (Where.EVERYWHERE, where):
                return command
            raise UsageError(f"{name} is a command of the {command.where.value} only")
    if group := members(name, where):
        raise UsageError(f"{name} is half a command; the whole ones are {', '.join(it.name for it in group)}")
    raise UsageError(f"there is no command '{name}'{_nearest(name, where)}")


def _nearest(name: str, where: Where) -> str:
    import difflib

    near = difflib.get_close_matches(name, names(where), 1)
    return f"; did you mean {near[0]}?" if near else "; help lists the commands"
