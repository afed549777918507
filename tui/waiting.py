"""Transactions as a screen lists them, and the graph of who waits for whom, in lines of text. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from blockdb.commands.display import human_count, human_duration, plural, printable

if TYPE_CHECKING:
    from blockdb import TransactionInfo

__all__ = ["Infos", "Pieces", "outcome_of", "short_id", "state_of", "wait_lines"]

Pieces = list[tuple[str, str]]
"""Texts, fit to be shown, and the roles that colour them."""

SHORT_DIGITS = 7
_OUTCOMES = {
    "committed": ("✓ committed", "success"),
    "aborted": ("✗ aborted", "muted"),
    "deadlock": ("✗ deadlock", "error"),
    "timeout": ("✗ timeout", "warning"),
}


def state_of(info: TransactionInfo) -> tuple[str, str]:
    """What a transaction does now, with a sign, and the role that colours it."""
    if info.committing:
        return "◆ commits", "success"
    return ("◌ waits", "warning") if info.waits_for else ("● runs", "text")


def short_id(id_: int) -> str:
    """A number as it is told: its end where it is long, as those of a server are, which begin with the time."""
    text = str(id_)
    return text if len(text) <= SHORT_DIGITS else f"…{text[-SHORT_DIGITS + 1 :]}"


def outcome_of(info: TransactionInfo) -> tuple[str, str]:
    """How a transaction ended, with a sign, and the role that colours it."""
    return _OUTCOMES.get(info.outcome, (printable(info.outcome) or "?", "muted"))


class Infos:
    """Transactions as a table lists them; `rows` is put in their place as a whole."""

    def __init__(self) -> None:
        self.rows: Sequence[TransactionInfo] = ()

    def count(self) -> int:
        return len(self.rows)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[TransactionInfo]:
        return self.rows[first : first + limit]

    def locate(self, row: TransactionInfo, count: int) -> int:
        """Where a transaction stands now; where the next one stands, if it is gone."""
        return next((at for at, info in enumerate(self.rows) if info.id == row.id), 0)


def wait_lines(infos: Iterable[TransactionInfo]) -> list[Pieces]:
    """The wait-for graph as trees: below each transaction those that wait for it. O(transactions + waits).

    Who waits for several stands below each of them, and what waits for it below the first alone. A circle, which is
    broken at once where one comes about, ends where it meets itself.
    """
    known = {info.id: info for info in infos}
    waiters: dict[int, list[int]] = {}
    for info in known.values():
        for other in info.waits_for:
            waiters.setdefault(other, []).append(info.id)
    lines: list[Pieces] = []
    told: set[int] = set()
    roots = [id_ for id_ in waiters if not (id_ in known and known[id_].waits_for)]
    for root in sorted(roots) or sorted(waiters):
        if root not in told or root in roots:
            lines += _tree(root, known, waiters, told)
    return lines


def _tree(
    root: int, known: dict[int, TransactionInfo], waiters: dict[int, list[int]], told: set[int]
) -> Iterator[Pieces]:
    """The lines of one tree, without recursion: a chain of waits may be long."""
    stack: list[tuple[int, str, str, bool]] = [(root, "", "", True)]
    while stack:
        id_, before, branch, is_first = stack.pop()
        is_again = id_ in told
        yield [(f" {before}{branch}", "border"), *_node(id_, known.get(id_), is_first, is_again)]
        if is_again:
            continue
        told.add(id_)
        below = sorted(waiters.get(id_, ()))
        inner = before + ("" if is_first else "   " if branch.startswith("└") else "│  ")
        last = len(below) - 1
        stack.extend((below[at], inner, "└─ " if at == last else "├─ ", False) for at in range(last, -1, -1))


def _node(id_: int, info: TransactionInfo | None, is_root: bool, is_again: bool) -> Pieces:
    name: Pieces = [(short_id(id_), "key")]
    if info is None:
        return [*name, (" is not in this list any more", "muted")]
    if is_again and not is_root:
        return [*name, (" ↑ see above", "muted")]
    if not info.waits_for:
        word, role = state_of(info)
        holds = f" for {human_duration(info.age_s)}, holds {plural(info.locks, 'lock')}"
        return [*name, (f" {word}", role), (holds, "muted")]
    wanted = f" {printable(info.wanted)}" if info.wanted else ""
    return [
        *name,
        (" waits for", "warning"),
        (wanted or " it", "text"),
        (f", holds {human_count(info.locks)}", "muted"),
    ]
