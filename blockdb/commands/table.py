"""The table of commands. Command line, shell, scripts, completion, help and the reference are all drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from . import frontends
from .command import Command, Where
from .failures import UsageError

__all__ = ["available", "commands", "find", "members", "names", "take"]


@cache
def commands() -> tuple[Command, ...]:
    """All of them, in the order in which they are listed. What they are made of is imported with the first call."""
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
        completions,
        configuring,
        connections,
        differences,
        encryption,
        exporting,
        follow,
        health,
        importing,
        indexes,
        keys,
        proofs,
        queries,
        recording,
        records,
        redaction,
        schemas,
        serving,
        tamper_lab,
        themes,
        tokens,
        transactions,
        upkeep,
        watching,
        witness,
    )

    return (
        *records.COMMANDS,
        *queries.COMMANDS,
        *chain.COMMANDS,
        *differences.COMMANDS,
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
        *follow.COMMANDS,
        *redaction.COMMANDS,
        *upkeep.COMMANDS,
        *backups.COMMANDS,
        *alerts.COMMANDS,
        *recording.COMMANDS,
        *encryption.COMMANDS,
        *anchors.COMMANDS,
        *witness.COMMANDS,
        *tokens.COMMANDS,
        *certificates.COMMANDS,
        *tamper_lab.COMMANDS,
        *connections.COMMANDS,
        *configuring.COMMANDS,
        *serving.COMMANDS,
        *health.COMMANDS,
        *cluster_demo.COMMANDS,
        *clusters.COMMANDS,
        *completions.COMMANDS,
        *themes.COMMANDS,
        *frontends.COMMANDS,
    )


def available(where: Where) -> list[Command]:
    """The commands that can be given there, in the order of the table."""
    return [command for command in commands() if command.where in (Where.EVERYWHERE, where)]


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
    if (command := _named(name, frontends.COMMANDS) or _named(name, commands())) is not None:
        if command.where in (Where.EVERYWHERE, where):
            return command
        raise UsageError(f"{name} is a command of the {command.where.value} only")
    if group := members(name, where):
        raise UsageError(f"{name} is half a command; the whole ones are {', '.join(it.name for it in group)}")
    raise UsageError(f"there is no command '{name}'{_nearest(name, where)}")


def _named(name: str, known: Sequence[Command]) -> Command | None:
    """The one of that name; shell and explorer are looked for first, and begin without all the others."""
    return next((command for command in known if name == command.name or name in command.aliases), None)


def _nearest(name: str, where: Where) -> str:
    import difflib

    near = difflib.get_close_matches(name, names(where), 1)
    return f"; did you mean {near[0]}?" if near else "; help lists the commands"
