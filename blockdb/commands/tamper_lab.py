"""tamper-lab: tampering with a copy of the database, and what each check makes of it.

The explorer's lab stands on this module: it has everything that is needed to run a lab.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chain import problem_object
from .command import FLAT, Command, Completes, option, positional
from .context import Context
from .display import plural
from .failures import UsageError
from .line import to_bytes
from .results import Column, Facts, Result, Table

if TYPE_CHECKING:
    from blockdb.tampering.lab import Finding, Lab, Outcome
    from blockdb.tampering.tamperings import Tampering

__all__ = [
    "CAUGHT",
    "COMMANDS",
    "MISSED",
    "Finding",
    "Lab",
    "Outcome",
    "Tampering",
    "checks",
    "open_lab",
    "tamperings",
]

CAUGHT, MISSED = "✓ caught", "· missed"
"""What a check did, in a glyph and a word."""


def open_lab(source: Path, key_file: str = "") -> Lab:
    """A lab on a copy of the database in a directory; see `blockdb.tampering.lab.Lab`. O(all bytes).

    `key_file` is the setting of that name.
    """
    from blockdb.tampering.lab import Lab

    return Lab(source, key_file=Path(key_file) if key_file else None)


def tamperings() -> tuple[Tampering, ...]:
    """Every way to tamper."""
    from blockdb.tampering.tamperings import TAMPERINGS

    return TAMPERINGS


def checks() -> tuple[str, ...]:
    """The names of the checks, in the order in which they are made."""
    from blockdb.tampering.checks import CHECKS

    return tuple(check.name for check in CHECKS)


def tamper_lab(context: Context, arguments: Namespace) -> Result:
    """Tamper with a copy in one way, or in all."""
    if arguments.keep is not None and arguments.tampering is None:
        raise UsageError("--keep keeps the copy of one tampering: name it")
    key = None if arguments.key is None else to_bytes(arguments.key)
    chosen = [each for each in tamperings() if arguments.tampering in (None, each.name)]
    if not chosen:
        names = ", ".join(each.name for each in tamperings())
        raise UsageError(f"there is no tampering {arguments.tampering!r}; there are {names}")
    context.announce("Copying the database...")
    key_file = "" if context.config is None else context.config.key_file
    with open_lab(context.database.path, key_file) as lab:
        if arguments.tampering is None:
            with context.progress("Tampering", len(chosen), "records") as advance_to:
                rows = []
                for tried, each in enumerate(chosen, 1):
                    rows.append(_row(lab.run(each, key=key)))
                    advance_to(tried)
            return Table(_columns(), iter(rows), _MORE)
        outcome = lab.run(chosen[0], key=key)
        if arguments.keep is not None:
            outcome = lab.keep(outcome, Path(arguments.keep))
        return _facts(outcome, kept=arguments.keep is not None)


_MORE = "tamper-lab NAME tells where, and with which commands; --keep DIR leaves the copy there."


def _columns() -> tuple[Column, ...]:
    names = checks()
    return (
        Column("tampering", "TAMPERING", role="key"),
        *(Column(name, name.upper()) for name in names),
        Column("first", "FIRST CAUGHT BY", role="muted"),
    )


def _row(outcome: Outcome) -> dict[str, Any]:
    first = next(iter(outcome.caught_by), None)
    marks = {finding.check.name: _mark(finding) for finding in outcome.findings}
    said = "nothing" if first is None else f"{first.check.name}: {first.answer.said}"
    return {"tampering": outcome.tampering.name, **marks, "first": said}


def _mark(finding: Finding) -> str:
    return CAUGHT if finding.answer.caught else MISSED


def _facts(outcome: Outcome, *, kept: bool) -> Facts:
    facts = [("What is done", outcome.tampering.does)]
    facts += [("Changed", str(change)) for change in outcome.changes]
    for finding in outcome.findings:
        facts.append((finding.check.title, f"{_mark(finding)}: {finding.answer.said}"))
        facts += [("  at", str(place)) for place in finding.answer.places[:3]]
        if len(finding.answer.places) > 3:
            facts.append(("  and", f"{plural(len(finding.answer.places) - 3, 'place')} more"))
        facts += [("  run", finding.command)] if kept else []
    if not kept:
        facts.append(("To run the checks yourself", "add --keep DIR, which leaves the copy there"))
    return Facts(f"{outcome.tampering.title}:", tuple(facts), _data(outcome, kept=kept))


def _data(outcome: Outcome, *, kept: bool) -> Mapping[str, Any]:
    return {
        "tampering": outcome.tampering.name,
        "copy": str(outcome.path) if kept else None,
        "changes": [problem_object(change) for change in outcome.changes],
        "checks": [
            {
                "check": finding.check.name,
                "caught": finding.answer.caught,
                "said": finding.answer.said,
                "places": [problem_object(place) for place in finding.answer.places],
                "command": finding.command if kept else None,
            }
            for finding in outcome.findings
        ],
    }


COMMANDS = (
    Command(
        "tamper-lab",
        "Tamper with a copy of the database, and see which check finds it.",
        tamper_lab,
        (
            positional("tampering", "One way to tamper; without it, all of them are tried.", nargs="?"),
            option(
                "--key",
                metavar="KEY",
                completes=Completes.KEY,
                help="Tamper with this record; without it, with one in the middle.",
            ),
            option(
                "--keep",
                metavar="DIR",
                completes=Completes.FILE,
                help="Leave the tampered copy in this new directory, and show the commands that check it.",
            ),
        ),
        details="Copies the database (at most 1 GiB of it) to a temporary directory, changes the files of the copy as "
        "a forger would, and makes the checks that anybody can make: opening it, reading the record, verifying it, "
        "auditing it with the key that is known, and auditing it with checkpoints that were kept outside. The database "
        "itself is only read. It needs two sealed blocks.\n\n"
        "The ways are: flip-byte, edit-value, swap-records, insert-record, delete-record, cut-tail, rechain-wrong-key, "
        "rechain-listed-key, rechain-stolen-key, roll-back and fork.",
        examples=(
            ("tamper-lab", "All ways, and what finds them"),
            ("tamper-lab edit-value --key user:1001", "What finds that this very record was edited"),
            ("tamper-lab flip-byte", "What each check says of a flipped byte, and where"),
            ("tamper-lab roll-back --keep /tmp/forged", "Keep the copy, to check it by hand"),
        ),
        formats=FLAT,
        directory_only=True,
    ),
)
